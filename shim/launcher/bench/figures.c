/*
 * Makes figures of samples, and says in sentences what a reader must know before believing them.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/launcher/bench/bench.h"
#include "sym/store.h"

/* An interval wider than this part of the estimate, from end to end, tells little: +-10 %. */
static const double noisy_width = 0.2;
/* Below this much CPU, start and end of the process are most of what is measured. */
static const double short_cpu_s = 0.02;

static const char *const stream_words[CRN_BENCH_STREAMS] = {"standard output", "standard error"};

CRN_PRINTF(2, 3) static void note(struct crn_bench *bench, const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        crn_out_of_memory();
    va_end(arguments);
    bench->notes =
        crn_grow(bench->notes, bench->notes_count, &bench->notes_room, sizeof *bench->notes);
    bench->notes[bench->notes_count++] = text;
}

static struct crn_bench_figure figure_make(const double *samples, const double *plain, size_t count)
{
    bool has_quarters = count >= 4;
    struct crn_bench_figure figure = {
        .median = crn_stats_quantile(samples, count, 0.5),
        .low = NAN,
        .high = NAN,
        .ratio = {NAN, NAN, NAN, 0},
    };
    if (count > 1) {
        figure.low = crn_stats_quantile(samples, count, has_quarters ? 0.25 : 0);
        figure.high = crn_stats_quantile(samples, count, has_quarters ? 0.75 : 1);
    }
    if (plain != samples)
        figure.ratio = crn_stats_ratio(samples, plain, count);
    figure.is_noisy = figure.ratio.high - figure.ratio.low > noisy_width * figure.ratio.estimate;
    return figure;
}

/* How many calls a version made; jemalloc and plain made those that the shim counted. */
static double allocation_count(const struct crn_bench *bench, enum crn_bench_version version)
{
    if (version >= CRN_BENCH_OFF)
        return crn_stats_quantile(bench->rows[version].allocations, bench->rounds, 0.5);
    double count = NAN;
    for (version = CRN_BENCH_VERSIONS; version-- > CRN_BENCH_OFF && isnan(count);)
        count = allocation_count(bench, version);
    return count;
}

static void row_judge(struct crn_bench *bench, enum crn_bench_version version)
{
    struct crn_bench_row *row = &bench->rows[version];
    const struct crn_bench_row *plain = &bench->rows[CRN_BENCH_PLAIN];
    double differences[CRN_STATS_MAX];
    for (int metric = 0; metric < CRN_BENCH_METRICS; metric++)
        row->figures[metric] =
            figure_make(row->samples[metric], plain->samples[metric], bench->rounds);
    row->allocation_count = allocation_count(bench, version);
    row->allocations_per_s = row->allocation_count / row->figures[CRN_BENCH_WALL].median;
    for (unsigned i = 0; i < bench->rounds; i++)
        differences[i] = (row->samples[CRN_BENCH_CPU][i] - plain->samples[CRN_BENCH_CPU][i]) * 1e9 /
                         row->allocation_count;
    row->added_ns = (struct crn_interval){NAN, NAN, NAN, 0};
    if (version != CRN_BENCH_PLAIN && row->allocation_count > 0)
        row->added_ns = crn_stats_centre(differences, bench->rounds);
    row->pause_median_s = crn_stats_quantile(row->check_pause_s, bench->rounds, 0.5);
    row->check_median_s = crn_stats_quantile(row->check_s, bench->rounds, 0.5);
}

/* "exit status 3", "signal 11 (Segmentation fault)" */
static const char *ending_words(const struct crn_ending *ending, char *words, size_t room)
{
    if (ending->signal != 0)
        snprintf(words, room, "signal %d (%s)", ending->signal, strsignal(ending->signal));
    else
        snprintf(words, room, "exit status %d", ending->exit_code);
    return words;
}

static void note_endings(struct crn_bench *bench)
{
    const struct crn_bench_row *plain = &bench->rows[CRN_BENCH_PLAIN];
    char words[64], plain_words[64];
    ending_words(&plain->ending, plain_words, sizeof plain_words);
    for (int i = 0; i < CRN_BENCH_VERSIONS; i++) {
        const struct crn_bench_row *row = &bench->rows[i];
        if (row->is_there && row->exit == CRN_DIFFERS)
            note(bench, "%s ends otherwise than plain in %u of %u runs: %s, not %s", row->label,
                 row->unlike_exits, row->runs, ending_words(&row->ending, words, sizeof words),
                 plain_words);
    }
    if (plain->exit == CRN_VARIES)
        note(bench, "the program ends now so, now so by itself, also plain: endings are not "
                    "compared");
    else if (plain->ending.signal != 0 || plain->ending.exit_code != 0)
        note(bench, "the program fails, plain as well: %s", plain_words);
}

static void note_stream(struct crn_bench *bench, int stream)
{
    bool is_jemalloc = bench->rows[CRN_BENCH_JEMALLOC].streams[stream] == CRN_DIFFERS;
    bool is_coroner = false;
    for (int i = 0; i < CRN_BENCH_VERSIONS; i++) {
        const struct crn_bench_row *row = &bench->rows[i];
        const struct crn_bench_difference *difference = &row->differences[stream];
        if (!row->is_there || row->streams[stream] != CRN_DIFFERS)
            continue;
        is_coroner |= i >= CRN_BENCH_OFF;
        note(
            bench,
            "%s of %s differs from plain's in %u of %u runs, from line %llu on: \"%s\", not \"%s\"",
            stream_words[stream], row->label, row->unlike_streams[stream], row->runs,
            (unsigned long long)difference->line, difference->other, difference->plain);
    }
    if (is_jemalloc && is_coroner)
        note(bench, "%s differs with plain jemalloc, too: it shows the allocator, not Coroner",
             stream_words[stream]);
    if (bench->rows[CRN_BENCH_PLAIN].streams[stream] == CRN_VARIES)
        note(bench, "%s differs from run to run by itself, also plain: it is not compared",
             stream_words[stream]);
}

static void note_trust(struct crn_bench *bench)
{
    double cpu_s = bench->rows[CRN_BENCH_PLAIN].figures[CRN_BENCH_CPU].median;
    if (bench->is_noisy)
        note(bench,
             "too noisy to tell: ~ marks ratios whose interval is wider than 10 %% either "
             "way; a quieter machine, more rounds (-n %u) or a longer run would tell",
             bench->rounds * 4 < CRN_STATS_MAX ? bench->rounds * 4 : CRN_STATS_MAX);
    if (bench->level == 0)
        note(bench, "no intervals: they need %d rounds (-n), and 6 for 95 %%", CRN_STATS_LEAST);
    else if (bench->level < 0.95)
        note(bench,
             "of %u rounds intervals hold the truth in only %.0f of 100 cases; 6 are needed "
             "(-n 6) for 95",
             bench->rounds, 100 * bench->level);
    if (cpu_s < short_cpu_s)
        note(bench,
             "the program takes only %.1f ms of CPU: its start and end are most of what is "
             "measured",
             1e3 * cpu_s);
    if (bench->rows[CRN_BENCH_PLAIN].figures[CRN_BENCH_PEAK].median <= 1.1 * bench->peak_floor)
        note(bench, "a peak below %.1f MiB cannot be told: plain's may be less",
             bench->peak_floor / (1 << 20));
}

static void note_coverage(struct crn_bench *bench)
{
    const struct crn_bench_facts *facts = &bench->rows[CRN_BENCH_FULL].facts;
    if (!bench->rows[CRN_BENCH_JEMALLOC].is_there)
        note(bench, "libcoroner.so is linked with no libjemalloc.so: there is no plain jemalloc");
    if (facts->processes == 0)
        note(bench, "the program left no recording under Coroner: allocations are unknown");
    else if (facts->unchecked > 0)
        note(bench, "%llu of %llu processes ended without a check: their allocations are unknown",
             (unsigned long long)facts->unchecked, (unsigned long long)facts->processes);
}

void crn_bench_judge(struct crn_bench *bench)
{
    bench->level = crn_stats_level(bench->rounds);
    bench->is_alike = true;
    for (int i = 0; i < CRN_BENCH_VERSIONS; i++) {
        struct crn_bench_row *row = &bench->rows[i];
        if (!row->is_there)
            continue;
        row_judge(bench, (enum crn_bench_version)i);
        bench->is_noisy |= i >= CRN_BENCH_OFF && row->figures[CRN_BENCH_CPU].is_noisy;
        bench->is_alike &= row->exit != CRN_DIFFERS;
        for (int stream = 0; stream < CRN_BENCH_STREAMS; stream++)
            bench->is_alike &= row->streams[stream] != CRN_DIFFERS;
    }
    if (bench->interruption != 0 && bench->rounds == 0)
        note(bench, "interrupted before the first round was complete: nothing was measured");
    else if (bench->interruption != 0)
        note(bench, "interrupted after %u of %u rounds", bench->rounds, bench->rounds_wanted);
    if (bench->rounds == 0)
        return;
    note_endings(bench);
    for (int stream = 0; stream < CRN_BENCH_STREAMS; stream++)
        note_stream(bench, stream);
    note_trust(bench);
    note_coverage(bench);
}

void crn_bench_fini(struct crn_bench *bench)
{
    for (size_t i = 0; i < bench->notes_count; i++)
        free(bench->notes[i]);
    free(bench->notes);
    free(bench->jemalloc);
    free(bench->machine);
}
