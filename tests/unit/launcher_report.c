/*
 * From recordings to reports: what is counted, merged, suppressed and sorted; and each format
 * against a golden file.  CORONER_GOLDEN=write writes those files anew.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "example_report.h"
#include "make_recording.h"
#include "report/clean.h"
#include "report/fold.h"
#include "report/gather.h"
#include "report/names.h"
#include "report/page.h"
#include "report/render.h"

enum { BASE = 0x10000 };

static struct maker maker;
static struct crn_suppressions *suppressions;
static struct crn_report *report;
static char message[256];

static void setup(void)
{
    suppressions = crn_suppressions_create();
    report = crn_report_create(suppressions, true);
    maker_init(&maker);
}

static void teardown(void)
{
    crn_report_destroy(report);
    crn_suppressions_destroy(suppressions);
}

TestSuite(report, .init = setup, .fini = teardown);

static void suppress(const char *text)
{
    char path[] = "/tmp/coroner-report-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    cr_assert_eq(crn_suppressions_read(suppressions, path, message, sizeof message), CRN_OK);
    unlink(path);
}

/* Adds what the maker holds to the report; answers its process. */
static const struct crn_process *add(void)
{
    struct crn_recording recording;
    maker_finish(&maker);
    cr_assert_eq(crn_record_adopt(maker.bytes, maker.bytes_count, "made", &recording, message,
                                  sizeof message),
                 CRN_OK, "%s", message);
    crn_report_add(report, &recording);
    crn_record_close(&recording);
    return &report->processes[report->processes_count - 1];
}

/* A leak whose allocation stack is one frame of the module at BASE. */
static struct crn_record_leak *leak_at(uint64_t offset, enum crn_verdict verdict, uint64_t bytes)
{
    uint32_t node = maker_node(&maker, 0, BASE + offset + 1);
    struct crn_record_leak *leak = maker_leak(&maker, verdict, 1, bytes);
    leak->alloc_node = node;
    return leak;
}

Test(report, the_biggest_leak_comes_first)
{
    maker_module(&maker, "[made]", BASE, BASE * 2);
    leak_at(1, CRN_VERDICT_LOST, 10);
    leak_at(2, CRN_VERDICT_LOST, 30)->indirect_bytes = 1;
    leak_at(3, CRN_VERDICT_LOST, 30)->indirect_bytes = 5;
    const struct crn_process *process = add();
    cr_assert_eq(process->leaks_count, 3u);
    cr_assert_eq(process->leaks[0].indirect_bytes, 5u);
    cr_assert_eq(process->leaks[2].bytes, 10u);
    cr_assert_eq(process->leaked.bytes, 76u);
}

Test(report, leaks_that_look_alike_are_one)
{
    maker_module(&maker, "[made]", BASE, BASE * 2);
    maker_coro(&maker, CRN_MECHANISM_UCONTEXT, CRN_CORO_COMPLETED, "worker")->count = 5;
    maker_coro(&maker, CRN_MECHANISM_UCONTEXT, CRN_CORO_COMPLETED, "worker")->count = 7;
    for (uint32_t i = 0; i < 4; i++) {
        struct crn_record_leak *leak = leak_at(1, CRN_VERDICT_COMPLETED, 10);
        leak->coro = i % 2 + 1;
        leak->coro_count = 5;
    }
    leak_at(1, CRN_VERDICT_COMPLETED, 5)->confidence = CRN_LIKELY;
    leak_at(1, CRN_VERDICT_LOST, 1);
    const struct crn_process *process = add();
    cr_assert_eq(process->leaks_count, 3u);
    cr_assert_eq(process->leaks[0].blocks, 4u);
    cr_assert_eq(process->leaks[0].bytes, 40u);
    cr_assert_eq(process->leaks[0].coroutine_count, 10u);
    cr_assert_eq(process->likely.bytes, 5u);
    cr_assert_eq(process->by_verdict[CRN_VERDICT_COMPLETED].bytes, 45u);
    cr_assert_eq(process->coroutines_count, 1u);
    cr_assert_eq(process->coroutines[0].count, 12u);
}

Test(report, an_id_does_not_depend_on_addresses)
{
    maker_module(&maker, "/gone/made", BASE, BASE * 2);
    leak_at(1, CRN_VERDICT_LOST, 10);
    uint64_t id = add()->leaks[0].id;
    maker_init(&maker);
    maker_module(&maker, "/elsewhere/made", BASE * 3, BASE * 4);
    leak_at(BASE * 2 + 1, CRN_VERDICT_LOST, 99);
    leak_at(BASE * 2 + 2, CRN_VERDICT_LOST, 1);
    leak_at(BASE * 2 + 1, CRN_VERDICT_STALE, 0);
    const struct crn_process *process = add();
    cr_assert_eq(process->leaks[0].id, id);
    cr_assert_neq(process->leaks[1].id, id);
    cr_assert_neq(process->leaks[2].id, id);
}

Test(report, what_is_suppressed_is_counted)
{
    maker_module(&maker, "[made]", BASE, BASE * 2);
    maker_module(&maker, "[other]", BASE * 2, BASE * 3);
    suppress("leak:^[other]$\n");
    leak_at(1, CRN_VERDICT_LOST, 10);
    leak_at(BASE, CRN_VERDICT_LOST, 20)->indirect_blocks = 2;
    const struct crn_process *process = add();
    cr_assert_eq(process->leaks_count, 1u);
    cr_assert_eq(process->leaked.bytes, 10u);
    cr_assert_eq(process->suppressed.blocks, 3u);
    cr_assert_eq(process->suppressed.bytes, 20u);
}

Test(report, chains_and_coroutines_are_suppressed_by_name)
{
    suppress("chain:sessions\ncoroutine:^worker$\n");
    maker_coro(&maker, CRN_MECHANISM_UCONTEXT, CRN_CORO_COMPLETED, "worker");
    maker_leak(&maker, CRN_VERDICT_COMPLETED, 1, 1)->coro = 1;
    maker_leak(&maker, CRN_VERDICT_STALE, 1, 2);
    struct crn_record_link *link = maker_link(&maker, CRN_LINK_ROOT);
    link->root = CRN_ROOT_TLS;
    link->name = maker_string(&maker, "all_sessions");
    maker_leak(&maker, CRN_VERDICT_LOST, 1, 4);
    const struct crn_process *process = add();
    cr_assert_eq(process->suppressed.bytes, 3u);
    cr_assert_eq(process->leaked.bytes, 4u);
}

Test(report, a_process_without_a_check_has_one_warning)
{
    maker.process.flags = 0;
    maker_leak(&maker, CRN_VERDICT_LOST, 1, 4);
    const struct crn_process *process = add();
    cr_assert(!process->is_checked);
    cr_assert_eq(process->leaks_count, 0u);
    cr_assert_eq(report->warnings_count, 1u);
    cr_assert(!crn_report_is_bad(report, true));
}

Test(report, whoever_was_checked_live_has_not_ended)
{
    char *text, *json;
    size_t count;
    maker.process.check_kind = CRN_CHECK_LIVE;
    maker.process.check_number = 3;
    maker.process.exit_code = -1;
    maker.process.exit_signal = 11; /* nobody looks at it */
    maker.process.duration_ns = 90000000000;
    maker.process.predicted_pause_ns = 2000000;
    maker.process.copied_bytes = 4096;
    leak_at(1, CRN_VERDICT_LOST, 10);
    add();
    FILE *file = open_memstream(&json, &count);
    crn_report_write_json(report, file);
    fclose(file);
    cr_assert_not_null(strstr(json, "\"exit\": null"));
    cr_assert_not_null(
        strstr(json, "\"check\": {\"kind\": \"live\", \"number\": 3, \"uptime_s\": 90.0, "
                     "\"predicted_pause_s\": 0.002, \"copied_bytes\": 4096, \"last\": null}"));
    file = open_memstream(&text, &count);
    crn_report_write_text(report, file, false);
    fclose(file);
    cr_assert_null(strstr(text, "killed"), "%s", text);
    free(text);
    free(json);
}

Test(report, likely_leaks_are_bad_only_when_strict)
{
    maker_leak(&maker, CRN_VERDICT_STALE, 1, 4)->confidence = CRN_LIKELY;
    add();
    cr_assert(!crn_report_is_bad(report, false));
    cr_assert(crn_report_is_bad(report, true));
    maker_init(&maker);
    maker_leak(&maker, CRN_VERDICT_STALE, 1, 4);
    add();
    cr_assert(crn_report_is_bad(report, false));
}

Test(report, a_runaway_stack_loses_its_middle)
{
    struct crn_recording recording = {0};
    enum { DEPTH = 100000 };
    struct crn_record_process process = {.flags = CRN_PROCESS_CHECKED};
    struct crn_record_leak leak = {.verdict = CRN_VERDICT_LOST, .alloc_node = DEPTH};
    struct crn_record_node *nodes = calloc(DEPTH + 1, sizeof *nodes);
    for (uint32_t i = 1; i <= DEPTH; i++)
        nodes[i] = (struct crn_record_node){.pc = i, .parent = i - 1};
    recording.process = &process;
    recording.strings = "";
    recording.nodes = nodes;
    recording.leaks = &leak;
    recording.counts[CRN_SECTION_NODES] = DEPTH + 1;
    recording.counts[CRN_SECTION_LEAKS] = 1;
    crn_report_add(report, &recording);
    const struct crn_stack *stack = report->processes[0].leaks[0].allocated;
    cr_assert_eq(stack->frames[0]->offset, (uint64_t)DEPTH - 1);
    cr_assert_eq(stack->frames[stack->count - 1]->offset, 0u);
    cr_assert_lt(stack->count, 1000u);
    free(nodes);
}

Test(report, texts_are_fit_to_be_shown)
{
    struct crn_store *store = report->store;
    cr_assert_str_eq(crn_clean_utf8(store, "a\xff\xc3\xa9\n"), "a\xef\xbf\xbd\xc3\xa9\n");
    cr_assert_str_eq(crn_clean_line(store, "a\033[31m\n\xc2\x9b"), "a?[31m??");
    cr_assert_str_eq(crn_clean_line(store, "a\xe2\x80\xae\xff"), "a?\xef\xbf\xbd");
    cr_assert_str_eq(crn_clean_utf8(store, "\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    cr_assert_null(crn_clean_utf8(store, NULL));
}

Test(report, bytes_of_coroutines_alike_are_summed)
{
    struct crn_record_coro *one = maker_coro(&maker, CRN_MECHANISM_SWITCH, CRN_CORO_SUSPENDED, "a");
    one->count = 2, one->stack_bytes = 100, one->touched_bytes = 50, one->retained_bytes = 7;
    one->ages = (struct crn_record_ages){9000000000, 5000000000, 3000000000};
    struct crn_record_coro *like =
        maker_coro(&maker, CRN_MECHANISM_SWITCH, CRN_CORO_SUSPENDED, "a");
    *like = *one;
    like->ages = (struct crn_record_ages){8000000000, 6000000000, 2000000000};
    one = maker_coro(&maker, CRN_MECHANISM_SWITCH, CRN_CORO_SUSPENDED, "b");
    one->stack_bytes = 10, one->retained_bytes = 1;
    maker_coro(&maker, CRN_MECHANISM_SWITCH, CRN_CORO_SUSPENDED, "b")->retained_bytes = UINT64_MAX;
    const struct crn_process *process = add();
    cr_assert_eq(process->coroutines_count, 2u);
    cr_assert_eq(process->coroutines[0].count, 4u);
    cr_assert_eq(process->coroutines[0].stack_bytes, 200u);
    cr_assert_eq(process->coroutines[0].touched_bytes, 100u);
    cr_assert_eq(process->coroutines[0].retained_bytes, 14u);
    cr_assert_eq(process->coroutines[1].retained_bytes, UINT64_MAX);
    struct crn_age_range ages = process->coroutines[0].ages;
    cr_assert(ages.oldest_s == 9 && ages.median_s == 5.5 && ages.youngest_s == 2);
    cr_assert(process->coroutines[1].ages.oldest_s < 0);
}

/* What a coroutine is called that begins in `entry` and stopped in these functions, inner first. */
static const char *coroutine_called(const char *entry, const char *const *functions,
                                    const char *file)
{
    struct crn_named_frame begin = {.function = entry}, frames[8];
    const struct crn_named_frame *rows[8];
    struct crn_stack stack = {.frames = rows};
    for (; functions[stack.count] != NULL; stack.count++) {
        const char *function = functions[stack.count];
        frames[stack.count] = (struct crn_named_frame){
            .function = function,
            .file = strcmp(function, "operator()") == 0 ? file
                    : strncmp(function, "__", 2) == 0   ? "/usr/include/c++/12/bits/invoke.h"
                                                        : NULL,
            .line = 7,
        };
        rows[stack.count] = &frames[stack.count];
    }
    return crn_name_of_coroutine(report->store, &begin, stack.count > 0 ? &stack : NULL);
}

#define CALLED(entry, file, ...) \
    coroutine_called(entry, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL}, file)
#define ENTRY(object)                                                                           \
    "boost::context::detail::fiber_entry<boost::context::detail::fiber_record<boost::context::" \
    "fiber, "                                                                                   \
    "boost::context::fixedsize_stack, " object "> >"

Test(report, coroutines_of_libraries_are_called_after_what_the_user_wrote)
{
    const char *invoke = "std::__invoke<void (*)()>", *jump = "make_fcontext";
    cr_assert_str_eq(CALLED("serve", NULL, "wait", "serve"), "serve");
    cr_assert_str_eq(CALLED(ENTRY("F"), NULL, "boost::fibers::context::resume", "inner",
                            "app::outer", invoke, jump),
                     "app::outer");
    cr_assert_str_eq(CALLED("void " ENTRY("F"), NULL, "bool app::outer<int>", invoke, jump),
                     "app::outer<int>");
    cr_assert_str_eq(CALLED(ENTRY("worker"), NULL, "worker::operator()", invoke), "worker");
    cr_assert_str_eq(
        CALLED(ENTRY("F"), NULL, "start(char const*)::{lambda(int)#1}::operator()<int>", invoke),
        "start(char const*)::{lambda(int)#1}");
    cr_assert_str_eq(CALLED(ENTRY("std::function<void ()>"), NULL, "boost::fibers::f", jump),
                     ENTRY("std::function<void ()>"));
}

Test(report, a_lambda_that_only_debugging_information_knows_is_called_by_where_it_stands)
{
    cr_assert_str_eq(
        CALLED(ENTRY("F"), "/src/a.cc", "operator()", "__invoke<main(int, char**)::<lambda()> >"),
        "main(int, char**)::{lambda()}");
    cr_assert_str_eq(CALLED(ENTRY("F"), "/src/a.cc", "operator()", "std::run<F>"),
                     "{lambda} a.cc:7");
    cr_assert_str_eq(CALLED(ENTRY("start(char const*)::<lambda(int)>"), NULL),
                     "start(char const*)::{lambda(int)}");
    cr_assert_str_eq(CALLED(ENTRY("boost::f<source()::{lambda(int)#2}>(int)::{lambda()#1}"), NULL),
                     "source()::{lambda(int)#2}");
    cr_assert_str_eq(CALLED(ENTRY("app::worker<int, char>"), NULL), "app::worker<int, char>");
    cr_assert_str_eq(CALLED(ENTRY("std::_Bind<int (int)>"), NULL), ENTRY("std::_Bind<int (int)>"));
}

Test(report, leaks_of_one_dead_coroutine_stand_together)
{
    struct crn_cluster *clusters;
    maker_module(&maker, "[made]", BASE, BASE * 2);
    for (uint32_t i = 0; i < 3; i++) /* frames of a recursion: each was created elsewhere */
        maker_coro(&maker, CRN_MECHANISM_CXX20, CRN_CORO_ABANDONED, "walk")->created_node =
            maker_node(&maker, 0, BASE + 100 + i);
    maker_coro(&maker, CRN_MECHANISM_CXX20, CRN_CORO_ABANDONED, "other");
    for (uint32_t i = 0; i < 3; i++) {
        struct crn_record_leak *leak = leak_at(i, CRN_VERDICT_ABANDONED, 10);
        leak->coro = i + 1;
        leak->coro_count = 2;
        leak = leak_at(i + 50, CRN_VERDICT_ABANDONED, 5);
        leak->coro = i + 1;
        leak->coro_count = 1;
        leak->confidence = i == 0 ? CRN_LIKELY : CRN_PROVEN;
    }
    leak_at(7, CRN_VERDICT_LOST, 44);
    leak_at(8, CRN_VERDICT_LOST, 2);
    leak_at(9, CRN_VERDICT_ABANDONED, 3)->coro = 4;
    const struct crn_process *process = add();
    cr_assert_eq(crn_leaks_gather(report->store, process->leaks, process->leaks_count, &clusters),
                 4u);
    cr_assert_eq(clusters[0].count, 6u);
    cr_assert_eq(clusters[0].direct.bytes, 45u);
    cr_assert_eq(clusters[0].leaks[0]->bytes, 10u);
    cr_assert_eq(clusters[0].leaks[5]->bytes, 5u);
    cr_assert_eq(clusters[0].coroutine_count, 6u);
    cr_assert_eq(clusters[0].creations, 3u);
    cr_assert(clusters[0].is_mixed);
    cr_assert_eq(clusters[0].held_count, 6u);
    cr_assert_eq(clusters[0].held[5].direct.bytes, 5u);
    cr_assert_eq(clusters[1].direct.bytes, 44u);
    cr_assert_eq(clusters[2].leaks[0]->coroutine->state, CRN_CORO_ABANDONED);
}

/* Functions of one letter, innermost first, as a stack. */
static const struct crn_stack *letters(const char *functions)
{
    struct crn_stack *stack = crn_store_bytes(report->store, sizeof *stack);
    const struct crn_named_frame **rows =
        crn_store_bytes(report->store, 64 * sizeof(struct crn_named_frame *));
    for (; functions[stack->count] != 0; stack->count++) {
        struct crn_named_frame *frame = crn_store_bytes(report->store, sizeof *frame);
        frame->function = crn_store_print(report->store, "%c", functions[stack->count]);
        frame->alike = frame->function;
        rows[stack->count] = frame;
    }
    stack->frames = rows;
    return stack;
}

Test(report, recursion_is_shown_once)
{
    struct crn_run runs[16];
    cr_assert_eq(crn_stack_fold(letters("abc"), 3, runs), 3u);
    cr_assert_eq(crn_stack_fold(letters("xabcabcabcm"), 11, runs), 3u);
    cr_assert(runs[1].at == 1 && runs[1].length == 3 && runs[1].times == 3);
    cr_assert_eq(crn_stack_fold(letters("aaaa"), 4, runs), 1u);
    cr_assert_eq(crn_stack_fold_key(letters("wrnwrnwrnm")), crn_stack_fold_key(letters("wrnm")));
    cr_assert_neq(crn_stack_fold_key(letters("wrnm")), crn_stack_fold_key(letters("wrm")));
    cr_assert_eq(crn_stack_fold_key(NULL), 0u);
}

/* What a stack of this one function looks like. */
static const char *function_shown(const char *function)
{
    static char shown[512];
    struct crn_named_frame frame = {.function = function};
    const struct crn_named_frame *frames[] = {&frame};
    struct crn_stack stack = {.frames = frames, .count = 1};
    FILE *file = fmemopen(shown, sizeof shown, "w");
    struct crn_page page = {.store = report->store, .file = file};
    crn_page_stack(&page, &stack, 0);
    fclose(file);
    return shown;
}

Test(report, long_names_lose_their_template_arguments)
{
#define LONG \
    "std::map<std::string, std::vector<int>, std::less<std::string>, std::allocator<char>, void>"
    cr_assert_str_eq(function_shown("app::Cache<int>::put"), "app::Cache<int>::put\n");
    cr_assert_str_eq(function_shown("put<" LONG ">::put<" LONG ">"), "put<...>::put<...>\n");
    cr_assert_str_eq(function_shown("operator<< <" LONG ">"), "operator<< <...>\n");
    cr_assert_str_eq(function_shown(LONG "::operator->"), "std::map<...>::operator->\n");
    cr_assert_str_eq(function_shown(LONG "::operator()"), "std::map<...>::operator()\n");
    cr_assert_str_eq(function_shown("f(" LONG ", " LONG ")::{lambda(int)#1}::operator()"),
                     "f(std::map<...>, std::map<...>)::{lambda(int)#1}::operator()\n");
    cr_assert_str_eq(
        function_shown("f(int, a_type_with_a_very_long_name, another_such_type, and_still_"
                       "one_more_of_them)::{lambda(char)#1}::operator()"),
        "f(...)::{lambda(...)#1}::operator()\n");
}

/* Compares what was written with a golden file. */
static void is_golden(const char *name, const char *bytes)
{
    char path[512];
    static char wanted[1 << 16];
    snprintf(path, sizeof path, "%s/golden/%s", CORONER_TESTS_DIR, name);
    if (getenv("CORONER_GOLDEN") != NULL) {
        FILE *file = fopen(path, "w");
        fputs(bytes, file);
        fclose(file);
        return;
    }
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s is missing", path);
    size_t count = fread(wanted, 1, sizeof wanted - 1, file);
    wanted[count] = 0;
    fclose(file);
    cr_assert_str_eq(bytes, wanted, "differs from %s:\n%s", path, bytes);
}

static void write_text(const struct crn_report *example, FILE *file)
{
    crn_report_write_text(example, file, false);
}

static void write_color(const struct crn_report *example, FILE *file)
{
    crn_report_write_text(example, file, true);
}

static void compare(void (*write)(const struct crn_report *, FILE *), const char *name)
{
    char *bytes;
    size_t count;
    FILE *file = open_memstream(&bytes, &count);
    example_fill(report);
    write(report, file);
    fclose(file);
    is_golden(name, bytes);
    free(bytes);
}

Test(report, the_text_is_golden)
{
    compare(write_text, "report.txt");
}

Test(report, the_coloured_text_is_golden)
{
    compare(write_color, "report-color.txt");
}

Test(report, the_json_is_golden)
{
    compare(crn_report_write_json, "report.json");
}
