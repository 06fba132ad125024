#ifndef CRN_SCRUB_H
#define CRN_SCRUB_H
/*
 * Wipes what memory held before, when it is handed out again.
 *
 * A block that is made where another one was has that one's words until the program writes its own,
 * and in padding, spare room and unused parts for ever:
 *
 *     freed:   | a handle of coroutine A | ... |
 *     made:    | an operation of B's, with 24 bytes that nobody writes | ... |
 *
 * A mark follows them, and calls A live.  Wiping it when it is freed would serve as well; but
 * programs that read a block which they have just freed get away with it, and shall here.  Memory
 * fresh from the kernel is zero, so a program may meet zeros in a new block anyway.
 *
 * Small blocks are wiped at once.  Of large ones only pages that are there, so that a block takes
 * no more memory than the program uses of it.
 */
#include "heap/sizeclass.h"
#include "options/options.h"

#include <string.h>

/* Up to this size blocks are wiped, at once, where only small ones are. */
enum { CRN_SCRUB_SMALL_BYTES = 1024 };

/* Blocks of more bytes than this are left as they are; set once, before the program's code runs. */
extern size_t crn_scrub_most_bytes;
void crn_scrub_init(enum crn_scrub_mode mode);

/* Wipes what is there of [start, end), which lies in one block.  Touches no page that is not there.
 */
void crn_scrub_large(uintptr_t start, uintptr_t end);

/* Wipes bytes [from, to) of a block for `asked` bytes, if blocks of that size are wiped. */
CRN_INLINE void crn_scrub_part(void *block, size_t asked, size_t from, size_t to)
{
    if (from < to && asked <= crn_scrub_most_bytes)
        crn_scrub_large((uintptr_t)block + from, (uintptr_t)block + to);
}

/* Wipes a block of `bytes`, a multiple of 16, that was just handed out. */
CRN_INLINE void crn_scrub(void *block, size_t bytes)
{
    typedef long long vector __attribute__((vector_size(16), may_alias));
    enum { IN_LINE_BYTES = 128 };
    if (CRN_LIKELY_TRUE(bytes <= IN_LINE_BYTES)) {
        vector *at = block, *end = (vector *)((char *)block + bytes);
        do
            *at++ = (vector){0, 0};
        while (at != end);
    } else if (bytes <= CRN_SCRUB_SMALL_BYTES) {
        memset(block, 0, bytes);
    } else {
        crn_scrub_large((uintptr_t)block, (uintptr_t)block + bytes);
    }
}

#endif
