/*
 * Finds what popped frames left.  See residue.h.
 *
 *     low                                                                  sp
 *      | owner's data: a context or two, buffers |    | ra .. ra . ra ... ra | frames
 *                                                       ^ popped frames
 *
 * A context that the owner keeps there has a return address, and another one that of its resumer's:
 * so few prove nothing.
 */
#include "snap/residue.h"
#include "snap/readable.h"
#include "coro/switcher.h"

enum { ADDRESSES_LEAST = 4, GAP_BYTES = 5 * 1024 }; /* frames with a buffer of a page */

struct residue {
    const struct crn_code *code;
    uintptr_t start, last; /* the first and last return address of those that lie close */
    unsigned count;
};

static void address_note(struct residue *residue, uintptr_t slot)
{
    if (slot - residue->last > GAP_BYTES) {
        residue->start = slot;
        residue->count = 0;
    }
    residue->last = slot;
    residue->count++;
}

static void run_read(uintptr_t start, uintptr_t end, void *user)
{
    struct residue *residue = user;
    for (uintptr_t at = crn_align_up(start, 8); at + 8 <= end; at += 8) {
        uintptr_t word = *(const uintptr_t *)at;
        if (CRN_UNLIKELY(crn_code_holds(residue->code, word, 1)) &&
            crn_code_follows_call(residue->code, word))
            address_note(residue, at);
    }
}

uintptr_t crn_residue_start(const struct crn_snap *snap, uintptr_t low, uintptr_t sp)
{
    struct residue residue = {.code = &snap->code};
    crn_readable_for_each(snap, (struct crn_range){low, sp}, true, false, run_read, &residue);
    bool is_found = residue.count >= ADDRESSES_LEAST && sp - residue.last <= GAP_BYTES;
    return is_found ? residue.start : sp;
}
