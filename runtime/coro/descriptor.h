#ifndef CRN_DESCRIPTOR_H
#define CRN_DESCRIPTOR_H
/*
 * What glibc keeps for a thread, in its descriptor (struct pthread, where pthread_self() points):
 *
 *     | static TLS | itself, dtv .. slots of keys .. tid .. joinid, result .. |
 *                  ^ the thread pointer
 *
 * It stays with the stack, which glibc keeps for the next thread.  Where the fields are, libc tells
 * debuggers by constants that it exports (nptl_db/structs.def); each is optional here.
 */
#include "base/base.h"

/* Learns them.  `find` answers the address of what libc exports by that name, or NULL. */
void crn_descriptor_learn(void *(*find)(const char *name));

/* Bytes from the thread pointer to the end of the descriptor. */
size_t crn_descriptor_bytes(void);

/* Whether a descriptor lies at an address that may not be mapped: it names itself, twice. */
bool crn_descriptor_is_there(uintptr_t descriptor);

/*
 * Whether libc still holds a result for whoever joins the thread, which has ended.  Not, where it
 * was joined or detached.
 */
bool crn_descriptor_awaits_join(uintptr_t descriptor);

/* Where its result will be, or is; 0: not known. */
uintptr_t crn_descriptor_result(uintptr_t descriptor);

/*
 * Calls visit for each word in which pthread_setspecific put a value for a key that has been
 * deleted since: pthread_getspecific will not answer it any more.  The thread stands still.
 */
void crn_descriptor_stale_for_each(uintptr_t descriptor, void (*visit)(uintptr_t word, void *user),
                                   void *user);

/*
 * Calls visit for each block from malloc in which a module's variables for this thread lie: those
 * of modules that were loaded later than the program started.
 */
void crn_descriptor_blocks_for_each(uintptr_t descriptor,
                                    void (*visit)(uintptr_t block, void *user), void *user);

#endif
