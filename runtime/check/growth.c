/*
 * The shape of growth.  See growth.h.
 *
 * How even is even: blocks come one by one, so a part that should hold n of them holds n +-
 * sqrt(n), and each comparison allows for that beside a fixed part.
 */
#include "check/growth.h"

#include <stdbool.h>
#include <string.h>

/*
 * What it takes to be called steady.  The shares are of the rate between S/4 and S.
 */
static const double LEAST_S = 45;                    /* below that, everything looks alike */
static const double LEAST_BLOCKS = 24;               /* between S/4 and S */
static const double PART_LOW = 0.5, PART_HIGH = 1.5; /* each part's share, chance left aside */
static const double TREND_MOST = 0.25;  /* how much the older half may differ from the younger */
static const double RECENT_LEAST = 0.8; /* what came lately */
static const double LEVEL_LEAST = 0.5;  /* of the rate, in the growth of the whole heap */
static const double OLDER_MOST = 0.25;  /* of what has grown, that was there before it began */
static const double BREATH_MOST = 0.4;  /* of what has grown, that the heap was larger before */
static const double LEVEL_SIGMAS = 4;
static const double CLAIMS_MOST = 1.6; /* of what the whole heap may have grown by */
static const double FREED_LEAST = 0.005;

enum { PARTS_LEAST = 6, PARTS_MOST = 12 };

unsigned crn_growth_scale_add(struct crn_growth_scale *scale, double young_s, double old_s,
                              double level)
{
    struct crn_growth_cell *cell = &scale->cells[scale->count - (scale->count > 0)];
    double width = old_s - young_s;
    bool is_full = scale->count == CRN_GROWTH_CELLS;
    if (scale->count == 0 ||
        (!is_full && old_s - cell->young_s > 1.5 && old_s > cell->young_s * (1 + 1.0 / 12))) {
        cell = &scale->cells[scale->count++];
        *cell = (struct crn_growth_cell){young_s, old_s, level};
    } else {
        double before = cell->old_s - cell->young_s;
        if (before + width > 0)
            cell->level = (cell->level * before + level * width) / (before + width);
        cell->old_s = old_s;
    }
    scale->uptime_s = old_s;
    return scale->count - 1;
}

static double root_of(double value)
{
    double root = value > 1 ? value : 1;
    for (unsigned i = 0; i < 40 && root * root > value * 1.000001; i++)
        root = (root + value / root) / 2;
    return value > 0 ? root : 0;
}

/* Bytes and blocks of the ages [young_s, old_s); cells that reach beyond count in part. */
struct sum {
    double bytes, blocks;
};

static struct sum sum_of(const struct crn_growth_scale *scale, const struct crn_growth_rows *rows,
                         double young_s, double old_s)
{
    struct sum sum = {0, 0};
    for (unsigned i = 0; i < scale->count && scale->cells[i].young_s < old_s; i++) {
        const struct crn_growth_cell *cell = &scale->cells[i];
        double from = cell->young_s > young_s ? cell->young_s : young_s;
        double to = cell->old_s < old_s ? cell->old_s : old_s;
        double width = cell->old_s - cell->young_s;
        double share = width <= 0 ? from >= young_s : to > from ? (to - from) / width : 0;
        sum.bytes += rows->bytes[i] * share;
        sum.blocks += rows->blocks[i] * share;
    }
    sum.blocks *= rows->evenness;
    return sum;
}

/* Whether the parts of [S/4, S] hold alike, none nothing. */
static bool is_even(const struct crn_growth_scale *scale, const struct crn_growth_rows *rows,
                    double since_s, double rate, double blocks)
{
    unsigned parts = (unsigned)(blocks / 4);
    parts = parts < PARTS_LEAST ? PARTS_LEAST : parts > PARTS_MOST ? PARTS_MOST : parts;
    double width = since_s * 0.75 / parts, sigma = 1 / root_of(blocks / parts);
    double low = PART_LOW - 1.5 * sigma > 0.05 ? PART_LOW - 1.5 * sigma : 0.05;
    double high = PART_HIGH + 2 * sigma;
    for (unsigned i = 0; i < parts; i++) {
        double from = since_s / 4 + i * width;
        double share = sum_of(scale, rows, from, from + width).bytes / (rate * width);
        if (share < low || share > high)
            return false;
    }
    return true;
}

/* Whether blocks go on coming as they did: neither fewer and fewer, nor more and more. */
static bool is_lasting(const struct crn_growth_scale *scale, const struct crn_growth_rows *rows,
                       double since_s, double rate, double blocks)
{
    /* The very first cell is left out: what a program starts with lies in it, too. */
    double first = since_s * 0.9, middle = since_s * 0.575;
    double older = sum_of(scale, rows, middle, first).bytes;
    double younger = sum_of(scale, rows, since_s / 4, middle).bytes;
    double most = 1 + TREND_MOST + 3 / root_of(blocks);
    if (older > younger * most || younger > older * most)
        return false;
    for (unsigned i = 0; i < 2; i++) {
        double to = since_s / (i == 0 ? 4 : 8), from = i == 0 ? since_s / 8 : 0;
        double expected = blocks / 0.75 * (to - from) / since_s;
        double share = sum_of(scale, rows, from, to).bytes / (rate * (to - from));
        if (share < RECENT_LEAST - 2 / root_of(expected))
            return false;
    }
    return true;
}

/*
 * Whether it begins at S: fewer blocks are just older, and all that is older is little.  A
 * program's first blocks may be more than that if most of the time has passed since; beside a short
 * time they are as good as an earlier phase.
 */
static bool is_beginning(const struct crn_growth_scale *scale, const struct crn_growth_rows *rows,
                         const struct crn_growth *growth)
{
    double grown = growth->bytes_per_s * growth->since_s, uptime_s = scale->uptime_s;
    double from = growth->since_s * 1.05, first = uptime_s * 0.9;
    if (from > first)
        return true;
    double to = growth->since_s * 1.5 < uptime_s * 0.93 ? growth->since_s * 1.5 : uptime_s * 0.93;
    struct sum before = sum_of(scale, rows, from, to);
    double expected = growth->bytes_per_s * (to - from);
    if (before.bytes > expected * 0.6)
        return false;
    double first_bytes = sum_of(scale, rows, first, uptime_s * 2).bytes;
    return sum_of(scale, rows, from, first).bytes <= OLDER_MOST * grown &&
           (growth->since_s > uptime_s / 2 || first_bytes <= 2 * OLDER_MOST * grown);
}

/*
 * A line through what was live, from since_s ago until now: bytes a second, and how sure.  The
 * oldest cells are left out, for what was before since_s may lie in them, too.
 */
struct slope {
    bool is_known; /* somebody kept what was live */
    double bytes_per_s, error;
    double at_begin; /* where the line begins, since_s ago */
    double noise;    /* how far from the line, on average */
};

static struct slope slope_of(const struct crn_growth_scale *scale, double since_s)
{
    double weight = 0, weights_squared = 0, ages = 0, levels = 0, spread = 0, product = 0, rest = 0;
    const struct crn_growth_cell *cell;
    unsigned count = 0;
    for (; count < scale->count && scale->cells[count].old_s <= since_s * 0.92; count++) {
        cell = &scale->cells[count];
        double width = cell->old_s - cell->young_s, age = (cell->old_s + cell->young_s) / 2;
        weight += width;
        weights_squared += width * width;
        ages += width * age;
        levels += width * cell->level;
    }
    struct slope slope = {levels > 0, 0, 1e300, 0, 0};
    if (count < 4 || weight <= 0)
        return slope;
    ages /= weight;
    levels /= weight;
    for (unsigned i = 0; i < count; i++) {
        cell = &scale->cells[i];
        double width = cell->old_s - cell->young_s;
        double age = (cell->old_s + cell->young_s) / 2 - ages;
        spread += width * age * age;
        product -= width * age * (cell->level - levels); /* older is earlier */
    }
    slope.bytes_per_s = product / spread;
    for (unsigned i = 0; i < count; i++) {
        cell = &scale->cells[i];
        double width = cell->old_s - cell->young_s;
        double age = (cell->old_s + cell->young_s) / 2 - ages;
        double off = cell->level - levels + slope.bytes_per_s * age;
        rest += width * off * off;
    }
    double independent = weight * weight / weights_squared;
    slope.noise = root_of(rest / weight);
    slope.error = root_of(rest / weight / (independent * spread / weight));
    slope.at_begin = levels - slope.bytes_per_s * (since_s - ages);
    return slope;
}

/* The most that was live in as long a time before it began; what a program starts with is left out.
 */
static double level_before(const struct crn_growth_scale *scale, double since_s)
{
    double most = 0;
    for (unsigned i = 0; i < scale->count; i++) {
        const struct crn_growth_cell *cell = &scale->cells[i];
        if (cell->young_s >= since_s * 1.02 && cell->young_s < since_s * 2 &&
            cell->old_s <= scale->uptime_s * 0.97 && cell->level > most)
            most = cell->level;
    }
    return most;
}

/* How what is told by ages fits what is known of the whole heap. */
enum history { FITS, DID_NOT_GROW, WAS_LARGER };

static enum history history_of(const struct crn_growth_scale *scale, double since_s, double rate)
{
    struct slope slope = slope_of(scale, since_s);
    double grown = rate * since_s;
    if (!slope.is_known)
        return FITS;
    for (double part = 1; part >= 0.25; part /= 2) {
        struct slope lately = slope_of(scale, since_s * part);
        if (lately.bytes_per_s + LEVEL_SIGMAS * lately.error < LEVEL_LEAST * rate)
            return DID_NOT_GROW;
    }
    double before = level_before(scale, since_s);
    return before - slope.at_begin > BREATH_MOST * grown + LEVEL_SIGMAS * slope.noise ? WAS_LARGER
                                                                                      : FITS;
}

/*
 * When it began, and how fast it goes, given a cell that it reaches back to and about how many
 * bytes and blocks a second.  It goes on into older cells as long as they hold as many, and ends
 * where the bytes beyond are used up.
 */
static void refine(const struct crn_growth_scale *scale, const struct crn_growth_rows *rows,
                   unsigned last, double rate, double blocks_per_s, struct crn_growth *growth)
{
    double outer_s = scale->cells[last].old_s;
    for (unsigned i = last + 1; i < scale->count; i++) {
        double width = scale->cells[i].old_s - scale->cells[i].young_s;
        double share = rows->bytes[i] / (rate * width);
        double sigma = 1 / root_of(blocks_per_s * width);
        bool is_less = share < PART_LOW - 1.5 * sigma || share < 0.05;
        outer_s += is_less ? share * width : width;
        if (is_less || share > PART_HIGH + 2 * sigma)
            break;
    }
    double inner_s = outer_s * 0.85;
    double short_lived = sum_of(scale, rows, outer_s / 8, outer_s / 4).bytes;
    double from = outer_s / (short_lived < rate * outer_s / 8 * PART_HIGH ? 8 : 4);
    growth->bytes_per_s = sum_of(scale, rows, from, inner_s).bytes / (inner_s - from);
    growth->since_s = inner_s + sum_of(scale, rows, inner_s, outer_s).bytes / growth->bytes_per_s;
    if (growth->since_s > outer_s)
        growth->since_s = outer_s;
}

/* The oldest age from which on there is as much of every age; false: there is none. */
static bool plateau_find(const struct crn_growth_scale *scale, const struct crn_growth_rows *rows,
                         struct crn_growth *growth)
{
    for (unsigned i = scale->count; i-- > 0 && scale->cells[i].old_s >= LEAST_S;) {
        double since_s = scale->cells[i].old_s;
        struct sum sum = sum_of(scale, rows, since_s / 4, since_s);
        double rate = sum.bytes / (since_s * 0.75);
        if (sum.blocks < LEAST_BLOCKS || !is_even(scale, rows, since_s, rate, sum.blocks) ||
            !is_lasting(scale, rows, since_s, rate, sum.blocks))
            continue;
        refine(scale, rows, i, rate, sum.blocks / (since_s * 0.75), growth);
        struct sum grown = sum_of(scale, rows, growth->since_s / 4, growth->since_s);
        if (is_lasting(scale, rows, growth->since_s, growth->bytes_per_s, grown.blocks) &&
            is_beginning(scale, rows, growth))
            return true;
    }
    return false;
}

struct crn_growth crn_growth_judge(const struct crn_growth_scale *scale,
                                   const struct crn_growth_rows *rows)
{
    static const double LEAST_UPTIME_S = 30, FEW = 0.02, MOST = 0.9;
    struct crn_growth growth = {CRN_GROWTH_UNKNOWN, -1, -1}, found = growth;
    double uptime_s = scale->uptime_s;
    struct sum all = sum_of(scale, rows, 0, uptime_s * 2);
    if (uptime_s < LEAST_UPTIME_S || all.blocks <= 0)
        return growth;
    if (plateau_find(scale, rows, &found)) {
        enum history history = history_of(scale, found.since_s, found.bytes_per_s);
        if (history == FITS) {
            found.shape = CRN_GROWTH_STEADY;
            return found;
        }
        if (history == DID_NOT_GROW)
            growth = (struct crn_growth){CRN_GROWTH_CHURN, 0, -1};
        return growth;
    }
    if (sum_of(scale, rows, 0, uptime_s / 2).bytes <= FEW * all.bytes)
        growth = (struct crn_growth){CRN_GROWTH_STARTUP, 0, -1};
    else if (sum_of(scale, rows, 0, uptime_s / 4).bytes >= MOST * all.bytes &&
             sum_of(scale, rows, 0, uptime_s / 16).bytes >= all.bytes / 2)
        growth = (struct crn_growth){CRN_GROWTH_CHURN, 0, -1};
    return growth;
}

/* Whether what is called steady claims more than the heap can have grown by since some moment. */
static bool claims_too_much(const struct crn_growth_scale *scale, const struct crn_growth *growths,
                            unsigned count, double since_s)
{
    struct slope slope = slope_of(scale, since_s);
    double claimed = 0, most = slope.bytes_per_s + LEVEL_SIGMAS * slope.error;
    if (!slope.is_known)
        return false;
    for (unsigned i = 0; i < count; i++)
        if (growths[i].shape == CRN_GROWTH_STEADY)
            claimed += growths[i].bytes_per_s *
                       (growths[i].since_s < since_s ? growths[i].since_s : since_s);
    return claimed > CLAIMS_MOST * (most > 0 ? most : 0) * since_s;
}

void crn_growth_settle(const struct crn_growth_scale *scale, struct crn_growth *growths,
                       const double *freed, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        while (growths[i].shape == CRN_GROWTH_STEADY &&
               claims_too_much(scale, growths, count, growths[i].since_s)) {
            unsigned most = count;
            for (unsigned j = 0; j < count; j++)
                if (growths[j].shape == CRN_GROWTH_STEADY && freed[j] >= FREED_LEAST &&
                    (most == count || freed[j] > freed[most]))
                    most = j;
            if (most == count)
                break;
            growths[most] = (struct crn_growth){CRN_GROWTH_UNKNOWN, -1, -1};
        }
    }
}
