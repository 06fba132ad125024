/*
 * Reads around unreadable memory.  See readable.h.
 */
#include "snap/readable.h"
#include "base/pages.h"

size_t crn_unreadable_above(const struct crn_snap *snap, uintptr_t address)
{
    size_t low = 0, high = snap->unreadable_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (snap->unreadable[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct walk {
    const struct crn_snap *snap;
    void (*visit)(uintptr_t start, uintptr_t end, void *user);
    void *user;
};

static void part_visit(uintptr_t start, uintptr_t end, void *user)
{
    const struct walk *walk = user;
    const struct crn_snap *snap = walk->snap;
    for (size_t at = crn_unreadable_above(snap, start);
         at < snap->unreadable_count && snap->unreadable[at].start < end; at++) {
        if (snap->unreadable[at].start > start)
            walk->visit(start, snap->unreadable[at].start, walk->user);
        start = snap->unreadable[at].end;
    }
    if (start < end)
        walk->visit(start, end, walk->user);
}

void crn_readable_for_each(const struct crn_snap *snap, struct crn_range range, bool is_sparse,
                           bool is_copy_only,
                           void (*visit)(uintptr_t start, uintptr_t end, void *user), void *user)
{
    struct walk walk = {snap, visit, user};
    if (is_sparse || is_copy_only)
        crn_pages_for_each(range.start, range.end, is_copy_only, part_visit, &walk);
    else
        part_visit(range.start, range.end, &walk);
}
