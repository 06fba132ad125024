/*
 * The Poisson process behind --stacks sampled, with fixed seeds: what is random in it does not
 * change from run to run.
 */
#include "stack/sample.h"

#include <criterion/criterion.h>
#include <math.h>

enum { MEAN = 4096, DRAWS = 1 << 20 };

static bool is_near(double value, double expected, double sigma)
{
    return fabs(value - expected) <= 3 * sigma;
}

Test(sample, distances_have_the_mean_that_was_asked_for)
{
    struct crn_sampler sampler = {1};
    double sum = 0, squares = 0;
    for (unsigned i = 0; i < DRAWS; i++) {
        double distance = (double)crn_sample_distance(&sampler, MEAN) + 0.5; /* it is rounded */
        sum += distance;
        squares += distance * distance;
    }
    double mean = sum / DRAWS;
    /* Exponential: the deviation is the mean, the fourth moment 24 times its power. */
    cr_assert(is_near(mean, MEAN, MEAN / sqrt(DRAWS)), "the mean is %g", mean);
    cr_assert(is_near(squares / DRAWS, 2.0 * MEAN * MEAN, sqrt(20.0 / DRAWS) * MEAN * MEAN));
}

Test(sample, what_is_left_of_a_distance_is_distributed_like_a_whole_one)
{
    struct crn_sampler sampler = {2};
    for (int64_t passed = MEAN / 4; passed <= 4 * MEAN; passed *= 4) {
        double count = 0, sum = 0;
        for (unsigned i = 0; i < DRAWS; i++) {
            int64_t distance = crn_sample_distance(&sampler, MEAN);
            if (distance < passed)
                continue;
            count++;
            sum += (double)(distance - passed) + 0.5;
        }
        double chance = exp(-(double)passed / MEAN);
        cr_assert(is_near(count / DRAWS, chance, sqrt(chance * (1 - chance) / DRAWS)));
        cr_assert(is_near(sum / count, MEAN, MEAN / sqrt(count)));
    }
}

/* How many of so many blocks of one size are hit. */
static double hits(uint64_t seed, size_t bytes, uint64_t mean, unsigned blocks)
{
    struct crn_sampler sampler = {seed};
    int64_t until = crn_sample_distance(&sampler, mean);
    double count = 0;
    for (unsigned i = 0; i < blocks; i++) {
        until -= crn_sample_span(bytes);
        if (until < 0)
            count += crn_sample_take(&sampler, &until, mean);
    }
    return count;
}

Test(sample, a_block_is_hit_as_often_as_its_size_alone_says)
{
    static const size_t sizes[] = {0, 16, 100, 4095, 10000, 100000};
    for (unsigned i = 0; i < CRN_COUNT_OF(sizes); i++) {
        double chance = -expm1(-(double)crn_sample_span(sizes[i]) / MEAN);
        double count = hits(3 + i, sizes[i], MEAN, DRAWS);
        cr_assert(is_near(count, DRAWS * chance, sqrt(DRAWS * chance * (1 - chance)) + 1e-3),
                  "%g of %d blocks of %zu bytes", count, DRAWS, sizes[i]);
    }
}

Test(sample, sizes_that_alternate_do_not_hide_from_each_other)
{
    struct crn_sampler sampler = {11};
    static const size_t sizes[2] = {16, 4096};
    int64_t until = 0;
    double count[2] = {0, 0};
    for (unsigned i = 0; i < 2 * DRAWS; i++) {
        until -= crn_sample_span(sizes[i & 1]);
        if (until < 0)
            count[i & 1] += crn_sample_take(&sampler, &until, MEAN);
    }
    for (unsigned k = 0; k < 2; k++) {
        double chance = -expm1(-(double)crn_sample_span(sizes[k]) / MEAN);
        cr_assert(is_near(count[k], DRAWS * chance, sqrt(DRAWS * chance * (1 - chance))));
    }
}

Test(sample, a_block_far_larger_than_the_mean_is_always_hit_and_once)
{
    cr_assert_eq(hits(5, (size_t)1 << 30, MEAN, 1000), 1000);
}

Test(sample, with_a_mean_of_one_byte_every_block_is_hit)
{
    cr_assert_eq(hits(6, 0, 1, 1000), 1000);
    cr_assert_eq(hits(6, 40, 1, 1000), 1000);
}

Test(sample, the_first_block_of_a_thread_is_not_hit_for_being_first)
{
    double count = 0;
    enum { THREADS = 1 << 16 };
    for (unsigned i = 0; i < THREADS; i++) {
        struct crn_sampler sampler = {0};
        int64_t until = 0 - crn_sample_span(MEAN - 1);
        count += crn_sample_take(&sampler, &until, MEAN);
        cr_assert(until >= 0 && sampler.state != 0);
    }
    /* Seeds come from the clock here, so this is the one test that luck could fail: 6 sigma. */
    double chance = -expm1(-1);
    cr_assert(is_near(count, THREADS * chance, 2 * sqrt(THREADS * chance * (1 - chance))));
}

Test(sample, the_largest_mean_does_not_overflow)
{
    struct crn_sampler sampler = {7};
    for (unsigned i = 0; i < DRAWS; i++)
        cr_assert(crn_sample_distance(&sampler, (uint64_t)1 << 62) >= 0);
}
