#ifndef CRN_LIVE_THREAD_H
#define CRN_LIVE_THREAD_H
/*
 * A thread of ours in the program's process, for as long as a check takes.
 *
 * The kernel knows it, libc does not: it has a stack and thread-local variables in memory of ours,
 * blocks every signal, and is in no list of threads that libc broadcasts to.  It dies with the
 * process, leaves nothing to be waited for, and is no child of anybody.  A process that shared our
 * memory instead would keep it alive after the program's end, and would have to be reaped.
 *
 * Functions of libc that read thread-local variables (errno, the locale) work in it: those of libc
 * and ours are copied from the thread that begins it.  What allocates does not: jemalloc's are not.
 */
#include "base/base.h"

/* Where it lives, one thread after the other.  Zeroed memory is a room that nobody was in. */
struct crn_live_room {
    _Atomic uint32_t is_taken; /* by whoever is about to begin a thread */
    _Atomic uint32_t tid_word; /* not 0 while there is a thread; the kernel clears it and wakes */
    char *memory;              /* kept: the next thread uses it again */
};

/* Learns where thread-local variables lie.  Call it once, from the thread that runs main. */
void crn_live_thread_learn(void);

/*
 * Begins function(argument) as a thread; it ends when that returns.  `has_files`: with the table of
 * descriptors that the process has, else with a copy of it.  The caller has every signal blocked.
 * Async-signal-safe.  Answers 0, -EBUSY (somebody is in the room) or the kernel's errno.
 */
int crn_live_thread_begin(struct crn_live_room *room, bool has_files,
                          void (*function)(void *argument), void *argument);

/* Waits until nobody is in the room; false: that takes longer than limit_ns. */
bool crn_live_thread_await(struct crn_live_room *room, uint64_t limit_ns);

/*
 * clone(2) with a stack: function(argument) runs on it and must not return in a process that is made.
 * Answers the new id or a negative errno.
 */
long crn_live_clone(unsigned long flags, void *stack_end, void *tls, _Atomic uint32_t *tid_word,
                    void (*function)(void *argument), void *argument);

/* In a forked child: nobody is. */
void crn_live_room_after_fork(struct crn_live_room *room);

#endif
