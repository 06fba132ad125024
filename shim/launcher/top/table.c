/*
 * The rows of `coroner top`.  See table.h.
 */
#include "shim/launcher/top/table.h"

#include <stdlib.h>
#include <string.h>

#include "report/clean.h"
#include "report/diff.h"
#include "report/names.h"
#include "report/sampled.h"
#include "report/words.h"

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != 0 ? slash + 1 : path;
}

/* Where a stack leads to: the innermost frame that is no library's. */
static const char *stack_where(struct crn_store *store, const struct crn_stack *stack)
{
    const struct crn_named_frame *frame = stack != NULL ? crn_stack_point(stack) : NULL;
    if (frame == NULL)
        return "?";
    const char *name =
        crn_name_shorten(store, crn_clean_line(store, crn_name_of_frame(store, frame)), 40);
    if (frame->file == NULL || frame->line == 0)
        return name;
    return crn_store_print(store, "%s  %s:%u", name, base_of(crn_clean_line(store, frame->file)),
                           frame->line);
}

static void live_take(struct crn_store *store, const struct crn_live *live, struct crn_top_row *row)
{
    static const char *const words[] = {[CRN_GROWTH_UNKNOWN] = "",
                                        [CRN_GROWTH_STARTUP] = "stays",
                                        [CRN_GROWTH_CHURN] = "churns",
                                        [CRN_GROWTH_STEADY] = "grows"};
    *row = (struct crn_top_row){
        .kind = CRN_TOP_LIVE,
        .id = live->id,
        .bytes = live->is_sampled ? crn_count_of(live->estimate.bytes) : live->bytes,
        .blocks = live->is_sampled ? crn_count_of(live->estimate.blocks) : live->blocks,
        .bytes_per_s = live->bytes_per_s,
        .has_rate = live->bytes_per_s >= 0,
        .since_s = live->since_s,
        .what = words[live->shape],
        .where = stack_where(store, live->allocated),
        .live = live,
    };
}

static void leak_take(struct crn_store *store, const struct crn_leak *leak, struct crn_top_row *row)
{
    *row = (struct crn_top_row){
        .kind = CRN_TOP_LEAK,
        .id = leak->id ^ leak->confidence,
        .bytes = leak->bytes + leak->indirect_bytes,
        .blocks = leak->blocks + leak->indirect_blocks,
        .coroutines = leak->coroutine != NULL ? leak->coroutine_count : 0,
        .since_s = -1,
        .what = leak->confidence == CRN_PROVEN
                    ? crn_verdict_words[leak->verdict]
                    : crn_store_print(store, "%s?", crn_verdict_words[leak->verdict]),
        .where = stack_where(store, leak->allocated),
        .leak = leak,
    };
}

/* A coroutine and where it stopped, which may be in itself. */
static const char *coroutine_where(struct crn_store *store, const struct crn_coroutine *coroutine)
{
    const char *name = coroutine->name != NULL ? crn_clean_line(store, coroutine->name) : "?";
    const struct crn_named_frame *frame =
        coroutine->suspended != NULL ? crn_stack_point(coroutine->suspended) : NULL;
    if (frame == NULL)
        return name;
    const char *where = stack_where(store, coroutine->suspended);
    bool is_itself = frame->function != NULL && coroutine->name != NULL &&
                     strcmp(frame->function, coroutine->name) == 0;
    return is_itself ? where : crn_store_print(store, "%s in %s", name, where);
}

static void coroutine_take(struct crn_store *store, const struct crn_coroutine *coroutine,
                           struct crn_top_row *row)
{
    *row = (struct crn_top_row){
        .kind = CRN_TOP_COROUTINES,
        .id = crn_coroutine_kind(coroutine),
        .bytes = coroutine->touched_bytes != UINT64_MAX ? coroutine->touched_bytes
                                                        : coroutine->stack_bytes,
        .coroutines = coroutine->count,
        .since_s = -1,
        .what = crn_coro_state_words[coroutine->state],
        .where = coroutine_where(store, coroutine),
        .coroutine = coroutine,
    };
}

static int row_compare_id(const void *a, const void *b)
{
    const struct crn_top_row *left = a, *right = b;
    int order = COMPARE(left->kind, right->kind);
    if (order == 0)
        order = COMPARE(left->id, right->id);
    return order != 0 ? order : COMPARE(right->bytes, left->bytes);
}

/* Makes one of rows that differ only in what a table does not show; the biggest lends its stacks.
 */
static size_t rows_merge(struct crn_top_row *rows, size_t count)
{
    size_t kept = 0;
    qsort(rows, count, sizeof *rows, row_compare_id);
    for (size_t i = 0; i < count; i++) {
        struct crn_top_row *last = kept > 0 ? &rows[kept - 1] : NULL;
        if (last == NULL || last->kind != rows[i].kind || last->id != rows[i].id) {
            rows[kept++] = rows[i];
            continue;
        }
        last->bytes += rows[i].bytes;
        last->blocks += rows[i].blocks;
        last->coroutines += rows[i].coroutines;
    }
    return kept;
}

/* Gives rows that do not know how fast they grow the difference to the look before. */
static void rates_measure(struct crn_top_table *table, const struct crn_top_table *before)
{
    double passed_s = table->process->duration_s - before->process->duration_s;
    if (passed_s <= 0 || before->process->pid != table->process->pid || before->count == 0)
        return;
    struct crn_top_row *old = calloc(before->count, sizeof *old);
    if (old == NULL)
        crn_out_of_memory();
    memcpy(old, before->rows, before->count * sizeof *old);
    qsort(old, before->count, sizeof *old, row_compare_id);
    size_t at = 0;
    for (size_t i = 0; i < table->count; i++) { /* both are in the order of their ids */
        struct crn_top_row *row = &table->rows[i];
        while (at < before->count &&
               (old[at].kind < row->kind || (old[at].kind == row->kind && old[at].id < row->id)))
            at++;
        bool is_known = at < before->count && old[at].kind == row->kind && old[at].id == row->id;
        if (row->has_rate)
            continue;
        row->bytes_per_s = ((double)row->bytes - (is_known ? (double)old[at].bytes : 0)) / passed_s;
        row->has_rate = row->is_measured = true;
    }
    free(old);
}

/* What all that grows for sure comes to, and how long that may go on. */
static void totals_make(struct crn_top_table *table)
{
    const struct crn_process *process = table->process;
    uint64_t unknown_bytes = 0;
    table->left_s = -1;
    for (size_t i = 0; i < table->count; i++) {
        const struct crn_top_row *row = &table->rows[i];
        if (row->live == NULL)
            continue;
        if (row->live->shape == CRN_GROWTH_STEADY && row->bytes_per_s > 0)
            table->bytes_per_s += row->bytes_per_s;
        if (row->live->shape == CRN_GROWTH_UNKNOWN)
            unknown_bytes += row->bytes;
    }
    table->is_too_early = unknown_bytes > process->live.bytes / 2;
    if (table->bytes_per_s > 0 && process->has_memory && process->memory.left_bytes != UINT64_MAX)
        table->left_s = (double)process->memory.left_bytes / table->bytes_per_s;
}

struct crn_top_table *crn_top_table_create(struct crn_report *report,
                                           const struct crn_top_table *before)
{
    const struct crn_process *process = report->processes_count > 0 ? report->processes : NULL;
    if (process == NULL || !process->is_checked)
        return NULL;
    struct crn_top_table *table = calloc(1, sizeof *table);
    size_t count = process->live_rows_count + process->leaks_count + process->coroutines_count,
           at = 0;
    if (table == NULL)
        crn_out_of_memory();
    table->report = report;
    table->process = process;
    table->rows = crn_store_bytes(report->store, (count + 1) * sizeof *table->rows);
    for (size_t i = 0; i < process->live_rows_count; i++)
        live_take(report->store, &process->live_rows[i], &table->rows[at++]);
    for (size_t i = 0; i < process->leaks_count; i++)
        leak_take(report->store, &process->leaks[i], &table->rows[at++]);
    for (size_t i = 0; i < process->coroutines_count; i++)
        coroutine_take(report->store, &process->coroutines[i], &table->rows[at++]);
    table->count = table->shown_count = rows_merge(table->rows, count);
    if (before != NULL)
        rates_measure(table, before);
    totals_make(table);
    return table;
}

void crn_top_table_destroy(struct crn_top_table *table)
{
    if (table == NULL)
        return;
    crn_report_destroy(table->report);
    free(table);
}

/* What a row is sorted by; more comes first. */
static double weight_of(const struct crn_top_row *row, enum crn_top_column column)
{
    switch (column) {
    case CRN_TOP_BYTES:
        return (double)row->bytes;
    case CRN_TOP_BLOCKS:
        return (double)row->blocks;
    case CRN_TOP_COUNT:
        return (double)row->coroutines;
    default: /* what stays comes before what shrinks */
        return row->has_rate ? row->bytes_per_s : 0;
    }
}

static int row_compare(const void *a, const void *b, void *user)
{
    const struct crn_top_row *left = a, *right = b;
    const struct crn_top_order *order = user;
    int answer = COMPARE(weight_of(right, order->column), weight_of(left, order->column));
    if (answer == 0)
        answer = COMPARE(right->bytes, left->bytes);
    if (order->is_reversed)
        answer = -answer;
    return answer != 0 ? answer : row_compare_id(a, b);
}

static bool is_let_through(const struct crn_top_row *row, const char *filter)
{
    return *filter == 0 || strcasestr(row->where, filter) != NULL ||
           strcasestr(row->what, filter) != NULL;
}

void crn_top_table_sort(struct crn_top_table *table, const struct crn_top_order *order)
{
    struct crn_top_order by = *order;
    size_t shown = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (!is_let_through(&table->rows[i], order->filter))
            continue;
        struct crn_top_row row = table->rows[i];
        table->rows[i] = table->rows[shown];
        table->rows[shown++] = row;
    }
    table->shown_count = shown;
    if (shown > 1)
        qsort_r(table->rows, shown, sizeof *table->rows, row_compare, &by);
}

size_t crn_top_table_find(const struct crn_top_table *table, enum crn_top_kind kind, uint64_t id)
{
    size_t at = 0;
    while (at < table->shown_count && (table->rows[at].kind != kind || table->rows[at].id != id))
        at++;
    return at;
}
