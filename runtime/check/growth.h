#ifndef CRN_GROWTH_H
#define CRN_GROWTH_H
/*
 * Whether the blocks of an allocation stack grow in number, from one look at how old they are.
 *
 * Every block has a birth, so the live bytes of a stack lie over their ages, and three shapes tell
 * what it does:
 *
 *     startup              churn                steady
 *     #                              .                       .#
 *     #                             .#            ##########.##
 *     #                       ___..:##            #############
 *     old ---------> new     old ----> new        ^ since
 *
 * Steady: as many bytes of every age, from its beginning until now.  How many a second is the rate
 * of the leak; what is shorter-lived lies on top of that, at the young end.  So the search is for
 * the oldest age S such that the bytes of the ages [S/4, S] lie evenly, and those younger than that
 * are no fewer.  Ages are counted in *cells* that are a twelfth of their age wide, so that it is
 * the same search for a minute and for a month.
 *
 * One look cannot tell a leak that began at S from a cache that is full and keeps everything for a
 * time S, nor from a program that breathes and let go of everything at S.  But the clock of births
 * knows how much was live at each of them (heap/births.h): a full cache does not make the heap
 * larger, and before a breath the heap was.  What contradicts that history is not steady.
 *
 * Unknown means unknown: too few blocks, too short a time, bursts, a rate that falls.
 */
#include "record/format.h"

enum { CRN_GROWTH_CELLS = 255 };

/* Ages from `young_s` to `old_s`, and how many bytes of the whole heap were live then. */
struct crn_growth_cell {
    double young_s, old_s;
    double level;
};

struct crn_growth_scale {
    struct crn_growth_cell cells[CRN_GROWTH_CELLS]; /* the youngest first */
    unsigned count;
    double uptime_s;
};

/*
 * Adds a birth, the youngest first: blocks of it are from young_s to old_s old; `level`: bytes
 * live when it began.  Answers its cell.  Zeroed memory is an empty scale.
 */
unsigned crn_growth_scale_add(struct crn_growth_scale *scale, double young_s, double old_s,
                              double level);

/* The live blocks of a stack, by cell.  Bytes of sampled stacks are what the samples stand for. */
struct crn_growth_rows {
    const double *bytes;
    const uint32_t *blocks;
    double evenness; /* (sum of sizes)^2 / (blocks * sum of squares): 1 if all are of one size */
};

struct crn_growth {
    enum crn_growth_shape shape;
    double bytes_per_s; /* negative: not known */
    double since_s;     /* before now; negative: not known, or it does not grow */
};

/* Takes no memory and makes no call: it may run in a process that stands still. */
struct crn_growth crn_growth_judge(const struct crn_growth_scale *scale,
                                   const struct crn_growth_rows *rows);

/*
 * All that is called steady must fit the growth of the whole heap together: a cache that keeps its
 * blocks for a time S is small, or one stack of many, and would pass beside something that grows.
 * So if the claims come to more than the heap can have grown by, stacks of which blocks are seen to
 * have been freed (`freed`: how many, as a share of those alive) become unknown, those with most
 * first.  Stacks of which none was freed stay.
 */
void crn_growth_settle(const struct crn_growth_scale *scale, struct crn_growth *growths,
                       const double *freed, unsigned count);

#endif
