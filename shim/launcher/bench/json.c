/*
 * A bench as JSON, schema coroner-bench/1.  Seconds, bytes and nanoseconds; unknown values are
 * null, never left out; new keys may be added.
 *
 *     { "schema": "coroner-bench/1", "coroner": VERSION, "started": "2026-11-22T07:00:00Z",
 *       "program": {"path", "argv": [...], "stdin_bytes"},
 *       "machine", "jemalloc": path of the library,
 *       "rounds", "rounds_wanted", "interrupted": signal or null,
 *       "interval_level": 0.953, "noisy": ..., "alike": ..., "notes": ["..."],
 *       "versions": [ {
 *         "name": "plain" | "jemalloc" | "off" | "sampled" | "full",
 *         "exit": {"code", "signal", "alike"}, "stdout_alike", "stderr_alike",
 *         "cpu_s": {"median", "low", "high", "samples": [...],
 *                   "ratio": {"estimate", "low", "high", "noisy"}},
 *         "wall_s": {...}, "peak_rss_bytes": {...},
 *         "allocations", "allocations_per_s",
 *         "added_ns": {"estimate", "low", "high"},
 *         "check_pause_s", "check_s", "report_s", "leaked_blocks", "processes" } ] }
 *
 * `low` and `high` beside a median are the middle half of the samples (below four rounds the least
 * and the most), those beside an estimate its interval.  Ratios are to plain and null of plain
 * itself. *alike is null where plain runs differ from each other.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "report/clean.h"
#include "report/escape.h"
#include "shim/launcher/bench/bench.h"

enum { FLAGS = JSON_REAL_PRECISION(9) };

static void set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0)
        crn_out_of_memory();
}

static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *count_of(double value)
{
    return isfinite(value) ? json_integer((json_int_t)llround(value)) : json_null();
}

static json_t *text(struct crn_store *store, const char *value)
{
    return value == NULL ? json_null() : json_string(crn_clean_utf8(store, value));
}

static json_t *alike(enum crn_likeness likeness)
{
    return likeness == CRN_VARIES ? json_null() : json_boolean(likeness == CRN_ALIKE);
}

static json_t *interval_json(const struct crn_interval *interval)
{
    if (!isfinite(interval->estimate))
        return json_null();
    json_t *object = json_object();
    set(object, "estimate", real(interval->estimate));
    set(object, "low", real(interval->low));
    set(object, "high", real(interval->high));
    return object;
}

static json_t *figure_json(const struct crn_bench *bench, const struct crn_bench_row *row,
                           enum crn_bench_metric metric)
{
    const struct crn_bench_figure *figure = &row->figures[metric];
    json_t *object = json_object(), *samples = json_array();
    json_t *ratio = interval_json(&figure->ratio);
    for (unsigned i = 0; i < bench->rounds; i++)
        json_array_append_new(samples, real(row->samples[metric][i]));
    if (json_is_object(ratio))
        set(ratio, "noisy", bench->level > 0 ? json_boolean(figure->is_noisy) : json_null());
    set(object, "median", real(figure->median));
    set(object, "low", real(figure->low));
    set(object, "high", real(figure->high));
    set(object, "samples", samples);
    set(object, "ratio", ratio);
    return object;
}

static json_t *exit_json(const struct crn_bench_row *row)
{
    json_t *object = json_object();
    set(object, "code",
        row->ending.signal == 0 ? json_integer(row->ending.exit_code) : json_null());
    set(object, "signal", row->ending.signal != 0 ? json_integer(row->ending.signal) : json_null());
    set(object, "alike", alike(row->exit));
    return object;
}

static json_t *row_json(const struct crn_bench *bench, const struct crn_bench_row *row)
{
    bool is_watched = row >= &bench->rows[CRN_BENCH_OFF];
    json_t *object = json_object();
    set(object, "name", json_string(row->name));
    set(object, "exit", exit_json(row));
    set(object, "stdout_alike", alike(row->streams[0]));
    set(object, "stderr_alike", alike(row->streams[1]));
    set(object, "cpu_s", figure_json(bench, row, CRN_BENCH_CPU));
    set(object, "wall_s", figure_json(bench, row, CRN_BENCH_WALL));
    set(object, "peak_rss_bytes", figure_json(bench, row, CRN_BENCH_PEAK));
    set(object, "allocations", count_of(row->allocation_count));
    set(object, "allocations_per_s", real(row->allocations_per_s));
    set(object, "added_ns", interval_json(&row->added_ns));
    set(object, "check_pause_s", real(row->pause_median_s));
    set(object, "check_s", real(row->check_median_s));
    set(object, "report_s", real(row->facts.report_s));
    set(object, "leaked_blocks", count_of(row->facts.leaked_blocks));
    set(object, "processes", is_watched ? count_of((double)row->facts.processes) : json_null());
    return object;
}

static json_t *program_json(const struct crn_bench *bench, struct crn_store *store)
{
    json_t *object = json_object(), *argv = json_array();
    for (char *const *argument = bench->argv; *argument != NULL; argument++)
        json_array_append_new(argv, text(store, *argument));
    set(object, "path", text(store, bench->path));
    set(object, "argv", argv);
    set(object, "stdin_bytes", json_integer((json_int_t)bench->input_bytes));
    return object;
}

char *crn_bench_json(const struct crn_bench *bench, bool is_compact)
{
    struct crn_store *store = crn_store_create();
    json_t *object = json_object(), *notes = json_array(), *versions = json_array();
    char started[32];
    struct tm utc;
    strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&bench->started, &utc));
    for (size_t i = 0; i < bench->notes_count; i++)
        json_array_append_new(notes, text(store, bench->notes[i]));
    for (int i = 0; i < CRN_BENCH_VERSIONS; i++)
        if (bench->rows[i].is_there)
            json_array_append_new(versions, row_json(bench, &bench->rows[i]));
    set(object, "schema", json_string("coroner-bench/1"));
    set(object, "coroner", json_string(CORONER_VERSION));
    set(object, "started", json_string(started));
    set(object, "program", program_json(bench, store));
    set(object, "machine", text(store, bench->machine));
    set(object, "jemalloc", text(store, bench->jemalloc));
    set(object, "rounds", json_integer(bench->rounds));
    set(object, "rounds_wanted", json_integer(bench->rounds_wanted));
    set(object, "interrupted",
        bench->interruption != 0 ? json_integer(bench->interruption) : json_null());
    set(object, "interval_level", bench->level > 0 ? json_real(bench->level) : json_null());
    set(object, "noisy", bench->level > 0 ? json_boolean(bench->is_noisy) : json_null());
    set(object, "alike", json_boolean(bench->is_alike));
    set(object, "notes", notes);
    set(object, "versions", versions);
    char *bytes;
    size_t count;
    FILE *file = open_memstream(&bytes, &count);
    if (file == NULL)
        crn_out_of_memory();
    crn_json_write(object, file, (is_compact ? JSON_COMPACT : JSON_INDENT(2)) | FLAGS);
    if (fclose(file) != 0)
        crn_out_of_memory();
    json_decref(object);
    crn_store_destroy(store);
    return bytes;
}

void crn_bench_write_json(const struct crn_bench *bench, FILE *file)
{
    char *bytes = crn_bench_json(bench, false);
    fprintf(file, "%s\n", bytes);
    free(bytes);
}
