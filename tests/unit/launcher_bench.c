/*
 * From samples to the report of a bench: figures, what is said about them, and each format; text
 * and JSON against golden files.  CORONER_GOLDEN=write writes those anew.
 */
#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shim/launcher/bench/bench.h"

enum { ROUNDS = 7 };

static struct crn_bench bench;
static char *argv[] = {(char *)"./server", (char *)"--once", (char *)"it's <b>", NULL};

/* A bench whose rounds differ in their weather, which strikes all versions alike. */
static void setup(void)
{
    static const char *const names[] = {"plain", "jemalloc", "off", "sampled", "full"};
    static const char *const labels[] = {"plain", "jemalloc", "Coroner off", "Coroner sampled",
                                         "Coroner full"};
    static const double factors[] = {1, 0.9, 1.02, 1.04, 1.15};
    static const double weather[ROUNDS] = {1, 1.3, 1.01, 0.99, 1.02, 1.6, 1};
    memset(&bench, 0, sizeof bench);
    bench.path = "/srv/bin/server";
    bench.argv = argv;
    bench.jemalloc = strdup("/usr/lib/libjemalloc.so.2");
    bench.machine = strdup("2 x Processor");
    bench.started = 1795000000;
    bench.input_bytes = 5;
    bench.rounds = bench.rounds_wanted = ROUNDS;
    for (int i = 0; i < CRN_BENCH_VERSIONS; i++) {
        struct crn_bench_row *row = &bench.rows[i];
        bool is_watched = i >= CRN_BENCH_OFF;
        row->name = names[i];
        row->label = labels[i];
        row->is_there = true;
        row->runs = ROUNDS + 1;
        row->facts = (struct crn_bench_facts){.processes = is_watched,
                                              .allocations = NAN,
                                              .leaked_blocks = is_watched ? 3 : NAN,
                                              .report_s = is_watched ? 0.125 : NAN};
        for (int round = 0; round < ROUNDS; round++) {
            double own = 1 + 0.001 * ((round * 5 + i * 3) % 7);
            row->samples[CRN_BENCH_CPU][round] = 0.8 * factors[i] * own * weather[round];
            row->samples[CRN_BENCH_WALL][round] =
                1.25 * factors[i] * own * weather[round] * weather[round];
            row->samples[CRN_BENCH_PEAK][round] = 20e6 * (1 + i / 20.0) * own;
            row->allocations[round] = is_watched ? 2000000 : NAN;
            row->check_pause_s[round] = is_watched ? 0.002 * own : NAN;
            row->check_s[round] = is_watched ? 0.004 * own : NAN;
        }
    }
}

static void teardown(void)
{
    crn_bench_fini(&bench);
}

TestSuite(bench, .init = setup, .fini = teardown);

/* Whether one of the notes holds these words. */
static bool is_noted(const char *words)
{
    for (size_t i = 0; i < bench.notes_count; i++)
        if (strstr(bench.notes[i], words) != NULL)
            return true;
    return false;
}

static char *rendered(void (*write)(const struct crn_bench *, FILE *))
{
    char *bytes;
    size_t count;
    FILE *file = open_memstream(&bytes, &count);
    write(&bench, file);
    fclose(file);
    return bytes;
}

Test(bench, bad_weather_does_not_reach_the_ratios)
{
    crn_bench_judge(&bench);
    const struct crn_interval *ratio = &bench.rows[CRN_BENCH_FULL].figures[CRN_BENCH_CPU].ratio;
    cr_assert(ratio->low > 1.14 && ratio->high < 1.16, "%g .. %g", ratio->low, ratio->high);
    cr_assert(!bench.is_noisy);
    cr_assert(bench.is_alike);
    cr_assert_eq(bench.notes_count, 0u, "%s", bench.notes_count > 0 ? bench.notes[0] : "");
}

Test(bench, what_a_call_costs_is_cpu_beyond_plain)
{
    crn_bench_judge(&bench);
    double added = bench.rows[CRN_BENCH_FULL].added_ns.estimate;
    cr_assert(added > 55 && added < 75, "%g", added);
    cr_assert(bench.rows[CRN_BENCH_JEMALLOC].added_ns.high < 0, "it made the same calls");
    cr_assert(isnan(bench.rows[CRN_BENCH_PLAIN].added_ns.estimate));
    cr_assert_float_eq(bench.rows[CRN_BENCH_PLAIN].allocation_count, 2000000, 0.5);
}

Test(bench, without_calls_there_is_no_cost_of_one)
{
    for (int i = 0; i < CRN_BENCH_VERSIONS; i++)
        for (int round = 0; round < ROUNDS; round++)
            bench.rows[i].allocations[round] = 0;
    crn_bench_judge(&bench);
    cr_assert(isnan(bench.rows[CRN_BENCH_FULL].added_ns.estimate));
}

Test(bench, a_wide_interval_is_marked)
{
    for (int round = 0; round < ROUNDS; round++)
        bench.rows[CRN_BENCH_OFF].samples[CRN_BENCH_CPU][round] *= 1 + 0.1 * round;
    crn_bench_judge(&bench);
    cr_assert(bench.rows[CRN_BENCH_OFF].figures[CRN_BENCH_CPU].is_noisy);
    cr_assert(!bench.rows[CRN_BENCH_FULL].figures[CRN_BENCH_CPU].is_noisy);
    cr_assert(bench.is_noisy);
    cr_assert(is_noted("too noisy to tell"));
}

Test(bench, few_rounds_have_no_interval)
{
    bench.rounds = 2;
    crn_bench_judge(&bench);
    cr_assert_eq(bench.level, 0);
    cr_assert(is_noted("no intervals"));
    cr_assert(!bench.is_noisy);
    cr_assert(bench.rows[CRN_BENCH_FULL].figures[CRN_BENCH_CPU].ratio.estimate > 1.1);
    free(rendered(crn_bench_write_text));
}

Test(bench, another_exit_status_is_said)
{
    struct crn_bench_row *full = &bench.rows[CRN_BENCH_FULL];
    full->exit = CRN_DIFFERS;
    full->unlike_exits = 8;
    full->ending.exit_code = 23;
    crn_bench_judge(&bench);
    cr_assert(!bench.is_alike);
    cr_assert(is_noted("Coroner full ends otherwise than plain in 8 of 8 runs: exit status 23, not "
                       "exit status 0"));
}

Test(bench, the_allocator_is_blamed_when_it_alone_differs)
{
    for (int i = CRN_BENCH_JEMALLOC; i < CRN_BENCH_VERSIONS; i++)
        bench.rows[i].streams[0] = CRN_DIFFERS;
    crn_bench_judge(&bench);
    cr_assert(!bench.is_alike);
    cr_assert(is_noted("it shows the allocator, not Coroner"));
}

Test(bench, what_varies_by_itself_is_nobodys_fault)
{
    for (int i = 0; i < CRN_BENCH_VERSIONS; i++)
        bench.rows[i].streams[1] = CRN_VARIES;
    crn_bench_judge(&bench);
    cr_assert(bench.is_alike);
    cr_assert(is_noted("standard error differs from run to run by itself"));
}

Test(bench, an_interruption_before_the_first_round_leaves_nothing)
{
    bench.rounds = 0;
    bench.interruption = 2;
    crn_bench_judge(&bench);
    cr_assert_eq(bench.notes_count, 1u);
    cr_assert(is_noted("nothing was measured"));
    char *text = rendered(crn_bench_write_text), *json = rendered(crn_bench_write_json);
    cr_assert_null(strstr(text, "to plain"));
    cr_assert_not_null(strstr(json, "\"interrupted\": 2"));
    free(text);
    free(json);
}

Test(bench, a_page_holds_what_the_command_holds_as_text)
{
    crn_bench_judge(&bench);
    char *page = rendered(crn_bench_write_html);
    cr_assert_not_null(strstr(page, "./server --once 'it'\\''s &lt;b&gt;'"));
    cr_assert_null(strstr(page, "it's <b>"), "neither as markup nor inside the data");
    cr_assert_not_null(strstr(page, "it's \\u003cb>"));
    cr_assert_null(strstr(page, "{{"));
    cr_assert_not_null(strstr(page, "Chart.js v"));
    cr_assert_not_null(strstr(page, "Permission is hereby granted"));
    free(page);
}

static void compare(void (*write)(const struct crn_bench *, FILE *), const char *name)
{
    static char wanted[1 << 16];
    char path[512], *bytes = rendered(write);
    snprintf(path, sizeof path, "%s/golden/%s", CORONER_TESTS_DIR, name);
    if (getenv("CORONER_GOLDEN") != NULL) {
        FILE *file = fopen(path, "w");
        fputs(bytes, file);
        fclose(file);
        free(bytes);
        return;
    }
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s is missing", path);
    wanted[fread(wanted, 1, sizeof wanted - 1, file)] = 0;
    fclose(file);
    cr_assert_str_eq(bytes, wanted, "differs from %s:\n%s", path, bytes);
    free(bytes);
}

Test(bench, text_and_json_are_those_of_the_golden_files)
{
    bench.rows[CRN_BENCH_FULL].streams[1] = CRN_DIFFERS;
    bench.rows[CRN_BENCH_FULL].unlike_streams[1] = 2;
    bench.rows[CRN_BENCH_FULL].differences[1] =
        (struct crn_bench_difference){4, "plain's line", "another line"};
    for (int round = 0; round < ROUNDS; round++)
        bench.rows[CRN_BENCH_SAMPLED].samples[CRN_BENCH_WALL][round] *= 1 + 0.1 * round;
    crn_bench_judge(&bench);
    compare(crn_bench_write_text, "bench.txt");
    compare(crn_bench_write_json, "bench.json");
}
