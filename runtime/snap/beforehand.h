#ifndef CRN_BEFOREHAND_H
#define CRN_BEFOREHAND_H
/*
 * What a copy of the process does not show as it was.
 *
 * A check of a program that goes on takes its picture in a copy of the process (fork without a
 * fork).  Private memory and the registers of stopped threads are in it.  What is not:
 *
 *     what the kernel holds         pipes, sockets, timers, epoll: read while the threads stand still
 *     rings of io_uring and aio     likewise
 *     shared memory                 goes on changing under the copy: what of it is in memory is saved,
 *                                   and laid over it in the copy
 *     MADV_DONTFORK, _WIPEONFORK    saved, and put there again
 *
 * Of the last two so many bytes are saved that the threads do not stand still for long; what is more
 * than that is an unknown holder.
 *
 *     threads run     crn_beforehand_look    finds out where such memory is
 *     stand still     crn_beforehand_take    saves what changes
 *     in the copy     crn_beforehand_settle  puts it there; then crn_snap_take with `beforehand` set
 *
 * One at a time; needs 32 KiB of stack.  Whoever looks has a table of descriptors of its own (borrow.h).
 */
#include "base/maps.h"
#include "snap/build.h"

struct crn_beforehand;

/* NULL: no memory. */
struct crn_beforehand *crn_beforehand_look(void);
void crn_beforehand_take(struct crn_beforehand *beforehand);
void crn_beforehand_settle(struct crn_beforehand *beforehand);
void crn_beforehand_free(struct crn_beforehand *beforehand);

/* Adds what was read to a picture. */
void crn_beforehand_apply(struct crn_snap_builder *builder,
                          const struct crn_beforehand *beforehand);

/*
 * Whether all of a mapping was known when the threads stood still: memory that came later, or grew,
 * between the look and the stop was not saved.
 */
bool crn_beforehand_knows(const struct crn_beforehand *beforehand,
                          const struct crn_map_entry *entry);

/*
 * The program says that a fork shall not have a range as it is (MADV_DONTFORK, MADV_WIPEONFORK), or
 * that it shall again.  Any thread; async-signal-safe.
 */
void crn_unforked_note(uintptr_t start, size_t bytes, bool is_unforked);

#endif
