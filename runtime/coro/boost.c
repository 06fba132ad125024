/*
 * Boost's records on top of a stack.  See boost.h.
 */
#include "coro/boost.h"
#include "stack/rules.h"

#include <string.h>

/* boost::fibers::context::suspend_with_cc(): what a fiber calls when it has ended, and nobody else. */
extern const uint8_t crn_boost_suspend_with_cc[] __asm__(
    "_ZN5boost6fibers7context15suspend_with_ccEv") __attribute__((weak));

/* boost::fibers::context::worker_is_linked() const: reads the link in the list of all fibers. */
extern const uint8_t crn_boost_worker_is_linked[] __asm__(
    "_ZNK5boost6fibers7context16worker_is_linkedEv") __attribute__((weak));

extern const uint8_t crn_boost_jump_fcontext[] __asm__("jump_fcontext") __attribute__((weak));

bool crn_boost_is_loaded(void)
{
    return crn_boost_jump_fcontext != NULL;
}

bool crn_boost_stack_find(uintptr_t base, struct crn_stack_bounds bounds, struct crn_range *stack)
{
    enum { SEARCHED_BYTES = 1024, BYTES_LEAST = 2048, GUARD_MOST = 65536 };
    uintptr_t end = base + SEARCHED_BYTES < bounds.end ? base + SEARCHED_BYTES : bounds.end;
    for (uintptr_t at = crn_align_up(base, 8); at + 16 <= end; at += 8) {
        const uintptr_t *words = (const uintptr_t *)at; /* stack_context: size, sp */
        uintptr_t bytes = words[0], top = words[1];
        if (top <= at || top > bounds.end || bytes < BYTES_LEAST || bytes > top ||
            top - bytes + GUARD_MOST < bounds.start || top - bytes > base - BYTES_LEAST / 2)
            continue;
        stack->start = top - bytes > bounds.start ? top - bytes : bounds.start;
        stack->end = top;
        return true;
    }
    return false;
}

bool crn_boost_has_ended(uintptr_t pc)
{
    struct crn_function function;
    uintptr_t start = (uintptr_t)crn_boost_suspend_with_cc;
    return start != 0 && pc > start && crn_function_find(start, &function) && pc <= function.end;
}

/* The displacement of the first `mov|cmp …, disp(%rdi)` of a member function; 0: not understood. */
static uintptr_t member_offset(const uint8_t *code)
{
    static const uint8_t endbr[] = {0xf3, 0x0f, 0x1e, 0xfa};
    int32_t offset;
    if (memcmp(code, endbr, sizeof endbr) == 0)
        code += sizeof endbr;
    bool is_load = code[0] == 0x48 && (code[1] == 0x8b || code[1] == 0x83);
    if (is_load && (code[2] & 0xc7) == 0x47)
        return code[3];
    if (!is_load || (code[2] & 0xc7) != 0x87)
        return 0;
    memcpy(&offset, code + 3, sizeof offset);
    return offset > 0 && offset < 4096 ? (uintptr_t)offset : 0;
}

uintptr_t crn_boost_link_find(uintptr_t base, uintptr_t sp, struct crn_stack_bounds bounds)
{
    enum { ALIGNMENT = 256, CONTEXT_BYTES = 256, CONTEXTS_TRIED = 4 };
    if (crn_boost_worker_is_linked == NULL)
        return 0;
    uintptr_t offset = member_offset(crn_boost_worker_is_linked);
    uintptr_t context = crn_align_up(base, ALIGNMENT);
    for (unsigned i = 0; i < CONTEXTS_TRIED && offset != 0; i++, context += ALIGNMENT) {
        /* The context of the fiber that is parked at sp says so. */
        for (uintptr_t at = context; at + 8 <= bounds.end && at < context + CONTEXT_BYTES; at += 8)
            if (*(const uintptr_t *)at == sp && context + offset + 16 <= bounds.end)
                return context + offset;
    }
    return 0;
}
