/*
 * The fallback for frames whose rule does not fit in eight bytes: one step by libunwind.
 *
 * The shim opens libunwind.so.8 privately (RTLD_LOCAL), so that the program keeps libgcc's
 * _Unwind_* and libc's backtrace, and hands its entry points here.  Registers beside rsp, rbp and
 * the pc are not known half way up a stack and are given as 0; libunwind checks what it reads.
 */
#include "stack/unwind.h"

#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <string.h>
#include <ucontext.h>

static struct crn_libunwind functions;

void crn_libunwind_use(const struct crn_libunwind *found)
{
    functions = *found;
}

CRN_COLD bool crn_libunwind_step(struct crn_frame *frame)
{
    unw_cursor_t cursor;
    ucontext_t context;
    unw_word_t pc = 0, sp = 0, bp = 0;
    if (functions.step == NULL)
        return false;
    memset(&context, 0, sizeof context);
    context.uc_mcontext.gregs[REG_RIP] = (greg_t)frame->pc;
    context.uc_mcontext.gregs[REG_RSP] = (greg_t)frame->sp;
    context.uc_mcontext.gregs[REG_RBP] = (greg_t)frame->bp;
    if (functions.init_local2(&cursor, &context, frame->is_exact ? UNW_INIT_SIGNAL_FRAME : 0) < 0 ||
        functions.step(&cursor) <= 0 || functions.get_reg(&cursor, UNW_REG_IP, &pc) < 0 ||
        functions.get_reg(&cursor, UNW_REG_SP, &sp) < 0 ||
        functions.get_reg(&cursor, UNW_X86_64_RBP, &bp) < 0)
        return false;
    *frame = (struct crn_frame){pc, sp, bp, false};
    return true;
}
