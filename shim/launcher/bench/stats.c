/*
 * Medians, and Wilcoxon's signed-rank interval.  See stats.h.
 */
#include "shim/launcher/bench/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sym/store.h"

static int double_compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static bool has_nan(const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (isnan(values[i]))
            return true;
    return false;
}

static double quantile_sorted(const double *sorted, size_t count, double share)
{
    double at = share * (double)(count - 1);
    size_t below = (size_t)at;
    if (below + 1 >= count)
        return sorted[count - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

double crn_stats_quantile(const double *values, size_t count, double share)
{
    double sorted[CRN_STATS_MAX];
    if (count == 0 || count > CRN_STATS_MAX || has_nan(values, count))
        return NAN;
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, double_compare);
    return quantile_sorted(sorted, count, share);
}

/*
 * How many Walsh averages may be cut from either end: the most for which the interval still holds
 * the truth in 95 of 100 cases.  *level is in how many it does.
 *
 * The signed-rank sum W of n differences is a sum of some of the ranks 1 .. n, each of the 2^n
 * choices as likely; leaving out k averages at either end errs with 2 * P(W < k + 1).
 */
static size_t averages_cut(size_t count, double *level)
{
    size_t sums = count * (count + 1) / 2 + 1;
    double *chance = calloc(sums, sizeof *chance);
    double below = 0;
    size_t cut = 0;
    if (chance == NULL)
        crn_out_of_memory();
    chance[0] = 1;
    for (size_t rank = 1; rank <= count; rank++)
        for (size_t sum = rank * (rank + 1) / 2 + 1; sum-- > 0;)
            chance[sum] = (chance[sum] + (sum >= rank ? chance[sum - rank] : 0)) / 2;
    below = chance[0];
    while (cut + 1 < sums / 2 && 2 * (below + chance[cut + 1]) <= 0.05)
        below += chance[++cut];
    *level = 1 - 2 * below;
    free(chance);
    return cut;
}

double crn_stats_level(size_t count)
{
    double level = 0;
    if (count >= CRN_STATS_LEAST && count <= CRN_STATS_MAX)
        averages_cut(count, &level);
    return level;
}

struct crn_interval crn_stats_centre(const double *values, size_t count)
{
    struct crn_interval interval = {NAN, NAN, NAN, 0};
    size_t averages = count * (count + 1) / 2, at = 0;
    if (count == 0 || count > CRN_STATS_MAX || has_nan(values, count))
        return interval;
    double *walsh = calloc(averages, sizeof *walsh);
    if (walsh == NULL)
        crn_out_of_memory();
    for (size_t i = 0; i < count; i++)
        for (size_t j = i; j < count; j++)
            walsh[at++] = (values[i] + values[j]) / 2;
    qsort(walsh, averages, sizeof *walsh, double_compare);
    interval.estimate = quantile_sorted(walsh, averages, 0.5);
    if (count >= CRN_STATS_LEAST) {
        size_t cut = averages_cut(count, &interval.level);
        interval.low = walsh[cut];
        interval.high = walsh[averages - 1 - cut];
    }
    free(walsh);
    return interval;
}

struct crn_interval crn_stats_ratio(const double *values, const double *bases, size_t count)
{
    double logarithms[CRN_STATS_MAX];
    for (size_t i = 0; i < count && i < CRN_STATS_MAX; i++)
        logarithms[i] = values[i] > 0 && bases[i] > 0 ? log(values[i] / bases[i]) : NAN;
    struct crn_interval interval = crn_stats_centre(logarithms, count);
    interval.estimate = exp(interval.estimate);
    interval.low = exp(interval.low);
    interval.high = exp(interval.high);
    return interval;
}
