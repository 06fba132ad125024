#ifndef CRN_SAMPLE_H
#define CRN_SAMPLE_H
/*
 * Which allocations get a stack when only some do: a Poisson process over the bytes allocated.
 *
 *     bytes:   ----A----B--C----------D----------------E---F-->      one line for each thread
 *     points:  .............x..................x..x..............
 *                        sampled: C            E sampled once, though hit twice
 *
 * Points lie at exponentially distributed distances, `mean` bytes apart on average, so where the
 * next one lies does not depend on what came before: each block is hit with a probability that its
 * own size alone decides, 1 - exp(-span / mean), and no rhythm of the program can hide from it.
 * What a sampled block stands for is one over that (report/sampled.h).
 *
 * A block spans one byte more than was asked for, so that malloc(0) can be hit, as in tcmalloc
 * ("Sampling" in its docs); the scheme is that of gperftools' Sampler and jemalloc's prof_sample.
 */
#include "base/base.h"

struct crn_sampler {
    uint64_t state; /* of the generator; 0: not seeded */
};

/* How many bytes of a block's the process of points runs over. */
CRN_INLINE int64_t crn_sample_span(size_t bytes)
{
    return (int64_t)bytes + 1;
}

/* A distance drawn from the exponential distribution, rounded down; 0 if the mean is 1 or less. */
int64_t crn_sample_distance(struct crn_sampler *sampler, uint64_t mean_bytes);

/*
 * To be called when a block's span made *until, the bytes left to the next point, negative:
 * answers whether the block is hit, and sets *until for the next one.  A sampler that was never
 * used is seeded first, and draws its first point as if the block had not been there yet; *until
 * must then have been 0 before the block.
 */
bool crn_sample_take(struct crn_sampler *sampler, int64_t *until, uint64_t mean_bytes);

#endif
