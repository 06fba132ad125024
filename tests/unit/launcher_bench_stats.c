/*
 * The statistics of `coroner bench`: known answers, and that intervals hold what they promise.
 */
#include <criterion/criterion.h>

#include <math.h>

#include "shim/launcher/bench/stats.h"

static void assert_near(double actual, double wanted)
{
    cr_assert_float_eq(actual, wanted, 1e-9, "%.12g, not %.12g", actual, wanted);
}

Test(bench_stats, quantiles_lie_between_values)
{
    double values[] = {4, 1, 3, 2};
    assert_near(crn_stats_quantile(values, 4, 0.5), 2.5);
    assert_near(crn_stats_quantile(values, 4, 0.25), 1.75);
    assert_near(crn_stats_quantile(values, 4, 0), 1);
    assert_near(crn_stats_quantile(values, 4, 1), 4);
    assert_near(crn_stats_quantile(values, 1, 0.75), 4);
    cr_assert(isnan(crn_stats_quantile(values, 0, 0.5)));
}

Test(bench_stats, what_is_unknown_stays_unknown)
{
    double values[] = {1, NAN, 3};
    cr_assert(isnan(crn_stats_quantile(values, 3, 0.5)));
    cr_assert(isnan(crn_stats_centre(values, 3).estimate));
    double bases[] = {1, 0, 1};
    values[1] = 2;
    cr_assert(isnan(crn_stats_ratio(values, bases, 3).estimate), "a quotient by zero");
}

/* The critical values of the tables: W <= 2 of 7, W <= 8 of 10. */
Test(bench_stats, levels_are_those_of_the_tables_of_wilcoxon)
{
    assert_near(crn_stats_level(2), 0);
    assert_near(crn_stats_level(3), 1 - 2.0 / 8);
    assert_near(crn_stats_level(5), 1 - 2.0 / 32);
    assert_near(crn_stats_level(6), 1 - 2.0 / 64);
    assert_near(crn_stats_level(7), 1 - 2 * 3.0 / 128);
    assert_near(crn_stats_level(10), 1 - 2 * 25.0 / 1024);
    for (size_t count = 6; count <= CRN_STATS_MAX; count++)
        cr_assert(crn_stats_level(count) >= 0.95 && crn_stats_level(count) < 0.98, "%zu", count);
}

/* Seven differences: the third Walsh average from either end. */
Test(bench_stats, the_interval_is_that_of_walsh_averages)
{
    double values[] = {1, 2, 4, 8, 16, 32, 64};
    struct crn_interval interval = crn_stats_centre(values, 7);
    assert_near(interval.low, 2);
    assert_near(interval.high, 40);
    double mirrored[] = {-64, -32, -16, -8, -4, -2, -1};
    struct crn_interval mirror = crn_stats_centre(mirrored, 7);
    assert_near(mirror.low, -interval.high);
    assert_near(mirror.high, -interval.low);
    assert_near(mirror.estimate, -interval.estimate);
}

Test(bench_stats, two_values_have_no_interval)
{
    double values[] = {1, 3};
    struct crn_interval interval = crn_stats_centre(values, 2);
    assert_near(interval.estimate, 2);
    cr_assert(isnan(interval.low) && isnan(interval.high));
    cr_assert_eq(interval.level, 0);
}

Test(bench_stats, a_ratio_does_not_depend_on_the_unit_or_the_weather)
{
    double bases[] = {1, 10, 3, 7, 2, 5, 100}, values[7];
    for (int i = 0; i < 7; i++)
        values[i] = 1.5 * bases[i];
    struct crn_interval interval = crn_stats_ratio(values, bases, 7);
    assert_near(interval.estimate, 1.5);
    assert_near(interval.low, 1.5);
    assert_near(interval.high, 1.5);
}

Test(bench_stats, one_bad_round_moves_little)
{
    double bases[] = {1, 1, 1, 1, 1, 1, 1};
    double values[] = {1.01, 0.99, 1.02, 0.98, 1.00, 1.01, 9};
    double estimate = crn_stats_ratio(values, bases, 7).estimate;
    cr_assert(estimate > 0.98 && estimate < 1.03, "%g", estimate);
}

/* Normal noise about a ratio of 1.2, 7 rounds a time: 95.3 % should hold it. */
Test(bench_stats, intervals_hold_the_truth_as_often_as_they_say)
{
    enum { TRIALS = 4000, ROUNDS = 7 };
    uint64_t state = 1;
    unsigned held = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        double values[ROUNDS], bases[ROUNDS];
        for (int i = 0; i < 2 * ROUNDS; i++) {
            double sum = -6; /* of twelve uniform values: nearly normal */
            for (int k = 0; k < 12; k++) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                sum += (double)(state >> 11) / (double)(1ull << 53);
            }
            double value = exp(0.1 * sum);
            if (i < ROUNDS)
                bases[i] = value;
            else
                values[i - ROUNDS] = 1.2 * value;
        }
        struct crn_interval interval = crn_stats_ratio(values, bases, ROUNDS);
        held += interval.low <= 1.2 && 1.2 <= interval.high;
    }
    double share = (double)held / TRIALS, wanted = crn_stats_level(ROUNDS);
    double sigma = sqrt(wanted * (1 - wanted) / TRIALS);
    cr_assert(fabs(share - wanted) < 4 * sigma, "%.4f of %.4f", share, wanted);
}
