/*
 * `coroner top` without a terminal: how often it looks, what its table holds and how that is
 * sorted, what keys do, and what a line says.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "shim/launcher/top/lines.h"
#include "shim/launcher/top/pace.h"
#include "shim/launcher/top/view.h"

static struct crn_suppressions *suppressions;
static struct crn_top_table *table;
static struct crn_top_view view;

/* A stack of one frame. */
static const struct crn_stack *stack_of(struct crn_report *report, const char *function)
{
    struct crn_named_frame *frame = crn_store_bytes(report->store, sizeof *frame);
    const struct crn_named_frame **frames = crn_store_bytes(report->store, sizeof *frames);
    struct crn_stack *stack = crn_store_bytes(report->store, sizeof *stack);
    *frame = (struct crn_named_frame){.function = function,
                                      .file = "/src/server.c",
                                      .line = 7,
                                      .module = "/bin/server",
                                      .alike = function};
    frames[0] = frame;
    *stack = (struct crn_stack){.frames = frames, .count = 1};
    return stack;
}

/* A look at a server, `uptime_s` after it began. */
static struct crn_report *look(double uptime_s, uint64_t leaked_bytes)
{
    struct crn_report *report = crn_report_create(suppressions, true);
    struct crn_live *live = crn_store_bytes(report->store, 3 * sizeof *live);
    struct crn_leak *leak = crn_store_bytes(report->store, sizeof *leak);
    struct crn_coroutine *coroutine = crn_store_bytes(report->store, sizeof *coroutine);
    live[0] = (struct crn_live){.id = 1,
                                .allocated = stack_of(report, "session_new"),
                                .blocks = 100,
                                .bytes = 50000,
                                .shape = CRN_GROWTH_STEADY,
                                .bytes_per_s = 2048,
                                .since_s = 7200,
                                .retained_bytes = UINT64_MAX};
    live[1] = (struct crn_live){.id = 2,
                                .allocated = stack_of(report, "cache_fill"),
                                .blocks = 4,
                                .bytes = 900000,
                                .shape = CRN_GROWTH_STARTUP,
                                .bytes_per_s = 0,
                                .since_s = -1,
                                .retained_bytes = UINT64_MAX};
    live[2] = (struct crn_live){.id = 3,
                                .allocated = stack_of(report, "gr\xc3\xb6\xc3\x9f"
                                                              "e\x1b[31m"),
                                .blocks = 2000,
                                .bytes = 2000,
                                .bytes_per_s = -1,
                                .since_s = -1,
                                .retained_bytes = UINT64_MAX};
    *leak = (struct crn_leak){.id = 4,
                              .verdict = CRN_VERDICT_LOST,
                              .confidence = CRN_PROVEN,
                              .blocks = 1,
                              .bytes = leaked_bytes,
                              .allocated = stack_of(report, "forget")};
    *coroutine = (struct crn_coroutine){.name = "wait_for_reply",
                                        .mechanism = CRN_MECHANISM_UCONTEXT,
                                        .state = CRN_CORO_SUSPENDED,
                                        .count = 687,
                                        .stack_bytes = 70000,
                                        .touched_bytes = UINT64_MAX,
                                        .retained_bytes = UINT64_MAX,
                                        .suspended = stack_of(report, "wait_for_reply")};
    report->processes = crn_grow(NULL, 0, &report->processes_room, sizeof *report->processes);
    report->processes[report->processes_count++] = (struct crn_process){
        .pid = 4711,
        .exe = "/bin/server",
        .is_checked = true,
        .duration_s = uptime_s,
        .predicted_pause_s = -1,
        .live = {2104, 952000},
        .leaks = leak,
        .leaks_count = 1,
        .coroutines = coroutine,
        .coroutines_count = 1,
        .has_live = true,
        .live_rows = live,
        .live_rows_count = 3,
        .has_memory = true,
        .memory = {
            .resident_bytes = 1 << 21, .left_bytes = 2048 * 3600, .limit_kind = CRN_LIMIT_CGROUP}};
    return report;
}

static void setup(void)
{
    suppressions = crn_suppressions_create();
    table = crn_top_table_create(look(100, 70), NULL);
    crn_top_view_init(&view, 5);
    view.page_rows = 3;
    crn_top_view_take(&view, table);
}

static void teardown(void)
{
    crn_top_table_destroy(table);
    crn_suppressions_destroy(suppressions);
}

TestSuite(top, .init = setup, .fini = teardown);

static void keys(const char *text)
{
    for (; *text != 0; text++)
        cr_assert_eq(crn_top_view_key(&view, *text), CRN_TOP_STAYS);
}

static const char *name(size_t row)
{
    return table->rows[row].where;
}

Test(top, a_cheap_look_comes_as_often_as_it_is_asked_for)
{
    cr_expect_eq(crn_pace_delay_s(&(struct crn_pace){0.001, 1 << 20, 0.1}, 5), 5);
}

Test(top, an_expensive_look_comes_seldom)
{
    cr_expect_float_eq(crn_pace_delay_s(&(struct crn_pace){0.02, 0, 1}, 1), 19, 1e-6);
    cr_expect_float_eq(crn_pace_delay_s(&(struct crn_pace){0, (uint64_t)4096 * 100000, 1}, 1), 29,
                       1e-6);
    cr_expect_float_eq(crn_pace_delay_s(&(struct crn_pace){0, 0, 3}, 0), 12, 1e-6);
}

Test(top, what_grows_comes_first)
{
    cr_assert_eq(table->shown_count, 5);
    cr_expect_str_eq(name(0), "session_new  server.c:7");
    cr_expect_str_eq(name(1), "cache_fill  server.c:7");
    cr_expect_float_eq(table->bytes_per_s, 2048, 1e-9);
    cr_expect_float_eq(table->left_s, 3600, 1e-9);
}

Test(top, each_column_can_be_sorted_by_and_turned)
{
    keys("b");
    cr_expect_str_eq(name(0), "cache_fill  server.c:7");
    keys("n");
    cr_expect_eq(table->rows[0].blocks, 2000);
    keys("c");
    cr_expect_str_eq(name(0), "wait_for_reply  server.c:7");
    keys("br");
    cr_expect_str_eq(name(0), "forget  server.c:7");
    keys("rg>");
    cr_expect_eq(view.order.column, CRN_TOP_BYTES);
    keys("<<");
    cr_expect_eq(view.order.column, CRN_TOP_RATE);
}

Test(top, a_filter_lets_through_what_it_names)
{
    keys("/CACHE");
    cr_expect_eq(table->shown_count, 1);
    crn_top_view_key(&view, CRN_KEY_ERASE);
    crn_top_view_key(&view, CRN_KEY_ESCAPE);
    cr_expect_eq(table->shown_count, 5);
    cr_expect_eq(view.mode, CRN_TOP_SHOWS_TABLE);
    keys("/suspended");
    crn_top_view_key(&view, CRN_KEY_ENTER);
    cr_expect_eq(table->shown_count, 1);
    keys("/");
    crn_top_view_key(&view, 0xdf); /* ß */
    crn_top_view_key(&view, CRN_KEY_ERASE);
    cr_expect_str_eq(view.filter, "suspended");
}

Test(top, the_cursor_stays_on_its_row)
{
    crn_top_view_key(&view, CRN_KEY_END);
    const struct crn_top_row row = *crn_top_view_row(&view);
    cr_expect_eq(view.first, 2);
    keys("/e"); /* another order, and other rows */
    crn_top_view_key(&view, CRN_KEY_ESCAPE);
    crn_top_view_key(&view, CRN_KEY_END);
    struct crn_top_table *next = crn_top_table_create(look(110, 1000000), table);
    crn_top_view_take(&view, next);
    cr_expect_eq(crn_top_view_row(&view)->id, row.id);
    crn_top_table_destroy(table);
    table = next;
    crn_top_view_key(&view, CRN_KEY_HOME);
    crn_top_view_key(&view, CRN_KEY_UP);
    cr_expect_eq(view.selected, 0);
    crn_top_view_key(&view, CRN_KEY_PAGE_DOWN);
    cr_expect_eq(view.selected, 3);
}

Test(top, what_does_not_know_its_rate_is_measured_between_looks)
{
    struct crn_top_table *next = crn_top_table_create(look(110, 1070), table);
    for (size_t i = 0; i < next->count; i++) {
        const struct crn_top_row *row = &next->rows[i];
        cr_expect_eq(row->is_measured, row->live == NULL || row->id == 3);
        if (row->leak != NULL)
            cr_expect_float_eq(row->bytes_per_s, 100, 1e-9);
        if (row->live != NULL && row->id == 1)
            cr_expect_float_eq(row->bytes_per_s, 2048, 1e-9);
    }
    crn_top_table_destroy(next);
}

Test(top, a_delay_is_taken_only_if_it_is_one)
{
    keys("d2.5");
    crn_top_view_key(&view, CRN_KEY_ENTER);
    cr_expect_eq(view.wanted_s, 2.5);
    keys("dnan");
    crn_top_view_key(&view, CRN_KEY_ENTER);
    cr_expect_eq(view.wanted_s, 2.5);
    cr_expect(*view.message != 0);
    keys("d");
    crn_top_view_key(&view, CRN_KEY_ESCAPE);
    cr_expect_eq(view.mode, CRN_TOP_SHOWS_TABLE);
}

Test(top, space_looks_and_q_goes_back_and_then_quits)
{
    cr_expect_eq(crn_top_view_key(&view, ' '), CRN_TOP_LOOKS_NOW);
    keys("h");
    cr_expect_eq(view.mode, CRN_TOP_SHOWS_HELP);
    keys("q");
    crn_top_view_key(&view, CRN_KEY_ENTER);
    cr_expect_eq(view.mode, CRN_TOP_SHOWS_DETAIL);
    keys("q");
    cr_expect_eq(crn_top_view_key(&view, 'q'), CRN_TOP_QUITS);
}

Test(top, lines_have_the_columns_that_fit_and_steer_no_terminal)
{
    struct crn_store *store = crn_store_create();
    const struct crn_top_layout wide = crn_top_layout_make(120), narrow = crn_top_layout_make(20);
    cr_expect_str_eq(crn_top_row(store, &wide, &table->rows[0]),
                     "   2.0K/s    48.8K      100                2h  grows      session_new  "
                     "server.c:7");
    cr_expect_str_eq(crn_top_row(store, &narrow, &table->rows[0]),
                     "  48.8K  session_new  server.c:7");
    for (size_t i = 0; i < table->count; i++) {
        cr_expect(strchr(crn_top_row(store, &wide, &table->rows[i]), '\x1b') == NULL);
        cr_expect(strchr(crn_top_detail(store, &table->rows[i]), '\x1b') == NULL);
    }
    const char *head[CRN_TOP_HEAD_LINES];
    crn_top_head(store, table, &(struct crn_top_state){.look = 1, .next_s = -1}, head);
    cr_expect_str_eq(head[0], "server (pid 4711), up 1 min 40 s");
    cr_expect_str_eq(
        head[1],
        "grows 2,048 bytes/s, cgroup limit in 1 h 0 min; live 929.7 KiB, resident 2.0 MiB");
    crn_store_destroy(store);
}
