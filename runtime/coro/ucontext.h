#ifndef CRN_UCONTEXT_H
#define CRN_UCONTEXT_H
/*
 * The recogniser for ucontext: makecontext, swapcontext, setcontext, getcontext of glibc.
 *
 * Exact: creation, every switch and the return of the entry function are seen.  The shim calls
 * these from its interposers, before the real function runs.
 */
#include "base/switch.h"
#include "coro/announced.h"

#include <ucontext.h>

/*
 * makecontext has filled *context: enters the new coroutine, and makes its entry function return
 * to `trampoline` instead of glibc's __start_context.  Answers what it replaced.
 */
void *crn_ucontext_note_make(struct crn_thread *thread, ucontext_t *context, uintptr_t entry,
                             uint32_t created_node, void *trampoline);

/*
 * The calling thread will now save itself to *from (NULL: setcontext, it does not) and go on in
 * *to.  `registers` are those of the caller of swapcontext.
 */
void crn_ucontext_note_switch(struct crn_thread *thread, const ucontext_t *from,
                              const ucontext_t *to, const struct crn_saved_registers *registers);

/* The entry function of the running coroutine has returned; `link` is its uc_link or NULL. */
void crn_ucontext_note_end(struct crn_thread *thread, const ucontext_t *link);

#endif
