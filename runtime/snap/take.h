#ifndef CRN_TAKE_H
#define CRN_TAKE_H
/*
 * Takes the picture of the live process.
 */
#include "base/switch.h"
#include "snap/snap.h"
#include "snap/stop.h"

/*
 * The thread that takes the picture: the registers of the code that asked for it.  With neither, it
 * is none of the program's: all of those stand still.
 */
struct crn_taker {
    const struct crn_saved_registers *registers; /* of the program's code; its stack is above rsp */
    const ucontext_t *interrupted;               /* in a signal handler: what it interrupted */
    const struct crn_beforehand *beforehand;     /* NULL: all is there to be looked at now */
};

/*
 * Fills *snap.  All other threads stand still (`stopped`), and crn_coros.lock is held by us unless
 * `is_torn`.  Uses system calls and memory of its own only; 64 KiB of stack.
 *
 * Returns CRN_OK, or CRN_ERR_NO_MEMORY or CRN_ERR_SYSTEM (no /proc): there is no picture then.
 * Free it with crn_snap_free.
 */
enum crn_status crn_snap_take(struct crn_snap *snap, const struct crn_stopped_list *stopped,
                              const struct crn_taker *taker, const struct crn_occasion *occasion,
                              uint64_t birth_from, bool is_torn);
void crn_snap_free(struct crn_snap *snap);

/* Notes when the program began: files that nobody wrote since hold nothing of its. */
void crn_snap_begin(void);

/*
 * Taking or marking a picture faulted at an address: the next picture copies what lies there
 * instead of touching it.  Answers false when nothing is left to be evaded.  The other one forgets
 * all of that.  One caller at a time.
 */
enum { CRN_EVADED_MAX = 8 };
bool crn_snap_evade(uintptr_t fault);
void crn_snap_evade_nothing(void);

/* Which roots checks use; all of them unless this is called, before the first. */
struct crn_root_choice {
    unsigned left_out;       /* a bit for each enum crn_root_kind that holds nothing */
    size_t static_tls_bytes; /* how far below its descriptor a thread's variables reach */
    bool is_unaligned;       /* a pointer may stand at any byte */
    bool is_aligned_only;    /* none stands elsewhere than at a whole word */
    bool asks_stale;         /* dead words of call frames hold nothing: see mark/stale.h */
};
void crn_snap_choose_roots(const struct crn_root_choice *choice);

/* Code of this module is ours, or our allocator's: its variables are no roots.  At most 8. */
void crn_snap_exclude_module(const void *address_in_it);

/*
 * The same for the thread-local variables of that module: [start, end) in the calling thread, and
 * as far from the thread pointer in every other.  At most 8.
 */
void crn_snap_exclude_tls(const void *start, const void *end);

/* Remembers whether there are timers, for when nobody may ask any more. */
void crn_snap_note_timers(void);

#endif
