#ifndef CRN_LAUNCHER_BENCH_STATS_H
#define CRN_LAUNCHER_BENCH_STATS_H
/*
 * The little statistics that a benchmark of few rounds bears.
 *
 * Versions run interleaved, so a round gives pairs: what one version took and what plain took next
 * to it, under the same weather.  What is compared is the pairs' differences (of logarithms, for a
 * ratio), with Wilcoxon's signed ranks: Hodges and Lehmann's estimate is the median of the Walsh
 * averages (d[i] + d[j]) / 2, i <= j, and their order statistics bound it (Hollander, Wolfe and
 * Chicken, Nonparametric Statistical Methods, 3.3).  That supposes only that differences lie
 * symmetrically about their centre, which those of two alike runs do; a single bad round moves it
 * little, and nothing is drawn at random: the same figures give the same answer.
 */
#include "base/base.h"

enum { CRN_STATS_MAX = 200, CRN_STATS_LEAST = 3 };

struct crn_interval {
    double estimate;
    double low, high; /* NAN below CRN_STATS_LEAST values */
    double level;     /* how often it holds the truth, at least 0.95 from six values on; 0: none */
};

/*
 * The value below which the part `share` of the values lies, interpolated (type 7 of Hyndman and
 * Fan): 0.5 is the median.  NAN when one of them is, or when there are none.
 */
double crn_stats_quantile(const double *values, size_t count, double share);

/* The centre of up to CRN_STATS_MAX differences; see above. */
struct crn_interval crn_stats_centre(const double *values, size_t count);

/* By what factor each version of a pair exceeds its `bases`; all must be positive, else NAN. */
struct crn_interval crn_stats_ratio(const double *values, const double *bases, size_t count);

/* How often an interval of `count` values holds the truth: the level of crn_stats_centre(). */
double crn_stats_level(size_t count);

#endif
