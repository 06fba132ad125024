#ifndef CRN_REGISTERS_H
#define CRN_REGISTERS_H
/*
 * What an interrupted thread may read again, of its registers and right below its sp.
 *
 * One that waits in a system call of libc's has left most of them behind: by the calling convention
 * nothing lives in the scratch registers and in vector registers across the call of libc's
 * function, and that function keeps in them what the kernel is to know, and no more; nor has it
 * anything in its red zone.  What else is there is whatever the last functions happened to leave.
 */
#include "base/switch.h"
#include "base/vm.h"
#include "stack/unwind.h"

#include <ucontext.h>

/* Code at `address` is libc's.  Once, before the first check. */
void crn_registers_learn_libc(const void *address);

/* Whether it is in a system call of libc's: vector registers and the red zone hold nothing then. */
bool crn_registers_are_waiting(const ucontext_t *context);

/* Writes the general registers that count to out[]; answers how many. */
enum { CRN_REGISTERS_MAX = 32 };
unsigned crn_registers_read(const ucontext_t *context, uintptr_t out[CRN_REGISTERS_MAX]);

/*
 * Where a thread that waits for events will have them written: what is there now is left from
 * before. False: it does not.
 */
bool crn_registers_output(const ucontext_t *context, struct crn_range *output);

/* The lowest address of the interrupted stack that counts. */
uintptr_t crn_registers_low(const ucontext_t *context);

/* The innermost frame. */
struct crn_frame crn_registers_frame(const ucontext_t *context);

/*
 * A context for a thread that is to be seen where the program called us: of its registers count
 * those that a callee keeps, and nothing below rsp does.
 */
void crn_registers_make(ucontext_t *context, const struct crn_saved_registers *registers);

#endif
