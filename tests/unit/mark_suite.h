#ifndef TESTS_MARK_SUITE_H
#define TESTS_MARK_SUITE_H
/*
 * What the suites of verdicts share: one hand-made picture for each test, and short names for it.
 */
#include "make_snap.h"
#include "mark/groups.h"

static struct maker_snap maker;

static void setup(void)
{
    maker_snap_init(&maker);
}

static void teardown(void)
{
    maker_snap_fini(&maker);
}

TestSuite(mark, .init = setup, .fini = teardown);

static uintptr_t *block_of(size_t bytes)
{
    return maker_block(&maker.heap, bytes);
}

/* The first group of this verdict; NULL: none. */
static const struct crn_group *group_of(enum crn_verdict verdict)
{
    for (size_t i = 0; i < maker.mark.group_count; i++)
        if (maker.mark.groups[i].verdict == verdict)
            return &maker.mark.groups[i];
    return NULL;
}

static void mark(void)
{
    maker_mark_counted(&maker);
}

#endif
