/*
 * Asks libunwind and libgcc for a stack.  See witness.h.
 */
#include "stack/witness.h"
#include "base/vm.h"

#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <libunwind.h>
#include <string.h>
#include <ucontext.h>
#include <unwind.h>

static struct {
    int (*init_local2)(unw_cursor_t *, ucontext_t *, int);
    int (*step)(unw_cursor_t *);
    int (*get_reg)(unw_cursor_t *, int, unw_word_t *);
    int (*set_cache_size)(void *, size_t, int);
    void (*flush_cache)(void *, unw_word_t, unw_word_t);
    void **local_addr_space;
    _Unwind_Reason_Code (*backtrace)(_Unwind_Trace_Fn, void *);
    uintptr_t (*get_ip_info)(struct _Unwind_Context *, int *);
    uintptr_t (*get_cfa)(struct _Unwind_Context *);
    const void *(*find_fde)(void *, void *);
} others;

static void *function_find(void *library, const char *name)
{
    return library != NULL ? dlsym(library, name) : NULL;
}

bool crn_witness_start(void)
{
    enum { CACHED_ADDRESSES = 1 << 15 };
    void *unwind = dlopen("libunwind.so.8", RTLD_LAZY | RTLD_LOCAL);
    void *gcc = dlopen("libgcc_s.so.1", RTLD_LAZY | RTLD_LOCAL);
    others.init_local2 =
        (int (*)(unw_cursor_t *, ucontext_t *, int))function_find(unwind, "_ULx86_64_init_local2");
    others.step = (int (*)(unw_cursor_t *))function_find(unwind, "_ULx86_64_step");
    others.get_reg =
        (int (*)(unw_cursor_t *, int, unw_word_t *))function_find(unwind, "_ULx86_64_get_reg");
    others.set_cache_size =
        (int (*)(void *, size_t, int))function_find(unwind, "_ULx86_64_set_cache_size");
    others.flush_cache =
        (void (*)(void *, unw_word_t, unw_word_t))function_find(unwind, "_Ux86_64_flush_cache");
    others.local_addr_space = function_find(unwind, "_ULx86_64_local_addr_space");
    others.backtrace =
        (_Unwind_Reason_Code(*)(_Unwind_Trace_Fn, void *))function_find(gcc, "_Unwind_Backtrace");
    others.get_ip_info =
        (uintptr_t(*)(struct _Unwind_Context *, int *))function_find(gcc, "_Unwind_GetIPInfo");
    others.get_cfa = (uintptr_t(*)(struct _Unwind_Context *))function_find(gcc, "_Unwind_GetCFA");
    others.find_fde = (const void *(*)(void *, void *))function_find(gcc, "_Unwind_Find_FDE");
    for (size_t i = 0; i < sizeof others / sizeof(void *); i++)
        if (((void *const *)&others)[i] == NULL)
            return false;
    others.set_cache_size(*others.local_addr_space, CACHED_ADDRESSES, 0);
    return true;
}

void crn_witness_flush(void)
{
    others.flush_cache(*others.local_addr_space, 0, 0);
}

void crn_witness_libunwind(const struct crn_saved_registers *registers, const uintptr_t *frame,
                           struct crn_witness_walk *walk)
{
    unw_cursor_t cursor;
    ucontext_t context;
    unw_word_t pc = 0, sp = 0;
    uint32_t own_frames = 0;
    bool is_past_us = false;
    greg_t *values = context.uc_mcontext.gregs;
    memset(&context, 0, sizeof context);
    values[REG_RBX] = (greg_t)registers->rbx;
    values[REG_RBP] = (greg_t)registers->rbp;
    values[REG_R12] = (greg_t)registers->r12;
    values[REG_R13] = (greg_t)registers->r13;
    values[REG_R14] = (greg_t)registers->r14;
    values[REG_R15] = (greg_t)registers->r15;
    values[REG_RSP] = (greg_t)registers->rsp;
    values[REG_RIP] = (greg_t)registers->pc;
    walk->count = 0;
    walk->status = others.init_local2(&cursor, &context, UNW_INIT_SIGNAL_FRAME);
    while (walk->status >= 0 && walk->count < CRN_WITNESS_FRAMES_MAX) {
        walk->status = others.step(&cursor);
        if (walk->status <= 0)
            return;
        others.get_reg(&cursor, UNW_REG_IP, &pc);
        others.get_reg(&cursor, UNW_REG_SP, &sp);
        is_past_us = is_past_us || (sp == (uintptr_t)(frame + 2) && pc == frame[1]);
        if (pc == 0 || (!is_past_us && ++own_frames > CRN_WITNESS_OWN_FRAMES_MAX))
            return;
        if (is_past_us) {
            walk->pcs[walk->count] = pc;
            walk->sps[walk->count++] = sp;
        }
    }
}

struct libgcc_walk {
    const uintptr_t *frame;
    struct crn_witness_walk *walk;
    uint32_t own_frames;
};

static _Unwind_Reason_Code libgcc_frame(struct _Unwind_Context *context, void *argument)
{
    struct libgcc_walk *state = argument;
    struct crn_witness_walk *walk = state->walk;
    int is_exact = 0;
    uintptr_t pc = others.get_ip_info(context, &is_exact);
    uintptr_t sp = others.get_cfa(context);
    bool is_first = sp == (uintptr_t)(state->frame + 2) && pc == state->frame[1];
    if (pc == 0 || walk->count == CRN_WITNESS_FRAMES_MAX ||
        (walk->count == 0 && !is_first && ++state->own_frames > CRN_WITNESS_OWN_FRAMES_MAX))
        return _URC_NORMAL_STOP;
    if (walk->count > 0 || is_first) {
        walk->pcs[walk->count] = pc;
        walk->sps[walk->count++] = sp;
    }
    return _URC_NO_REASON;
}

void crn_witness_libgcc(const uintptr_t *frame, struct crn_witness_walk *walk)
{
    struct libgcc_walk state = {frame, walk, 0};
    walk->count = 0;
    walk->status = 0;
    others.backtrace(libgcc_frame, &state);
}

bool crn_witness_knows(uintptr_t address)
{
    uintptr_t bases[3] = {0, 0, 0}; /* struct dwarf_eh_bases */
    return others.find_fde((void *)address, bases) != NULL;
}
