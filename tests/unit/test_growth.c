/*
 * Growth from one look: programs are played second by second, then looked at once, as a check
 * would.  Each is played with many seeds.
 *
 * A program is some sites, each of which makes and frees blocks by a rule of its own.  The heap's
 * level at each second is that of all sites together.
 */
#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check/growth.h"

enum { SITES_MAX = 12, BLOCKS_MAX = 400000, SECONDS_MAX = 4000, SEEDS = 6 };

struct block {
    float born;
    float size;
};

struct site {
    void (*play)(struct site *site, unsigned second);
    double a, b, c; /* of the rule; says each of them */
    double size;
    struct block *blocks; /* the oldest first, but for rules that replace */
    size_t count;
    double live;
};

static struct site sites[SITES_MAX];
static unsigned site_count, seconds;
static double levels[SECONDS_MAX];
static uint64_t state;
static struct crn_growth_scale scale;

static double chance(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / 9007199254740992.0;
}

/* How many events a second has, of so many on average. */
static unsigned events(double mean)
{
    unsigned count = 0;
    if (mean > 50)
        return (unsigned)(mean +
                          sqrt(mean) * (chance() + chance() + chance() + chance() - 2) * 1.73);
    for (double left = exp(-mean), product = chance(); product > left; product *= chance())
        count++;
    return count;
}

static void make(struct site *site, double at)
{
    cr_assert(site->count < BLOCKS_MAX);
    double size = site->size;
    site->blocks[site->count++] = (struct block){(float)at, (float)size};
    site->live += size;
}

static void drop(struct site *site, size_t index) /* in no order */
{
    site->live -= site->blocks[index].size;
    site->blocks[index] = site->blocks[--site->count];
}

static void drop_oldest(struct site *site, size_t count)
{
    for (size_t i = 0; i < count; i++)
        site->live -= site->blocks[i].size;
    memmove(site->blocks, site->blocks + count, (site->count - count) * sizeof *site->blocks);
    site->count -= count;
}

static void drop_newest(struct site *site, size_t count)
{
    for (size_t i = 0; i < count && site->count > 0; i++)
        site->live -= site->blocks[--site->count].size;
}

static void make_some(struct site *site, unsigned second, double mean)
{
    for (unsigned left = events(mean); left > 0; left--)
        make(site, second + chance());
}

/* a: blocks a second, from second b on. */
static void leak(struct site *site, unsigned second)
{
    if (second >= site->b)
        make_some(site, second, site->a);
}

/* a: one block every so many seconds, to the second. */
static void regular_leak(struct site *site, unsigned second)
{
    if (second % (unsigned)site->a == 0)
        make(site, second + 0.5);
}

/* a: blocks a second, of which each dies with a chance of 1 / b every second; one in c never. */
static void churn(struct site *site, unsigned second)
{
    for (size_t i = 0; i < site->count;)
        if (site->blocks[i].size > 0 && fmod((double)site->blocks[i].born * 4096, site->c) >= 1 &&
            chance() < 1 / site->b)
            drop(site, i);
        else
            i++;
    make_some(site, second, site->a);
}

/* a: blocks a second, of which the newest b are kept. */
static void ring(struct site *site, unsigned second)
{
    make_some(site, second, site->a);
    if (site->count > site->b)
        drop_oldest(site, site->count - (size_t)site->b);
}

/* a: blocks a second, each kept b seconds. */
static void sessions(struct site *site, unsigned second)
{
    size_t old = 0;
    make_some(site, second, site->a);
    while (old < site->count && site->blocks[old].born < second - site->b)
        old++;
    drop_oldest(site, old);
}

/* a: misses a second; a cache of b blocks that replaces any of them. */
static void random_cache(struct site *site, unsigned second)
{
    for (unsigned left = events(site->a); left > 0; left--) {
        if (site->count >= site->b)
            drop(site, (size_t)(chance() * (double)site->count));
        make(site, second + chance());
    }
}

/* a: requests a second for one of b things, each kept for good when it is first asked for. */
static void memo(struct site *site, unsigned second)
{
    for (unsigned left = events(site->a); left > 0; left--)
        if (chance() * site->b >= (double)site->count)
            make(site, second + chance());
}

/* a: blocks a second for b seconds, then nothing for c, and so on; all are kept. */
static void phases(struct site *site, unsigned second)
{
    if (fmod(second, site->b + site->c) < site->b)
        make_some(site, second, site->a);
}

/* a: blocks a second; every b seconds all go, but for a share c. */
static void sawtooth(struct site *site, unsigned second)
{
    if (fmod(second, site->b) < 1)
        drop_newest(site, (size_t)((double)site->count * (1 - site->c)));
    make_some(site, second, site->a);
}

/* a: blocks a second for b seconds, then so many fewer, the newest first (c = 1: the oldest). */
static void breathe(struct site *site, unsigned second)
{
    if (fmod(second, 2 * site->b) < site->b)
        make_some(site, second, site->a);
    else if (site->c > 0 && site->a < (double)site->count)
        drop_oldest(site, (size_t)site->a);
    else
        drop_newest(site, (size_t)site->a);
}

/* a: blocks in the first b seconds. */
static void startup(struct site *site, unsigned second)
{
    if (second < site->b)
        make_some(site, second, site->a / site->b);
}

/* a: blocks at once, every b seconds; all are kept. */
static void steps(struct site *site, unsigned second)
{
    if (fmod(second, site->b) < 1)
        for (double i = 0; i < site->a; i++)
            make(site, second + 0.5);
}

static void begin(unsigned seed, unsigned uptime)
{
    site_count = 0;
    seconds = uptime;
    state = 88172645463325252u ^ (seed * 0x9e3779b97f4a7c15u);
}

static struct site *add(void (*play)(struct site *, unsigned), double size, double a, double b,
                        double c)
{
    struct site *site = &sites[site_count++];
    struct block *blocks =
        site->blocks != NULL ? site->blocks : malloc(BLOCKS_MAX * sizeof *blocks);
    *site = (struct site){play, a, b, c, size, blocks, 0, 0};
    return site;
}

static void play(void)
{
    for (unsigned second = 0; second < seconds; second++) {
        levels[second] = 1e6;
        for (unsigned i = 0; i < site_count; i++) {
            levels[second] += sites[i].live;
            sites[i].play(&sites[i], second);
        }
    }
    memset(&scale, 0, sizeof scale);
}

/* Looks at a site, `clock_s` seconds to a birth. */
static struct crn_growth look(const struct site *site, unsigned clock_s)
{
    static unsigned cell_of[SECONDS_MAX];
    double bytes[CRN_GROWTH_CELLS] = {0}, squares = 0;
    uint32_t blocks[CRN_GROWTH_CELLS] = {0};
    memset(&scale, 0, sizeof scale);
    for (unsigned to = seconds; to > 0;) {
        unsigned from = (to - 1) / clock_s * clock_s;
        unsigned cell = crn_growth_scale_add(&scale, seconds - to, seconds - from, levels[from]);
        for (; to > from; to--)
            cell_of[to - 1] = cell;
    }
    for (size_t i = 0; i < site->count; i++) {
        const struct block *block = &site->blocks[i];
        bytes[cell_of[(unsigned)block->born]] += block->size;
        blocks[cell_of[(unsigned)block->born]]++;
        squares += block->size * block->size;
    }
    struct crn_growth_rows rows = {
        bytes, blocks,
        site->count > 0 ? site->live * site->live / ((double)site->count * squares) : 1};
    return crn_growth_judge(&scale, &rows);
}

static const char *word(enum crn_growth_shape shape)
{
    static const char *const words[] = {"unknown", "startup", "churn", "steady"};
    return words[shape];
}

/* Which of the seeds a rule is called steady for, as a text; "": none. */
struct tally {
    unsigned of_shape[CRN_GROWTH_SHAPE_COUNT];
    double worst_rate, worst_since; /* the largest relative errors */
};

static void tally_add(struct tally *tally, const struct crn_growth *growth, double rate,
                      double since)
{
    tally->of_shape[growth->shape]++;
    if (growth->shape != CRN_GROWTH_STEADY)
        return;
    double rate_off = fabs(growth->bytes_per_s / rate - 1);
    double since_off = fabs(growth->since_s / since - 1);
    tally->worst_rate = rate_off > tally->worst_rate ? rate_off : tally->worst_rate;
    tally->worst_since = since_off > tally->worst_since ? since_off : tally->worst_since;
}

Test(growth, a_leak_is_steady_and_its_rate_and_beginning_are_known)
{
    static const struct {
        double size, rate, begin;
        unsigned uptime, clock_s;
    } rows[] = {
        {64, 1024, 0, 600, 1},      {1024, 1024, 0, 600, 1},    {1024, 1024, 150, 600, 1},
        {4096, 10240, 300, 600, 1}, {256, 102400, 450, 600, 1}, {1024, 10240, 0, 120, 1},
        {1024, 1024, 0, 600, 20},   {512, 10240, 100, 3600, 1}, {512, 1024, 3000, 3600, 1},
        {1024, 1024, 60, 300, 1},
    };
    for (unsigned row = 0; row < sizeof rows / sizeof *rows; row++) {
        struct tally tally = {0};
        for (unsigned seed = 1; seed <= SEEDS; seed++) {
            begin(seed, rows[row].uptime);
            struct site *leaking =
                add(leak, rows[row].size, rows[row].rate / rows[row].size, rows[row].begin, 0);
            add(churn, 4096, 300, 2 + seed % 5, 1e9); /* a sample of what goes on beside it */
            play();
            struct crn_growth growth = look(leaking, rows[row].clock_s);
            tally_add(&tally, &growth, rows[row].rate, rows[row].uptime - rows[row].begin);
        }
        cr_expect(tally.of_shape[CRN_GROWTH_STEADY] == SEEDS,
                  "row %u: steady %u, churn %u, startup %u, unknown %u of %d", row,
                  tally.of_shape[CRN_GROWTH_STEADY], tally.of_shape[CRN_GROWTH_CHURN],
                  tally.of_shape[CRN_GROWTH_STARTUP], tally.of_shape[CRN_GROWTH_UNKNOWN], SEEDS);
        double blocks = rows[row].rate / rows[row].size * (rows[row].uptime - rows[row].begin);
        double chance_off = 4 / sqrt(blocks); /* what so few blocks may be off by chance */
        cr_expect(tally.worst_rate < (chance_off > 0.2 ? chance_off : 0.2) &&
                      tally.worst_since < 0.1,
                  "row %u: rate off by %.2f, beginning by %.2f", row, tally.worst_rate,
                  tally.worst_since);
    }
}

Test(growth, a_leak_is_seen_through_churn_and_startup_of_the_same_stack)
{
    struct tally tally = {0}, spike = {0};
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        begin(seed, 600);
        struct site *mixed = add(churn, 512, 200, 3, 50); /* about one in fifty stays */
        play();
        struct crn_growth growth = look(mixed, 1);
        tally_add(&tally, &growth, 200 * 512 / 50.0, 600);
        begin(seed, 600);
        struct site *table = add(startup, 1024, 20000, 5, 0);
        struct site *leaking = add(leak, 1024, 10, 0, 0);
        play();
        memcpy(table->blocks + table->count, leaking->blocks,
               leaking->count * sizeof *table->blocks);
        table->count += leaking->count;
        table->live += leaking->live;
        growth = look(table, 1);
        tally_add(&spike, &growth, 10240, 600);
    }
    cr_expect(tally.of_shape[CRN_GROWTH_STEADY] == SEEDS && tally.worst_rate < 0.2 &&
                  tally.worst_since < 0.1,
              "churn: steady %u, rate off by %.2f, beginning by %.2f",
              tally.of_shape[CRN_GROWTH_STEADY], tally.worst_rate, tally.worst_since);
    cr_expect(spike.of_shape[CRN_GROWTH_STEADY] == SEEDS && spike.worst_rate < 0.2 &&
                  spike.worst_since < 0.1,
              "startup: steady %u, rate off by %.2f, beginning by %.2f",
              spike.of_shape[CRN_GROWTH_STEADY], spike.worst_rate, spike.worst_since);
}

Test(growth, blocks_that_come_by_the_clock_are_steady)
{
    begin(1, 600);
    struct site *leaking = add(regular_leak, 16384, 16, 0, 0);
    play();
    struct crn_growth growth = look(leaking, 1);
    cr_assert_eq(growth.shape, CRN_GROWTH_STEADY);
    cr_assert_float_eq(growth.bytes_per_s, 1024, 205);
    cr_assert_float_eq(growth.since_s, 600, 60);
}

Test(growth, what_only_warms_up_or_breathes_is_never_steady)
{
    static const struct {
        const char *what;
        void (*play)(struct site *, unsigned);
        double a, b, c;
        unsigned uptime;
        enum crn_growth_shape shape; /* UNKNOWN: any but steady */
    } rows[] = {
        {"all at the start", startup, 5000, 10, 0, 600, CRN_GROWTH_STARTUP},
        {"a cache filled in a third of the time", startup, 5000, 200, 0, 600, CRN_GROWTH_STARTUP},
        {"a ring that has come round twice", ring, 20, 4000, 0, 600, CRN_GROWTH_UNKNOWN},
        {"a ring that has come round often", ring, 20, 600, 0, 600, CRN_GROWTH_CHURN},
        {"a ring that has just come round", ring, 20, 9000, 0, 600, CRN_GROWTH_UNKNOWN},
        {"sessions of five minutes", sessions, 10, 300, 0, 600, CRN_GROWTH_UNKNOWN},
        {"sessions of two minutes", sessions, 10, 120, 0, 3600, CRN_GROWTH_CHURN},
        {"sessions of half an hour", sessions, 10, 1800, 0, 3600, CRN_GROWTH_UNKNOWN},
        {"a cache with random replacement", random_cache, 50, 2000, 0, 600, CRN_GROWTH_CHURN},
        {"a slow one", random_cache, 10, 2000, 0, 600, CRN_GROWTH_UNKNOWN},
        {"a very slow one", random_cache, 10, 4000, 0, 600, CRN_GROWTH_UNKNOWN},
        {"a memo, nearly full", memo, 50, 10000, 0, 600, CRN_GROWTH_UNKNOWN},
        {"a memo, full", memo, 100, 5000, 0, 600, CRN_GROWTH_STARTUP},
        {"a memo, two thirds full", memo, 20, 10000, 0, 600, CRN_GROWTH_UNKNOWN},
        {"phases of half a minute", phases, 100, 30, 90, 600, CRN_GROWTH_UNKNOWN},
        {"phases of two minutes", phases, 100, 120, 120, 600, CRN_GROWTH_UNKNOWN},
        {"phases that are over", phases, 100, 60, 600, 600, CRN_GROWTH_STARTUP},
        {"a sawtooth, high", sawtooth, 50, 199, 0, 590, CRN_GROWTH_UNKNOWN},
        {"a sawtooth, half way up", sawtooth, 50, 200, 0, 500, CRN_GROWTH_UNKNOWN},
        {"a sawtooth that keeps a third", sawtooth, 50, 130, 0.33, 600, CRN_GROWTH_UNKNOWN},
        {"a fast sawtooth", sawtooth, 50, 20, 0, 615, CRN_GROWTH_CHURN},
        {"a sawtooth of a quarter of an hour", sawtooth, 20, 900, 0, 3500, CRN_GROWTH_UNKNOWN},
        {"breathing, on the way up", breathe, 30, 80, 0, 559, CRN_GROWTH_UNKNOWN},
        {"breathing, the oldest first", breathe, 30, 80, 1, 559, CRN_GROWTH_UNKNOWN},
        {"breathing, on the way down", breathe, 30, 80, 0, 620, CRN_GROWTH_UNKNOWN},
        {"slow breathing", breathe, 10, 300, 0, 2990, CRN_GROWTH_UNKNOWN},
        {"steps", steps, 500, 100, 0, 599, CRN_GROWTH_UNKNOWN},
        {"fewer steps", steps, 500, 250, 0, 599, CRN_GROWTH_UNKNOWN},
        {"churn", churn, 100, 5, 1e9, 600, CRN_GROWTH_CHURN},
        {"slow churn", churn, 20, 60, 1e9, 600, CRN_GROWTH_UNKNOWN},
        {"slower churn", churn, 5, 200, 1e9, 600, CRN_GROWTH_UNKNOWN},
    };
    static const unsigned clocks[] = {1, 3, 5}; /* seconds to a birth, where little is allocated */
    for (unsigned row = 0; row < sizeof rows / sizeof *rows; row++)
        for (unsigned with_churn = 0; with_churn < 2; with_churn++) {
            unsigned of_shape[CRN_GROWTH_SHAPE_COUNT] = {0};
            for (unsigned seed = 1; seed <= SEEDS; seed++) {
                begin(seed, rows[row].uptime);
                struct site *site =
                    add(rows[row].play, 1000, rows[row].a, rows[row].b, rows[row].c);
                if (with_churn)
                    add(churn, 1000, 300, 3, 1e9);
                play();
                struct crn_growth growth = look(site, clocks[seed % 3]);
                of_shape[growth.shape]++;
                cr_expect(growth.shape != CRN_GROWTH_UNKNOWN ||
                          (growth.bytes_per_s < 0 && growth.since_s < 0));
            }
            cr_expect(of_shape[CRN_GROWTH_STEADY] == 0 && (rows[row].shape == CRN_GROWTH_UNKNOWN ||
                                                           of_shape[rows[row].shape] == SEEDS),
                      "%s%s: steady %u, churn %u, startup %u, unknown %u; expected %s",
                      rows[row].what, with_churn ? ", and churn" : "", of_shape[CRN_GROWTH_STEADY],
                      of_shape[CRN_GROWTH_CHURN], of_shape[CRN_GROWTH_STARTUP],
                      of_shape[CRN_GROWTH_UNKNOWN], word(rows[row].shape));
        }
}

Test(growth, all_claims_must_fit_what_the_heap_grew_by)
{
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        struct crn_growth growths[SITES_MAX];
        double freed[SITES_MAX];
        begin(seed, 600);
        add(leak, 512, 20, 0, 0);
        for (unsigned i = 1; i < 11; i++) /* a cache of which each stack has a tenth */
            add(ring, 512, 15, 3000 + 20 * i, 0);
        play();
        for (unsigned i = 0; i < site_count; i++) {
            growths[i] = look(&sites[i], 1);
            freed[i] = i > 0 ? 0.02 : 0;
        }
        crn_growth_settle(&scale, growths, freed, site_count);
        cr_expect(growths[0].shape == CRN_GROWTH_STEADY);
        for (unsigned i = 1; i < site_count; i++)
            cr_expect(growths[i].shape != CRN_GROWTH_STEADY, "seed %u: stack %u, %.0f since %.0f",
                      seed, i, growths[i].bytes_per_s, growths[i].since_s);
    }
}

Test(growth, little_time_or_few_blocks_say_nothing)
{
    begin(1, 20);
    struct site *site = add(leak, 1000, 100, 0, 0);
    play();
    cr_assert_eq(look(site, 1).shape, CRN_GROWTH_UNKNOWN);
    begin(2, 600);
    site = add(regular_leak, 1000, 60, 0, 0);
    play();
    cr_assert_eq(look(site, 1).shape, CRN_GROWTH_UNKNOWN);
    begin(3, 600);
    site = add(leak, 1000, 0, 0, 0);
    play();
    cr_assert_eq(look(site, 1).shape, CRN_GROWTH_UNKNOWN);
}
