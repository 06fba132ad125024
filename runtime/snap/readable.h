#ifndef CRN_READABLE_H
#define CRN_READABLE_H
/*
 * Walking a range of the program's memory around what must not be touched.
 *
 *     | touched as it is | PROT_NONE: copied | touched | never there | of a shared mapping: copied
 * |
 *
 * Unknown memory is one kind: what cannot be touched is copied by a system call that fails where a
 * load would fault or wait; what cannot be copied, and may hold something, is an unknown holder.
 */
#include "snap/snap.h"

/* Which parts of a range are visited. */
enum crn_parts {
    CRN_PARTS_TOUCHED = 1, /* read as they lie */
    CRN_PARTS_COPIED = 2,  /* rows of `unreadable` that may hold something */
    CRN_PARTS_AWAY = 4,    /* pages of `shared` mappings that are not in our page table */
    CRN_PARTS_ALL = 7,
};

struct crn_reading {
    struct crn_range range;
    bool is_sparse;    /* touch only pages that have contents */
    bool is_copy_only; /* of a file mapping, only pages that were written */
    unsigned parts;    /* enum crn_parts */
    /* [start, end) holds what the program has at `address`; good during the call. */
    void (*visit)(uintptr_t start, uintptr_t end, uintptr_t address, void *user);
    void *user;
};

/* Visits the parts ascending, but for those that are away: they come behind their neighbours. */
void crn_contents_read(const struct crn_snap *snap, const struct crn_reading *reading);

/* Calls `visit` for each part of [start, end) that can be touched, ascending. */
void crn_readable_for_each(const struct crn_snap *snap, struct crn_range range, bool is_sparse,
                           bool is_copy_only,
                           void (*visit)(uintptr_t start, uintptr_t end, void *user), void *user);

/* The first unreadable range that ends above `address`, as an index. */
size_t crn_unreadable_above(const struct crn_snap *snap, uintptr_t address);

/* As far as [start, end) can be read: its end, or where the first unreadable range of it begins. */
uintptr_t crn_readable_end(const struct crn_snap *snap, uintptr_t start, uintptr_t end);

/* Whether the program has no access to what lies just below `address`: a guard page. */
bool crn_has_guard_below(const struct crn_snap *snap, uintptr_t address);

/* A window for a new picture: its buffer is of the snapshot's arena.  NULL: no memory. */
struct crn_window *crn_window_create(struct crn_arena *arena);

#endif
