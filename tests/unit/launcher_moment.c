/*
 * The page of a live check: what it says, and that it never has more than forty lines.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "make_recording.h"
#include "report/moment.h"
#include "report/render.h"

enum { BASE = 0x10000 };

static struct maker maker;
static struct crn_suppressions *suppressions;
static struct crn_report *report;
static char *text;

static void setup(void)
{
    suppressions = crn_suppressions_create();
    report = crn_report_create(suppressions, false);
    maker_init(&maker);
    maker.process.check_kind = CRN_CHECK_LIVE;
    maker.process.flags |= CRN_PROCESS_LIVE;
    maker.process.duration_ns = 600000000000;
    maker.process.exe = maker_string(&maker, "/srv/bin/server");
    maker_module(&maker, "[made]", BASE, BASE * 2);
}

static void teardown(void)
{
    crn_report_destroy(report);
    crn_suppressions_destroy(suppressions);
    free(text);
}

TestSuite(moment, .init = setup, .fini = teardown);

static void render(void)
{
    struct crn_recording recording;
    char message[256];
    size_t count;
    maker_finish(&maker);
    cr_assert_eq(crn_record_adopt(maker.bytes, maker.bytes_count, "made", &recording, message,
                                  sizeof message),
                 CRN_OK, "%s", message);
    crn_report_add(report, &recording);
    crn_record_close(&recording);
    FILE *file = open_memstream(&text, &count);
    crn_report_write_text(report, file, false);
    fclose(file);
}

static void says(const char *words)
{
    cr_assert_not_null(strstr(text, words), "'%s' is not in\n%s", words, text);
}

static void says_not(const char *words)
{
    cr_assert_null(strstr(text, words), "'%s' is in\n%s", words, text);
}

static unsigned lines(void)
{
    unsigned count = 0;
    for (const char *at = text; *at != 0; at++)
        count += *at == '\n';
    return count;
}

static struct crn_record_live *growing(uint64_t bytes_per_hour, uint64_t offset)
{
    uint32_t node = maker_node(&maker, 0, BASE + offset + 1);
    struct crn_record_live *live = maker_live(&maker, node, CRN_GROWTH_STEADY, 3, 1000, 1024000);
    live->bytes_per_hour = bytes_per_hour;
    live->since_ns = 300000000000;
    return live;
}

static void limit(uint64_t left)
{
    maker.counts[CRN_SECTION_MEMORY] = 1;
    maker.memory = (struct crn_record_memory){.resident_bytes = 900 << 20,
                                              .heap_bytes = 700 << 20,
                                              .stacks_bytes = 100 << 20,
                                              .idle_stacks_bytes = 20 << 20,
                                              .thread_stacks_bytes = UINT64_MAX,
                                              .own_bytes = 50 << 20,
                                              .limit_bytes = 1 << 30,
                                              .left_bytes = left,
                                              .limit_kind = CRN_LIMIT_CGROUP};
}

Test(moment, what_grows_comes_first_with_its_rate_beginning_holder_and_end)
{
    growing(3600 * 1024, 0x100);
    struct crn_record_link *root = maker_live_link(&maker, CRN_LINK_ROOT);
    root->root = CRN_ROOT_STACK;
    root->name = maker_string(&maker, "thread 17 \"worker\"");
    maker_live_link(&maker, CRN_LINK_CORO)->name = maker_string(&maker, "requests");
    maker_live_link(&maker, CRN_LINK_BLOCK)->skipped = 500;
    maker_live_link(&maker, CRN_LINK_LEAK)->bytes = 1024;
    limit((uint64_t)36 << 20);
    render();
    says("server (pid 4711), up 10 min, ");
    says("grows by about 1,024 bytes a second; at that rate the control group is full in 10.2 h");
    says("about 1,024 bytes a second, since 5 min ago; now 1.0 MiB in 1,000 blocks");
    says("held by stack thread 17 \"worker\", coroutine ?, its requests, through 501 blocks");
    says("resident 900.0 MiB: heap 700.0 MiB, coroutine stacks 100.0 MiB, of them idle 20.0 MiB");
    says_not("thread stacks");
    says("36.0 MiB left to the control group's 1.0 GiB");
    says("nothing is leaked");
    says("next: coroner check --full 4711");
}

Test(moment, what_is_not_known_is_not_said)
{
    maker.process.duration_ns = 5000000000;
    maker_live(&maker, 0, CRN_GROWTH_UNKNOWN, 1, 10, 100);
    render();
    says("too early to tell what grows");
    says("largest: 100 bytes in 10 blocks, where no stack is known");
    says_not("resident");
    says_not("foreseen");
    says_not("full in");
    says_not("exited");
}

Test(moment, it_has_forty_lines_for_any_program)
{
    static char name[600];
    memset(name, 'x', sizeof name - 1);
    for (unsigned i = 0; i < 12; i++) {
        growing(3600000 + i, 0x100 + i);
        maker_live_link(&maker, CRN_LINK_ROOT)->name = maker_string(&maker, "long name of a root");
        maker_live_link(&maker, CRN_LINK_LEAK)->bytes = 8;
        struct crn_record_leak *leak = maker_leak(&maker, CRN_VERDICT_ABANDONED, 1, 100 + i);
        leak->confidence = i % 2;
        leak->alloc_node = maker_node(&maker, 0, BASE + 0x200 + i);
        struct crn_record_coro *coro =
            maker_coro(&maker, CRN_MECHANISM_UCONTEXT, CRN_CORO_SUSPENDED, i == 0 ? name : "wait");
        coro->suspended_node = maker_node(&maker, 0, BASE + 0x300 + i);
        maker.findings[maker.counts[CRN_SECTION_FINDINGS]++] =
            (struct crn_record_finding){.kind = CRN_FINDING_ZOMBIE, .count = 1};
        maker_warning(&maker, "a warning");
    }
    maker.process.coroutines_seen = 12;
    maker.process.coroutines[CRN_CORO_SUSPENDED] = 12;
    maker.process.unseen_threads = 3;
    maker.process.predicted_pause_ns = 1000000;
    limit(1000);
    render();
    cr_assert_leq(lines(), CRN_MOMENT_LINES_MAX, "%u lines:\n%s", lines(), text);
    says("... and 8 places more that grow ...");
    says("... and 8 leaks more ...");
    says("... and 8 more ...");
    says("not seen: 3 threads");
    cr_assert_null(strstr(text, name));
}

Test(moment, all_of_it_is_printed_when_that_is_asked_for)
{
    report->is_full = true;
    for (unsigned i = 0; i < 12; i++)
        growing(3600000 + i, 0x100 + i);
    limit(1000);
    render();
    cr_assert_gt(lines(), CRN_MOMENT_LINES_MAX);
    says("alive, by what allocated it");
    says("by age: up to 10 min 1.0 MiB");
    says("resident 900.0 MiB");
    says("(pid 4711, running)");
}
