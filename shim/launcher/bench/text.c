/*
 * A bench for a person: what was measured, what it is beside plain, what each call and the end
 * cost; then the notes.
 */
#include <string.h>

#include "report/clean.h"
#include "shim/launcher/bench/words.h"

enum { LABEL_WIDTH = 17, VALUE_WIDTH = 8, SPREAD_WIDTH = 18, WIDTH = 11 };

struct table {
    const struct crn_bench *bench;
    struct crn_store *store;
    FILE *file;
    int blanks; /* due before the next word of the line; there are none at its end */
};

static const char *const metric_words[CRN_BENCH_METRICS] = {"CPU", "wall", "peak"};

/* Prints a word at the left or right of a cell. */
static void word_print(struct table *table, const char *word, int width, bool is_right)
{
    int length = (int)strlen(word), rest = width > length ? width - length : 0;
    table->blanks += is_right ? rest : 0;
    if (length > 0)
        fprintf(table->file, "%*s%s", table->blanks, "", word);
    table->blanks = (length > 0 ? 0 : table->blanks) + (is_right ? 0 : rest);
}

static void line_end(struct table *table)
{
    fputc('\n', table->file);
    table->blanks = 0;
}

/* A cell of two: a value (marked when it is noisy) and its spread. */
static void cells_print(struct table *table, const char *value, bool is_noisy, const char *spread)
{
    if (is_noisy)
        value = crn_store_print(table->store, "~%s", value);
    word_print(table, value, VALUE_WIDTH, true);
    table->blanks += 2;
    word_print(table, spread, SPREAD_WIDTH, false);
}

/* Begins a table with its title, and those of the three metrics. */
static void titles_print(struct table *table, const char *title, bool has_units)
{
    line_end(table);
    word_print(table, title, LABEL_WIDTH, false);
    for (int metric = 0; metric < CRN_BENCH_METRICS; metric++) {
        struct crn_bench_unit unit =
            crn_bench_unit_choose(table->bench, (enum crn_bench_metric)metric);
        cells_print(table,
                    crn_store_print(table->store, "%s%s%s", metric_words[metric],
                                    has_units ? " " : "", has_units ? unit.name : ""),
                    false, "");
    }
    line_end(table);
}

static void figures_print(struct table *table)
{
    const struct crn_bench *bench = table->bench;
    titles_print(table,
                 bench->rounds >= 4  ? "median, half"
                 : bench->rounds > 1 ? "median, range"
                                     : "measured",
                 true);
    for (int i = 0; i < CRN_BENCH_VERSIONS; i++) {
        const struct crn_bench_row *row = &bench->rows[i];
        if (!row->is_there)
            continue;
        word_print(table, row->label, LABEL_WIDTH, false);
        for (int metric = 0; metric < CRN_BENCH_METRICS; metric++) {
            const struct crn_bench_figure *figure = &row->figures[metric];
            struct crn_bench_unit unit =
                crn_bench_unit_choose(bench, (enum crn_bench_metric)metric);
            cells_print(table,
                        crn_bench_value(table->store, figure->median / unit.one, unit.decimals),
                        false,
                        crn_bench_spread(table->store, figure->low / unit.one,
                                         figure->high / unit.one, unit.decimals));
        }
        line_end(table);
    }
}

static void ratios_print(struct table *table)
{
    const struct crn_bench *bench = table->bench;
    const char *title = "to plain";
    if (bench->level > 0)
        title = crn_store_print(table->store, "to plain, %.0f %%", 100 * bench->level);
    titles_print(table, title, false);
    for (int i = CRN_BENCH_PLAIN + 1; i < CRN_BENCH_VERSIONS; i++) {
        const struct crn_bench_row *row = &bench->rows[i];
        if (!row->is_there)
            continue;
        word_print(table, row->label, LABEL_WIDTH, false);
        for (int metric = 0; metric < CRN_BENCH_METRICS; metric++) {
            const struct crn_bench_figure *figure = &row->figures[metric];
            cells_print(table, crn_bench_value(table->store, figure->ratio.estimate, 3),
                        figure->is_noisy,
                        crn_bench_spread(table->store, figure->ratio.low, figure->ratio.high, 3));
        }
        line_end(table);
    }
}

static void calls_print(struct table *table)
{
    const struct crn_bench *bench = table->bench;
    struct crn_store *store = table->store;
    static const char *const titles[] = {"calls/s", "pause ms", "check ms", "report ms"};
    line_end(table);
    word_print(table, "each call; end", LABEL_WIDTH, false);
    cells_print(table, "ns more", false, "");
    for (unsigned i = 0; i < CRN_COUNT_OF(titles); i++)
        word_print(table, titles[i], WIDTH, true);
    line_end(table);
    for (int i = 0; i < CRN_BENCH_VERSIONS; i++) {
        const struct crn_bench_row *row = &bench->rows[i];
        if (!row->is_there)
            continue;
        word_print(table, row->label, LABEL_WIDTH, false);
        int decimals = crn_bench_added_decimals(row);
        cells_print(table, crn_bench_value(store, row->added_ns.estimate, decimals), false,
                    crn_bench_spread(store, row->added_ns.low, row->added_ns.high, decimals));
        word_print(table, crn_bench_rate(store, row->allocations_per_s), WIDTH, true);
        word_print(table, crn_bench_value(store, 1e3 * row->pause_median_s, 3), WIDTH, true);
        word_print(table, crn_bench_value(store, 1e3 * row->check_median_s, 3), WIDTH, true);
        word_print(table, crn_bench_value(store, 1e3 * row->facts.report_s, 1), WIDTH, true);
        line_end(table);
    }
}

void crn_bench_write_text(const struct crn_bench *bench, FILE *file)
{
    struct table table = {bench, crn_store_create(), file, 0};
    const char *calls = crn_bench_calls(table.store, bench);
    fprintf(file, "%s\n%s; %s\n", crn_bench_command(table.store, bench),
            crn_bench_rounds(table.store, bench), crn_clean_line(table.store, bench->machine));
    if (calls != NULL)
        fprintf(file, "%s\n", calls);
    if (bench->rounds > 0) {
        figures_print(&table);
        ratios_print(&table);
        calls_print(&table);
    }
    fputc('\n', file);
    if (crn_bench_is_same(bench))
        fprintf(file, "Output and exit status are the same in all versions.\n");
    for (size_t i = 0; i < bench->notes_count; i++)
        fprintf(file, "coroner: note: %s\n", crn_clean_line(table.store, bench->notes[i]));
    crn_store_destroy(table.store);
}
