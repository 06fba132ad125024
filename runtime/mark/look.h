#ifndef CRN_LOOK_H
#define CRN_LOOK_H
/*
 * The part of the live flood that asks about words of call frames: see stale.h.
 */
#include "mark/ahead.h"
#include "mark/stale.h"

struct crn_stale_look {
    struct crn_scan scan; /* first: visitors cast back */

    /* The caller fills these. */
    struct crn_flood *flood;    /* the live flood; all its other roots have been read */
    struct crn_worklist *coros; /* those that it reached, and whose bodies it has not read */
    void (*take)(struct crn_flood *flood, uintptr_t word); /* marks what a live word points to */
    void (*reach)(struct crn_flood *flood, uint32_t coro);

    struct crn_asker asker;
    struct crn_span rows; /* of struct crn_candidate */
    size_t count;
    uint32_t coro; /* index + 1, whose body is read */
    uint64_t *untouched;
    bool has_done_locals;
};

/* Reads the roots that are left, and bodies, until nothing more is met; fills mark->stale_words. */
void crn_stale_look(struct crn_stale_look *look);

/* Whether a root has words of call frames. */
CRN_INLINE bool crn_root_is_of_frames(const struct crn_root *root)
{
    return root->kind == CRN_ROOT_STACK || root->kind == CRN_ROOT_REGISTER;
}

/* Whether a word, read by `scan`, may lead to a block or coroutine. */
bool crn_flood_follows(const struct crn_flood *flood, const struct crn_scan *scan, uintptr_t word);

#endif
