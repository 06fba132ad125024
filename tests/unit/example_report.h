#ifndef TESTS_EXAMPLE_REPORT_H
#define TESTS_EXAMPLE_REPORT_H
/*
 * One report with everything in it that a renderer must know how to say.
 */
#include "report/model.h"

#define EXAMPLE_STACK(...)                                                                     \
    {                                                                                          \
        .frames = (const struct crn_named_frame *const[]){__VA_ARGS__},                        \
        .count = sizeof((const struct crn_named_frame *const[]){__VA_ARGS__}) / sizeof(void *) \
    }
#define EXAMPLE_SERVER .module = "/srv/bin/server", .build_id = "c0ffee"

static const struct crn_named_frame example_start = {
    .function = "_start", .module = "/srv/bin/server", .build_id = "c0ffee", .offset = 0x1001};
static const struct crn_named_frame example_main = {
    .function = "main", .file = "/srv/src/server.c", .line = 88, EXAMPLE_SERVER, .offset = 0x1100};
static const struct crn_named_frame example_accept = {.function = "accept_loop",
                                                      .file = "/srv/src/server.c",
                                                      .line = 60,
                                                      EXAMPLE_SERVER,
                                                      .offset = 0x1200};
static const struct crn_named_frame example_handle = {.function = "handle_request",
                                                      .file = "/srv/src/server.c",
                                                      .line = 33,
                                                      EXAMPLE_SERVER,
                                                      .offset = 0x1300};
static const struct crn_named_frame example_inlined = {.function = "bitmap_new",
                                                       .file = "/srv/src/bitmap.h",
                                                       .line = 7,
                                                       EXAMPLE_SERVER,
                                                       .offset = 0x1300,
                                                       .inlined = true};
static const struct crn_named_frame example_template = {
    .function = "std::vector<std::string>::push_back",
    .signature = "std::vector<std::string>::push_back(std::string const&)",
    .file = "/usr/include/c++/12/bits/stl_vector.h",
    .line = 1280,
    EXAMPLE_SERVER,
    .offset = 0x1400};
static const struct crn_named_frame example_stripped = {.module = "/usr/lib/libplugin.so",
                                                        .offset = 0x52f0};
static const struct crn_named_frame example_symbol = {
    .function = "plugin_call", .module = "/usr/lib/libplugin.so", .offset = 0x4242};
static const struct crn_named_frame example_jit = {.offset = 0x7f0000001000};

static const struct crn_stack example_allocated =
    EXAMPLE_STACK(&example_inlined, &example_handle, &example_main, &example_start);
static const struct crn_stack example_created =
    EXAMPLE_STACK(&example_accept, &example_main, &example_start);
static const struct crn_stack example_suspended = EXAMPLE_STACK(&example_handle);
static const struct crn_stack example_foreign =
    EXAMPLE_STACK(&example_jit, &example_stripped, &example_symbol, &example_template,
                  &example_main, &example_start);

static const struct crn_coroutine example_coroutines[] = {
    {.key = 1,
     .name = "handle_request",
     .mechanism = CRN_MECHANISM_UCONTEXT,
     .state = CRN_CORO_COMPLETED,
     .count = 1200,
     .created = &example_created,
     .stack_bytes = 78643200,
     .touched_bytes = 9830400,
     .retained_bytes = 78739200,
     .ages = {5400, 600, 2}},
    {.key = 2,
     .name = "wait_for_reply",
     .mechanism = CRN_MECHANISM_CXX20,
     .state = CRN_CORO_ABANDONED,
     .count = 1,
     .created = &example_created,
     .suspended = &example_suspended,
     .stack_bytes = 160,
     .touched_bytes = UINT64_MAX,
     .retained_bytes = 512,
     .ages = {90, 90, 90}},
    {.key = 3,
     .mechanism = CRN_MECHANISM_STACK,
     .state = CRN_CORO_SUSPENDED,
     .count = 1,
     .stack_bytes = 16384,
     .touched_bytes = UINT64_MAX,
     .retained_bytes = UINT64_MAX,
     .ages = {-1, -1, -1}},
};

static const struct crn_link example_completed_chain[] = {
    {.kind = CRN_LINK_ROOT,
     .root = CRN_ROOT_GLOBAL,
     .name = "sessions",
     .module = "/srv/bin/server",
     .offset = 8},
    {.kind = CRN_LINK_BLOCK, .bytes = 48, .offset = 16, .allocated_in = "session_new"},
    {.kind = CRN_LINK_CORO, .coroutine = &example_coroutines[0], .name = "bitmap", .offset = 56},
    {.kind = CRN_LINK_LEAK, .bytes = 65536},
};
static const struct crn_link example_abandoned_chain[] = {
    {.kind = CRN_LINK_CORO, .coroutine = &example_coroutines[1], .offset = 24},
    {.kind = CRN_LINK_LEAK, .bytes = 512},
};
static const struct crn_link example_frame_chain[] = {
    {.kind = CRN_LINK_CORO, .coroutine = &example_coroutines[1], .is_own = true},
    {.kind = CRN_LINK_LEAK, .bytes = 160},
};
static const struct crn_link example_stale_chain[] = {
    {.kind = CRN_LINK_ROOT, .root = CRN_ROOT_STACK, .name = "thread 17 \"worker\"", .offset = 104},
    {.kind = CRN_LINK_LEAK, .bytes = 1},
};
static const struct crn_link example_watch_chain[] = {
    {.kind = CRN_LINK_ROOT,
     .root = CRN_ROOT_GLOBAL,
     .module = "/usr/lib/libplugin.so",
     .offset = 0x9010},
    {.kind = CRN_LINK_BLOCK, .bytes = 128, .offset = 0},
    {.kind = CRN_LINK_LEAK, .bytes = 96},
};

static const struct crn_leak example_leaks[] = {
    {.id = 0x0123456789abcdef,
     .verdict = CRN_VERDICT_COMPLETED,
     .confidence = CRN_PROVEN,
     .why = "its entry function returned",
     .blocks = 1200,
     .bytes = 78643200,
     .indirect_blocks = 2400,
     .indirect_bytes = 96000,
     .retained_bytes = 78739200,
     .allocated = &example_allocated,
     .coroutine = &example_coroutines[0],
     .coroutine_count = 1200,
     .chain = {example_completed_chain, 4}},
    {.id = 0x1,
     .verdict = CRN_VERDICT_ABANDONED,
     .confidence = CRN_PROVEN,
     .blocks = 1,
     .bytes = 512,
     .retained_bytes = 512,
     .allocated = &example_foreign,
     .coroutine = &example_coroutines[1],
     .coroutine_count = 1,
     .chain = {example_abandoned_chain, 2}},
    {.id = 0x3,
     .verdict = CRN_VERDICT_ABANDONED,
     .confidence = CRN_PROVEN,
     .blocks = 1,
     .bytes = 160,
     .retained_bytes = 160,
     .allocated = &example_created,
     .coroutine = &example_coroutines[1],
     .coroutine_count = 1,
     .chain = {example_frame_chain, 2}},
    {.id = 0xfedcba9876543210,
     .verdict = CRN_VERDICT_LOST,
     .confidence = CRN_PROVEN,
     .blocks = 2,
     .bytes = 64,
     .retained_bytes = 64},
    {.id = 0x2,
     .verdict = CRN_VERDICT_STALE,
     .confidence = CRN_LIKELY,
     .blocks = 1,
     .bytes = 1,
     .retained_bytes = 1,
     .allocated = &example_suspended,
     .chain = {example_stale_chain, 2}},
};

/* As a process with sampled stacks has them: a stack, what is held, and the rest. */
static struct crn_behind example_behind[] = {
    {.stack = &example_created, .estimate = {4000.4, 64006.4, 2}, .next = &example_behind[1]},
    {.stack = &example_suspended, .estimate = {1000, 48000, 1}},
};
static const struct crn_leak example_sampled[] = {
    {.id = 0x4,
     .verdict = CRN_VERDICT_LOST,
     .confidence = CRN_PROVEN,
     .blocks = 3,
     .bytes = 3072,
     .retained_bytes = 3072,
     .allocated = &example_allocated,
     .is_sampled = true,
     .estimate = {1536.4, 1573273.6, 3}},
    {.id = 0x5,
     .verdict = CRN_VERDICT_LOST,
     .confidence = CRN_PROVEN,
     .blocks = 1500,
     .bytes = 1536000,
     .indirect_blocks = 5000,
     .indirect_bytes = 110000,
     .retained_bytes = 1646000,
     .is_missed = true,
     .behind = example_behind,
     .explained_bytes = 1536000},
    {.id = 0x6,
     .verdict = CRN_VERDICT_COMPLETED,
     .confidence = CRN_PROVEN,
     .blocks = 1,
     .bytes = 64,
     .retained_bytes = 64,
     .coroutine = &example_coroutines[0],
     .coroutine_count = 1,
     .chain = {example_completed_chain, 4},
     .is_missed = true},
};

static const struct crn_finding example_findings[] = {
    {.kind = CRN_FINDING_ZOMBIE,
     .coroutine = &example_coroutines[2],
     .scope = "request",
     .why = "it ran for 250 ms after its cancellation",
     .stack = &example_suspended,
     .count = 3},
    {.kind = CRN_FINDING_UNFINISHED_WATCH,
     .object = 0x7f0000002000,
     .object_bytes = 96,
     .chain = {example_watch_chain, 3},
     .count = 1},
};

static const struct crn_process example_processes[] = {
    {.pid = 4711,
     .parent_pid = 4700,
     .exe = "/srv/bin/server",
     .argv = (const char *const[]){"./server", "--once"},
     .argc = 2,
     .exit_code = 3,
     .duration_s = 1.5,
     .is_checked = true,
     .check_number = 2,
     .predicted_pause_s = -1,
     .leaked = {3605, 78739937},
     .likely = {1, 1},
     .suppressed = {1, 72704},
     .live = {17, 4096},
     .by_verdict = {[CRN_VERDICT_STALE] = {1, 1},
                    [CRN_VERDICT_COMPLETED] = {3600, 78739200},
                    [CRN_VERDICT_ABANDONED] = {2, 672},
                    [CRN_VERDICT_LOST] = {2, 64}},
     .allocations = 1234567,
     .frees = 1230945,
     .peak_bytes = 80000000,
     .coroutines_seen = 1202,
     .coroutines_resurrected = 1,
     .coroutines_by_state =
         {[CRN_CORO_COMPLETED] = 1200, [CRN_CORO_ABANDONED] = 1, [CRN_CORO_SUSPENDED] = 1},
     .unseen_threads = 1,
     .check_pause_s = 0.001,
     .check_s = 0.25,
     .check_bytes = 3145728,
     .leaks = example_leaks,
     .leaks_count = 5,
     .findings = example_findings,
     .findings_count = 2,
     .coroutines = example_coroutines,
     .coroutines_count = 3},
    {.pid = 4712,
     .parent_pid = 4711,
     .exe = "/bin/true",
     .exit_code = 0,
     .is_checked = true,
     .check_number = 1,
     .predicted_pause_s = -1,
     .allocations = 10},
    {.pid = 4714,
     .parent_pid = 4711,
     .exe = "/srv/bin/sampled",
     .exit_code = 0,
     .is_checked = true,
     .check_number = 1,
     .predicted_pause_s = -1,
     .sample_bytes = 524288,
     .leaked = {6504, 1649136},
     .by_verdict = {[CRN_VERDICT_COMPLETED] = {1, 64}, [CRN_VERDICT_LOST] = {6503, 1649072}},
     .allocations = 7000,
     .coroutines_seen = 1,
     .coroutines_by_state = {[CRN_CORO_COMPLETED] = 1},
     .leaks = example_sampled,
     .leaks_count = 3},
    {.pid = 4713,
     .parent_pid = 4711,
     .exe = "/bin/crash\xff",
     .exit_code = -1,
     .exit_signal = 11,
     .duration_s = 0.25},
};

/* Puts the example into an empty report. */
static inline void example_fill(struct crn_report *report)
{
    for (size_t i = 0; i < CRN_COUNT_OF(example_processes); i++) {
        report->processes = crn_grow(report->processes, report->processes_count,
                                     &report->processes_room, sizeof *report->processes);
        report->processes[report->processes_count++] = example_processes[i];
    }
    report->unnamed = crn_grow(report->unnamed, 0, &report->unnamed_room, sizeof *report->unnamed);
    report->unnamed[report->unnamed_count++] = (struct crn_unnamed){"/usr/lib/libplugin.so", 1};
    crn_report_warn(report, "/bin/crash (pid 4713): not checked: signal 11 ended it");
}

#endif
