/*
 * The lines of `coroner top`.  See lines.h.
 *
 *       vGROWS    BYTES   BLOCKS    COROS    SINCE  WHAT       WHERE
 *       102K/s     830M    12345                3h  grows      session_new  server.c:67
 */
#include "shim/launcher/top/lines.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/page.h"
#include "report/sampled.h"
#include "report/words.h"

/* From what width on a column is there; the narrower a line, the fewer. */
static const struct {
    const char *name;
    int width, from;
} columns[CRN_TOP_COLUMNS] = {
    [CRN_TOP_RATE] = {"GROWS", 9, 34},    [CRN_TOP_BYTES] = {"BYTES", 7, 0},
    [CRN_TOP_BLOCKS] = {"BLOCKS", 7, 72}, [CRN_TOP_COUNT] = {"COROS", 7, 64},
    [CRN_TOP_SINCE] = {"SINCE", 7, 90},   [CRN_TOP_WHAT] = {"WHAT", 9, 52},
    [CRN_TOP_WHERE] = {"WHERE", 0, 0},
};

struct crn_top_layout crn_top_layout_make(int width)
{
    struct crn_top_layout layout = {{0}};
    for (unsigned i = 0; i < CRN_TOP_WHERE; i++)
        layout.widths[i] = width == 0 || width >= columns[i].from ? columns[i].width : 0;
    return layout;
}

/* "999", "9.9 K", "830.1 M": in steps of 1,024, or of 1,000 for what is counted. */
static const char *short_number(struct crn_store *store, double value, bool is_bytes)
{
    static const char units[] = " KMGTPE";
    double step = is_bytes ? 1024 : 1000;
    unsigned unit = 0;
    for (; fabs(value) >= (is_bytes ? 1000 : 99950) && unit + 2 < sizeof units; unit++)
        value /= step;
    if (unit == 0)
        return crn_store_print(store, "%.0f", value);
    if (!is_bytes)
        return crn_store_print(store, "%.0f%c", value, units[unit] == 'K' ? 'k' : units[unit]);
    return crn_store_print(store, fabs(value) < 99.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
}

const char *crn_top_time(struct crn_store *store, double seconds)
{
    if (seconds < 0)
        return "?";
    if (seconds < 10 && seconds != floor(seconds))
        return crn_store_print(store, "%.1f s", seconds);
    if (seconds < 60)
        return crn_store_print(store, "%.0f s", seconds);
    if (seconds < 3600)
        return crn_store_print(store, "%d min %d s", (int)seconds / 60, (int)seconds % 60);
    if (seconds < 86400)
        return crn_store_print(store, "%d h %d min", (int)seconds / 3600, (int)seconds / 60 % 60);
    if (seconds < 86400e4)
        return crn_store_print(store, "%d d %d h", (int)(seconds / 86400),
                               (int)(fmod(seconds, 86400) / 3600));
    return "years";
}

/* The same in few columns: "12s", "20m", "4h", "3d". */
static const char *short_time(struct crn_store *store, double seconds)
{
    return seconds < 0         ? ""
           : seconds < 100     ? crn_store_print(store, "%.0fs", seconds)
           : seconds < 6000    ? crn_store_print(store, "%.0fm", seconds / 60)
           : seconds < 172800  ? crn_store_print(store, "%.0fh", seconds / 3600)
           : seconds < 86400e5 ? crn_store_print(store, "%.0fd", seconds / 86400)
                               : "years";
}

/* "1.2 ms", "340 ms", "2.3 s". */
static const char *cost_time(struct crn_store *store, double seconds)
{
    return seconds < 0.1 ? crn_store_print(store, "%.1f ms", seconds * 1e3)
           : seconds < 1 ? crn_store_print(store, "%.0f ms", seconds * 1e3)
                         : crn_store_print(store, "%.1f s", seconds);
}

static const char *rate_of(struct crn_store *store, double bytes_per_s)
{
    return crn_store_print(store, "%s/s", short_number(store, bytes_per_s, true));
}

static const char *pace_line(struct crn_store *store, const struct crn_top_table *table,
                             const struct crn_top_state *state)
{
    const struct crn_page page = {.store = store};
    const struct crn_process *process = table->process;
    const char *foreseen = "";
    if (process->predicted_pause_s >= 0)
        foreseen =
            crn_store_print(store, " (foreseen %s)", cost_time(store, process->predicted_pause_s));
    return crn_store_print(store, "look %u: paused %s%s, copied %s, took %s", state->look,
                           cost_time(store, process->check_pause_s), foreseen,
                           crn_page_bytes(&page, process->copied_bytes),
                           cost_time(store, state->cost.look_s));
}

static const char *when_of(struct crn_store *store, const struct crn_top_state *state)
{
    if (state->is_looking)
        return "; looking now";
    if (state->next_s < 0)
        return "";
    return crn_store_print(store, "; %s ago, next in %s", crn_top_time(store, floor(state->ago_s)),
                           crn_top_time(store, ceil(state->next_s)));
}

static const char *size_line(struct crn_store *store, const struct crn_top_table *table)
{
    const struct crn_page page = {.store = store};
    const struct crn_process *process = table->process;
    const struct crn_record_memory *memory = &process->memory;
    const char *resident = "", *limit = "";
    const char *rate =
        table->is_too_early ? "too early to tell what grows" : "nothing grows for sure";
    if (process->has_memory && memory->resident_bytes != UINT64_MAX)
        resident =
            crn_store_print(store, ", resident %s", crn_page_bytes(&page, memory->resident_bytes));
    if (table->bytes_per_s > 0)
        rate = crn_store_print(store, "grows %s/s",
                               crn_page_bytes(&page, crn_count_of(table->bytes_per_s)));
    else if (!process->has_live)
        rate = "what grows was not looked at";
    if (table->left_s >= 0)
        limit = crn_store_print(store, ", %s limit in %s",
                                memory->limit_kind == CRN_LIMIT_CGROUP ? "cgroup" : "machine's",
                                crn_top_time(store, table->left_s));
    return crn_store_print(store, "%s%s; live %s%s", rate, limit,
                           crn_page_bytes(&page, process->live.bytes), resident);
}

/* "leaked 60,000 bytes in 3 blocks; 687 coroutines (680 suspended, 7 running)". */
static const char *leak_line(struct crn_store *store, const struct crn_process *process)
{
    const struct crn_page page = {.store = store};
    const char *leaked = "no leaks", *states = "";
    uint64_t alive = 0;
    if (process->leaked.blocks > 0)
        leaked = crn_store_print(
            store, "leaked %s in %s%s", crn_page_bytes(&page, process->leaked.bytes),
            crn_page_count(&page, process->leaked.blocks, "block"),
            process->likely.blocks == process->leaked.blocks ? " (likely)" : "");
    for (unsigned state = 0; state < CRN_CORO_STATE_COUNT; state++) {
        uint64_t count = process->coroutines_by_state[state];
        if (state == CRN_CORO_DESTROYED || count == 0)
            continue;
        alive += count;
        states = crn_store_print(store, "%s%s%s %s", states, *states == 0 ? "" : ", ",
                                 crn_page_number(&page, count), crn_coro_state_words[state]);
    }
    if (alive == 0)
        return leaked;
    return crn_store_print(store, "%s; %s (%s)", leaked, crn_page_count(&page, alive, "coroutine"),
                           states);
}

void crn_top_head(struct crn_store *store, const struct crn_top_table *table,
                  const struct crn_top_state *state, const char *lines[CRN_TOP_HEAD_LINES])
{
    const struct crn_page page = {.store = store};
    const struct crn_process *process = table->process;
    lines[0] = crn_store_print(store, "%s (pid %llu), up %s%s", crn_page_base(&page, process->exe),
                               (unsigned long long)process->pid,
                               crn_top_time(store, process->duration_s), when_of(store, state));
    lines[1] = size_line(store, table);
    lines[2] = leak_line(store, process);
    lines[3] = pace_line(store, table, state);
}

/* The text of a column of a row. */
static const char *cell_of(struct crn_store *store, const struct crn_top_row *row,
                           enum crn_top_column column)
{
    switch (column) {
    case CRN_TOP_RATE:
        return !row->has_rate || row->bytes_per_s == 0 ? ""
               : row->is_measured ? crn_store_print(store, "~%s", rate_of(store, row->bytes_per_s))
                                  : rate_of(store, row->bytes_per_s);
    case CRN_TOP_BYTES:
        return short_number(store, (double)row->bytes, true);
    case CRN_TOP_BLOCKS:
        return row->blocks == 0 ? "" : short_number(store, (double)row->blocks, false);
    case CRN_TOP_COUNT:
        return row->coroutines == 0 ? "" : short_number(store, (double)row->coroutines, false);
    case CRN_TOP_SINCE:
        return short_time(store, row->since_s);
    case CRN_TOP_WHAT:
        return row->what;
    default:
        return row->where;
    }
}

/* Puts the cells of a line together: numbers to the right, words to the left. */
static const char *line_make(struct crn_store *store, const struct crn_top_layout *layout,
                             const char *const *cells)
{
    const char *line = "";
    for (unsigned i = 0; i < CRN_TOP_WHERE; i++) {
        int width = layout->widths[i];
        if (width == 0)
            continue;
        line = i < CRN_TOP_WHAT ? crn_store_print(store, "%s%*s  ", line, width, cells[i])
                                : crn_store_print(store, "%s%-*s  ", line, width, cells[i]);
    }
    return crn_store_print(store, "%s%s", line, cells[CRN_TOP_WHERE]);
}

const char *crn_top_columns(struct crn_store *store, const struct crn_top_layout *layout,
                            const struct crn_top_order *order)
{
    const char *cells[CRN_TOP_COLUMNS];
    for (unsigned i = 0; i < CRN_TOP_COLUMNS; i++)
        cells[i] =
            i != (unsigned)order->column
                ? columns[i].name
                : crn_store_print(store, "%s%s", order->is_reversed ? "^" : "v", columns[i].name);
    return line_make(store, layout, cells);
}

const char *crn_top_row(struct crn_store *store, const struct crn_top_layout *layout,
                        const struct crn_top_row *row)
{
    const char *cells[CRN_TOP_COLUMNS];
    for (unsigned i = 0; i < CRN_TOP_COLUMNS; i++)
        cells[i] = cell_of(store, row, i);
    return line_make(store, layout, cells);
}

static void ages_print(const struct crn_page *page, const struct crn_live *live)
{
    static const char *const names[CRN_AGE_COUNT] = {"up to 1 s", "10 s", "1 min", "10 min",
                                                     "1 h",       "6 h",  "1 day", "older"};
    uint64_t most = 1;
    for (unsigned age = 0; age < CRN_AGE_COUNT; age++)
        most = live->ages[age].bytes > most ? live->ages[age].bytes : most;
    fprintf(page->file, "\nages\n");
    for (unsigned age = 0; age < CRN_AGE_COUNT; age++) {
        int bar = (int)((double)live->ages[age].bytes / (double)most * 20 + 0.5);
        if (live->ages[age].blocks > 0)
            fprintf(page->file, "  %9s  %9s  %-20.*s\n", names[age],
                    crn_page_bytes(page, live->ages[age].bytes), bar, "####################");
    }
}

static void live_print(const struct crn_page *page, const struct crn_live *live)
{
    static const char *const sentences[] = {
        [CRN_GROWTH_UNKNOWN] = "too young, or too few blocks, to tell whether it grows",
        [CRN_GROWTH_STARTUP] = "born early; it does not grow",
        [CRN_GROWTH_CHURN] = "born lately, and soon gone again",
        [CRN_GROWTH_STEADY] = "it grows",
    };
    fprintf(page->file, "%s%s in %s, live: ", live->is_sampled ? "sampled " : "",
            crn_page_bytes(page, live->bytes), crn_page_count(page, live->blocks, "block"));
    fprintf(page->file, "%s", sentences[live->shape]);
    if (live->shape == CRN_GROWTH_STEADY && live->bytes_per_s >= 0)
        fprintf(page->file, ", by %s/s", crn_page_bytes(page, crn_count_of(live->bytes_per_s)));
    if (live->shape == CRN_GROWTH_STEADY && live->since_s >= 0)
        fprintf(page->file, ", since %s", crn_top_time(page->store, live->since_s));
    fputc('\n', page->file);
    if (live->retained_bytes != UINT64_MAX)
        fprintf(page->file, "%s would be freed with it\n",
                crn_page_bytes(page, live->retained_bytes));
    if (live->allocated != NULL) {
        fprintf(page->file, "\nallocated at\n");
        crn_page_stack(page, live->allocated, 2);
    }
    if (live->chain.count > 0) {
        fprintf(page->file, "\none of the older blocks is\n");
        crn_page_chain(page, &live->chain, "block");
    }
    ages_print(page, live);
}

static void leak_print(const struct crn_page *page, const struct crn_leak *leak)
{
    fprintf(page->file, "%s in %s", crn_page_bytes(page, leak->bytes),
            crn_page_count(page, leak->blocks, "block"));
    if (leak->indirect_blocks > 0)
        fprintf(page->file, ", and %s in %s behind them",
                crn_page_bytes(page, leak->indirect_bytes),
                crn_page_count(page, leak->indirect_blocks, "block"));
    fprintf(page->file, ", %s (%s)  [%016llx]\n", crn_verdict_words[leak->verdict],
            crn_confidence_word(leak->confidence), (unsigned long long)leak->id);
    if (leak->why != NULL)
        fprintf(page->file, "%s\n", crn_page_show(page, leak->why));
    if (leak->allocated != NULL) {
        fprintf(page->file, "\nallocated at\n");
        crn_page_stack(page, leak->allocated, 2);
    }
    if (leak->coroutine != NULL) {
        fputc('\n', page->file);
        crn_page_coroutine(page, leak->coroutine, leak->coroutine_count, 0);
        crn_page_coroutine_stacks(page, leak->coroutine, 1);
    }
    if (leak->chain.count > 0) {
        fputc('\n', page->file);
        crn_page_chain(page, &leak->chain, "leaked block");
    }
    fprintf(page->file, "\nto mend: %s\n", crn_leak_hint(leak));
}

const char *crn_top_detail(struct crn_store *store, const struct crn_top_row *row)
{
    char *bytes;
    size_t count;
    FILE *file = open_memstream(&bytes, &count);
    if (file == NULL)
        crn_out_of_memory();
    const struct crn_page page = {.store = store, .file = file};
    if (row->live != NULL) {
        live_print(&page, row->live);
    } else if (row->leak != NULL) {
        leak_print(&page, row->leak);
    } else {
        crn_page_coroutine(&page, row->coroutine, row->coroutines, 0);
        crn_page_coroutine_bytes(&page, row->coroutine);
        crn_page_coroutine_stacks(&page, row->coroutine, 1);
    }
    if (fclose(file) != 0)
        crn_out_of_memory();
    const char *text = crn_store_text(store, bytes);
    free(bytes);
    return text;
}

void crn_top_print(FILE *file, const struct crn_top_table *table, const struct crn_top_order *order,
                   const struct crn_top_state *state, size_t rows_max)
{
    struct crn_store *store = crn_store_create();
    const struct crn_top_layout layout = crn_top_layout_make(0);
    const char *head[CRN_TOP_HEAD_LINES];
    crn_top_head(store, table, state, head);
    for (unsigned i = 0; i < CRN_TOP_HEAD_LINES; i++)
        fprintf(file, "%s\n", head[i]);
    fprintf(file, "\n%s\n", crn_top_columns(store, &layout, order));
    for (size_t i = 0; i < table->shown_count && (rows_max == 0 || i < rows_max); i++)
        fprintf(file, "%s\n", crn_top_row(store, &layout, &table->rows[i]));
    if (rows_max != 0 && table->shown_count > rows_max)
        fprintf(file, "... %zu more rows\n", table->shown_count - rows_max);
    crn_store_destroy(store);
}
