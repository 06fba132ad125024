#ifndef CRN_NARROW_H
#define CRN_NARROW_H
/*
 * A narrow picture: of a forked child that has made few blocks, and only those are judged.
 *
 * A whole picture of it shows all that it inherited, millions of blocks perhaps, to find out which
 * of them lead to its own.  But what it has not written since the fork cannot lead there: a block
 * that was born after the fork has no valid address before.  And inherited blocks that something
 * does lead from are live for this purpose whether anything holds them or not: what a foreign
 * block holds is no leak of the child's (mark/verdict.c).  So of all that was inherited, what was
 * written since is a root, and the rest is not looked at:
 *
 *     | variables, stacks, mappings      pages that may have been written since   base/written.h
 *     | inherited blocks that are alive  the same, as further roots
 *     | blocks of its own                are the only blocks there are
 *
 * Both pictures then give the same verdicts, but for words that only look like addresses: an old
 * one may hide a new leak from the whole picture alone.
 *
 * Where that reasoning fails, no narrow picture is taken, or what it says does not count:
 *
 *     a block was resized where it is    it is new, and who points to it may have written that
 * before coroutines, also those of C++20    are reached by handles that may be old objects and
 * locals of the probes   likewise a pointer at an odd offset         what it is worth is told by
 * what lies around it blocks outside of the region, threads that did not stop
 */
#include "snap/snap.h"

/* Whether a narrow picture may be taken now, all threads standing still. */
bool crn_narrow_is_possible(uint64_t birth_from);

/* Whether what a mark of it says counts: there was nothing that it does not show. */
bool crn_narrow_is_enough(const struct crn_snap *snap);

/* Calls `visit` for each live block of the picture, in ascending order, until it answers false. */
void crn_snap_blocks_each(const struct crn_snap *snap,
                          bool (*visit)(const struct crn_block *block, void *user), void *user);

#endif
