/*
 * Reads code that no unwind information covers, backwards from a return address.  See rules.h.
 *
 * A module's hand-written code and what a generator put there (V8's builtins) are of one style
 * throughout, so the nearest trace of a style decides.  Whatever is in doubt has no frame pointer.
 */
#include "base/sys.h"
#include "stack/rules.h"

#include <string.h>

enum { PIECE_BYTES = 512, OVERLAP_BYTES = 8, REACH_BYTES = 64 * 1024 };

/* push %rbp; mov %rsp, %rbp */
static bool is_prologue(const uint8_t *at)
{
    return at[0] == 0x55 && at[1] == 0x48 &&
           ((at[2] == 0x89 && at[3] == 0xe5) || (at[2] == 0x8b && at[3] == 0xec));
}

/* Padding between functions: int3, nop, nopw, or nothing at all. */
static bool is_padding(const uint8_t *at)
{
    return at[0] == 0xcc || at[0] == 0x90 || (at[0] == 0x0f && at[1] == 0x1f) ||
           (at[0] == 0x66 && at[1] == 0x0f) || (at[0] == 0 && at[1] == 0);
}

/* A return as functions without a frame pointer have it, or the last one before padding. */
static bool is_function_end(const uint8_t *at)
{
    if (at[0] == 0x48 && at[2] == 0xc4) /* add $n, %rsp; ret */
        return (at[1] == 0x83 && at[4] == 0xc3) || (at[1] == 0x81 && at[7] == 0xc3);
    if (at[0] >= 0x58 && at[0] <= 0x5f && at[0] != 0x5d && at[1] == 0xc3) /* pop; ret */
        return true;
    return at[0] == 0xc3 && is_padding(at + 1);
}

bool crn_code_keeps_frame_pointer(uintptr_t pc)
{
    uint8_t code[PIECE_BYTES + OVERLAP_BYTES] = {0};
    uintptr_t end = pc;
    while (pc - end < REACH_BYTES) {
        uintptr_t start = (end - 1) & ~(uintptr_t)(PIECE_BYTES - 1); /* all of it on one page */
        size_t count = end - start;
        memmove(code + count, code, OVERLAP_BYTES); /* what follows it */
        if (!crn_memory_read(code, start, count))
            return false;
        for (size_t i = count; i-- > 0;) {
            if (is_prologue(code + i))
                return start + i + 4 < pc;
            if (is_function_end(code + i))
                return false;
        }
        end = start;
    }
    return false;
}
