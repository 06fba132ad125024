/*
 * Two reports compared: who is compared with whom, what counts as a change, and that a report says
 * the same after a way through JSON.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "make_recording.h"
#include "report/diff.h"
#include "report/read_json.h"
#include "report/render.h"

enum { BASE = 0x10000 };

static struct maker maker;
static struct crn_suppressions *suppressions;
static struct crn_report *old, *new, *read_back;
static struct crn_store *store;
static char message[512];

static void setup(void)
{
    suppressions = crn_suppressions_create();
    old = crn_report_create(suppressions, true);
    new = crn_report_create(suppressions, true);
    read_back = crn_report_create(suppressions, true);
    store = crn_store_create();
}

static void teardown(void)
{
    crn_store_destroy(store);
    crn_report_destroy(old);
    crn_report_destroy(new);
    crn_report_destroy(read_back);
    crn_suppressions_destroy(suppressions);
}

TestSuite(diff, .init = setup, .fini = teardown);

static void begin(const char *exe, const char *argument, uint32_t pid)
{
    maker_init(&maker);
    maker_module(&maker, "[made]", BASE, BASE * 2);
    maker.process.exe = maker_string(&maker, exe);
    maker.process.pid = pid;
    maker_argument(&maker, exe);
    maker_argument(&maker, argument);
}

static struct crn_record_leak *leak_at(uint64_t offset, uint64_t blocks, uint64_t bytes)
{
    uint32_t node = maker_node(&maker, 0, BASE + offset + 1);
    struct crn_record_leak *leak = maker_leak(&maker, CRN_VERDICT_LOST, blocks, bytes);
    leak->alloc_node = node;
    return leak;
}

static void end(struct crn_report *report)
{
    struct crn_recording recording;
    maker_finish(&maker);
    cr_assert_eq(crn_record_adopt(maker.bytes, maker.bytes_count, "made", &recording, message,
                                  sizeof message),
                 CRN_OK, "%s", message);
    crn_report_add(report, &recording);
    crn_record_close(&recording);
}

static const struct crn_diff *compare(void)
{
    return crn_diff_make(store, old, new);
}

static void expect_counts(const struct crn_diff_list *list, size_t are_new, size_t gone,
                          size_t grown, size_t shrunk, size_t unchanged)
{
    const size_t wanted[CRN_CHANGE_COUNT] = {are_new, gone, grown, shrunk, unchanged};
    for (unsigned i = 0; i < CRN_CHANGE_COUNT; i++)
        cr_expect_eq(list->counts[i], wanted[i], "%s: %zu, not %zu", crn_change_words[i],
                     list->counts[i], wanted[i]);
}

Test(diff, leaks_are_told_apart_by_id)
{
    begin("/srv/a", "x", 1);
    leak_at(1, 1, 10);
    leak_at(2, 1, 20);
    leak_at(3, 2, 60);
    leak_at(4, 2, 80);
    end(old);
    begin("/srv/a", "x", 2);
    leak_at(2, 1, 20);
    leak_at(3, 3, 90);
    leak_at(4, 1, 40);
    leak_at(5, 1, 50);
    end(new);
    const struct crn_diff *diff = compare();
    cr_assert_eq(diff->count, 1);
    expect_counts(&diff->programs[0].leaks, 1, 1, 1, 1, 1);
    const struct crn_diff_row *row = crn_diff_rows(&diff->programs[0].leaks, CRN_CHANGE_GROWN);
    cr_expect_eq(row->old.blocks, 2);
    cr_expect_eq(row->new.bytes, 90);
    cr_expect(crn_diff_is_worse(diff, false));
}

Test(diff, a_leak_that_only_grew_is_not_worse_and_one_that_is_now_proven_is)
{
    begin("/srv/a", "x", 1);
    leak_at(1, 1, 10);
    leak_at(2, 1, 20)->confidence = CRN_LIKELY;
    end(old);
    begin("/srv/a", "x", 1);
    leak_at(1, 100, 1000);
    leak_at(2, 1, 20)->confidence = CRN_LIKELY;
    leak_at(3, 1, 30)->confidence = CRN_LIKELY;
    end(new);
    const struct crn_diff *diff = compare();
    cr_expect_not(crn_diff_is_worse(diff, false));
    cr_expect(crn_diff_is_worse(diff, true));
    begin("/srv/a", "x", 1);
    leak_at(1, 1, 10);
    leak_at(2, 1, 20);
    crn_report_destroy(new);
    new = crn_report_create(suppressions, true);
    end(new);
    cr_expect(crn_diff_is_worse(compare(), false));
}

Test(diff, what_a_leak_holds_counts_for_its_growth)
{
    begin("/srv/a", "x", 1);
    leak_at(1, 1, 10)->indirect_bytes = 100;
    end(old);
    begin("/srv/a", "x", 1);
    leak_at(1, 1, 10)->indirect_bytes = 300;
    end(new);
    expect_counts(&compare()->programs[0].leaks, 0, 0, 1, 0, 0);
}

Test(diff, processes_are_compared_by_program)
{
    begin("/srv/a", "x", 1);
    leak_at(1, 1, 10);
    end(old);
    begin("/srv/b", "x", 2);
    leak_at(2, 1, 20);
    end(old);
    begin("/opt/b", "x", 11);
    leak_at(2, 1, 20);
    end(new);
    begin("/srv/a", "x", 12);
    leak_at(1, 1, 10);
    end(new);
    begin("/srv/c", "x", 13);
    leak_at(3, 1, 30);
    end(new);
    const struct crn_diff *diff = compare();
    cr_assert_eq(diff->count, 3);
    for (unsigned i = 0; i < 2; i++)
        expect_counts(&diff->programs[i].leaks, 0, 0, 0, 0, 1);
    expect_counts(&diff->programs[2].leaks, 1, 0, 0, 0, 0);
    cr_expect_eq(diff->programs[2].old.count, 0);
}

Test(diff, workers_of_a_pool_are_compared_as_one)
{
    for (uint32_t pid = 1; pid <= 3; pid++) {
        begin("/srv/a", "worker", pid);
        leak_at(pid == 2 ? 1 : 2, 1, 10);
        end(old);
        begin("/srv/a", "worker", pid + 10);
        leak_at(pid == 3 ? 1 : 2, 1, 10);
        end(new);
    }
    const struct crn_diff *diff = compare();
    cr_assert_eq(diff->count, 1);
    cr_expect_eq(diff->programs[0].new.count, 3);
    expect_counts(&diff->programs[0].leaks, 0, 0, 0, 0, 2);
}

Test(diff, processes_of_equal_pids_are_compared_with_themselves)
{
    for (uint32_t pid = 1; pid <= 2; pid++) {
        begin("/srv/a", "worker", pid);
        leak_at(pid, 1, 10);
        end(old);
        begin("/srv/a", "worker", pid);
        leak_at(pid, 2, 20);
        end(new);
    }
    const struct crn_diff *diff = compare();
    cr_assert_eq(diff->count, 2);
    for (unsigned i = 0; i < 2; i++)
        expect_counts(&diff->programs[i].leaks, 0, 0, 1, 0, 0);
}

Test(diff, one_process_on_either_side_is_compared_whatever_it_is_called)
{
    begin("/srv/old-name", "x", 1);
    leak_at(1, 1, 10);
    end(old);
    begin("/srv/new-name", "y", 2);
    leak_at(1, 1, 10);
    end(new);
    const struct crn_diff *diff = compare();
    cr_assert_eq(diff->count, 1);
    expect_counts(&diff->programs[0].leaks, 0, 0, 0, 0, 1);
}

Test(diff, an_unchecked_process_is_not_compared)
{
    begin("/srv/a", "x", 1);
    maker.process.flags = 0;
    end(old);
    begin("/srv/a", "x", 2);
    leak_at(1, 1, 10);
    end(new);
    const struct crn_diff *diff = compare();
    cr_expect_eq(diff->compared_count, 0);
    cr_expect_not(crn_diff_is_worse(diff, true));
}

Test(diff, coroutines_that_doubled_are_told)
{
    for (unsigned i = 0; i < 2; i++) {
        begin("/srv/a", "x", 1);
        maker_coro(&maker, CRN_MECHANISM_UCONTEXT, CRN_CORO_SUSPENDED, "wait")->count = i ? 10 : 5;
        maker_coro(&maker, CRN_MECHANISM_UCONTEXT, CRN_CORO_SUSPENDED, "serve")->count = i ? 6 : 5;
        maker.process.coroutines[CRN_CORO_SUSPENDED] = i ? 16 : 10;
        end(i ? new : old);
    }
    const struct crn_diff_program *program = &compare()->programs[0];
    cr_assert(program->has_coroutines);
    expect_counts(&program->coroutines, 0, 0, 2, 0, 0);
    const struct crn_diff_row *rows = crn_diff_rows(&program->coroutines, CRN_CHANGE_GROWN);
    cr_expect_str_eq(rows[0].coroutine->name, "wait");
    cr_expect(crn_diff_has_doubled(&rows[0]));
    cr_expect_not(crn_diff_has_doubled(&rows[1]));
}

/* Stacks that were sampled: two leaks of many blocks, of which `samples` were hit. */
static void sampled_make(struct crn_report *report, uint32_t samples)
{
    begin("/srv/a", "x", 1);
    maker.process.sample_bytes = 1 << 20;
    uint32_t node = maker_node(&maker, 0, BASE + 1);
    maker_leak(&maker, CRN_VERDICT_LOST, 100000, 100000 * 1000);
    maker_sample(&maker, node, 1000, samples);
    end(report);
}

Test(diff, an_estimate_has_changed_only_beyond_its_error)
{
    sampled_make(old, 100);
    sampled_make(new, 110);
    const struct crn_diff *diff = compare();
    const struct crn_diff_list *list = &diff->programs[0].leaks;
    cr_expect_eq(list->counts[CRN_CHANGE_GROWN], 0);
    cr_expect(diff->programs[0].old.is_partial);
}

Test(diff, a_sampled_stack_that_is_new_is_worse_only_if_more_is_leaked)
{
    begin("/srv/a", "x", 1);
    maker.process.sample_bytes = 1 << 20;
    maker_leak(&maker, CRN_VERDICT_LOST, 100, 1000);
    end(old);
    begin("/srv/a", "x", 1);
    maker.process.sample_bytes = 1 << 20;
    leak_at(1, 1, 10);
    end(new);
    cr_expect_not(crn_diff_is_worse(compare(), false));
}

/* What a report says after a way through JSON. */
static void read_again(const struct crn_report *report)
{
    char *bytes;
    size_t count;
    FILE *file = open_memstream(&bytes, &count);
    crn_report_write_json(report, file);
    fclose(file);
    cr_assert_eq(crn_report_add_json(read_back, bytes, count, "json", message, sizeof message),
                 CRN_OK, "%s", message);
    free(bytes);
}

Test(diff, a_report_read_from_its_json_is_the_same)
{
    begin("/srv/a \xe2\x80\xae", "x", 1);
    maker_coro(&maker, CRN_MECHANISM_CXX20, CRN_CORO_SUSPENDED, "wait")->count = 7;
    maker.process.coroutines[CRN_CORO_SUSPENDED] = 7;
    struct crn_record_leak *leak = leak_at(1, 3, 30);
    leak->verdict = CRN_VERDICT_ABANDONED;
    leak->indirect_blocks = 4;
    leak->indirect_bytes = 40;
    leak->coro = leak->coro_count = 1;
    maker_link(&maker, CRN_LINK_CORO)->coro = 1;
    maker_link(&maker, CRN_LINK_LEAK)->bytes = 10;
    leak_at(2, 1, 10)->confidence = CRN_LIKELY;
    end(old);
    read_again(old);
    const struct crn_diff *diff = crn_diff_make(store, old, read_back);
    cr_assert_eq(diff->count, 1);
    expect_counts(&diff->programs[0].leaks, 0, 0, 0, 0, 2);
    expect_counts(&diff->programs[0].coroutines, 0, 0, 0, 0, 1);
    const struct crn_process *process = &read_back->processes[0];
    cr_expect_str_eq(process->exe, "/srv/a \xe2\x80\xae");
    cr_expect_eq(process->leaked.bytes, 80);
    cr_expect_eq(process->likely.blocks, 1);
    cr_expect_eq(process->leaks[0].chain.count, 2);
    cr_expect_str_eq(process->leaks[0].chain.links[0].coroutine->name, "wait");
}

/* A server whose live heap was looked at, at a time. */
static void live_make(struct crn_report *report, uint64_t blocks)
{
    begin("/srv/a", "x", 1);
    maker.process.flags |= CRN_PROCESS_LIVE;
    maker.process.live_bytes = 3000 + blocks * 100;
    uint32_t grows = maker_node(&maker, 0, BASE + 1), stays = maker_node(&maker, 0, BASE + 3);
    maker_live(&maker, stays, CRN_GROWTH_STARTUP, 3, 3, 3000);
    struct crn_record_live *live =
        maker_live(&maker, grows, CRN_GROWTH_STEADY, 2, blocks, blocks * 100);
    live->bytes_per_hour = 7200;
    live->since_ns = 60 * 1000000000ull;
    maker_live_link(&maker, CRN_LINK_ROOT)->name = maker_string(&maker, "sessions");
    maker_live_link(&maker, CRN_LINK_LEAK)->bytes = 100;
    maker.counts[CRN_SECTION_MEMORY] = 1;
    maker.memory = (struct crn_record_memory){.resident_bytes = 1 << 20,
                                              .heap_bytes = UINT64_MAX,
                                              .limit_bytes = 1 << 30,
                                              .limit_kind = CRN_LIMIT_CGROUP};
    end(report);
}

Test(diff, what_is_alive_and_grew_is_told)
{
    live_make(old, 10);
    live_make(new, 50);
    const struct crn_diff_program *program = &compare()->programs[0];
    cr_assert(program->has_live);
    expect_counts(&program->live, 0, 0, 1, 0, 1);
    const struct crn_diff_row *row = crn_diff_rows(&program->live, CRN_CHANGE_GROWN);
    cr_expect_eq(row->new.bytes - row->old.bytes, 4000);
    cr_expect_not(crn_diff_is_worse(compare(), true));
}

Test(diff, what_is_alive_is_compared_only_where_both_looked)
{
    begin("/srv/a", "x", 1);
    end(old);
    live_make(new, 50);
    cr_expect_not(compare()->programs[0].has_live);
}

Test(diff, what_is_alive_goes_through_json)
{
    live_make(old, 10);
    read_again(old);
    const struct crn_diff *diff = crn_diff_make(store, old, read_back);
    expect_counts(&diff->programs[0].live, 0, 0, 0, 0, 2);
    const struct crn_process *process = &read_back->processes[0];
    cr_assert_eq(process->live_rows_count, 2);
    const struct crn_live *live = &process->live_rows[0];
    cr_expect_eq(live->shape, CRN_GROWTH_STEADY);
    cr_expect_float_eq(live->bytes_per_s, 2, 1e-9);
    cr_expect_float_eq(live->since_s, 60, 1e-9);
    cr_expect_eq(live->ages[2].bytes, 1000);
    cr_expect_str_eq(live->chain.links[0].name, "sessions");
    cr_expect_eq(process->memory.resident_bytes, 1 << 20);
    cr_expect_eq(process->memory.heap_bytes, UINT64_MAX);
    cr_expect_eq(process->memory.limit_kind, CRN_LIMIT_CGROUP);
}

static enum crn_status read_text(const char *text)
{
    return crn_report_add_json(read_back, text, strlen(text), "text", message, sizeof message);
}

Test(diff, what_is_no_report_is_refused_in_a_line)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{",
        "{}",
        "null",
        "{\"schema\":1}",
        "{\"schema\":\"coroner-bench/1\"}",
        "{\"schema\":\"coroner-report/1\",\"processes\":{}}",
        "{\"schema\":\"coroner-report/1\",\"processes\":[7]}",
        "{\"schema\":\"coroner-report/1\",\"processes\":[{\"argv\":[7]}]}",
        "{\"schema\":\"coroner-report/1\",\"processes\":[{\"leaks\":[[]]}]}",
        "{\"schema\":\"coroner-report/1\",\"processes\":[{\"coroutines\":[{\"state\":\"odd\"}]}]}",
    };
    for (unsigned i = 0; i < CRN_COUNT_OF(texts); i++) {
        cr_expect_eq(read_text(texts[i]), CRN_ERR_FORMAT, "%s", texts[i]);
        cr_expect(*message != 0 && strchr(message, '\n') == NULL, "%s", message);
    }
}

Test(diff, json_that_takes_much_memory_is_refused)
{
    const size_t count = 8 << 20; /* an object takes nearly a hundred times its three bytes */
    char *bytes = malloc(count);
    for (size_t i = 0; i < count; i += 3)
        memcpy(bytes + i, i == 0 ? "[{}" : ",{}", count - i < 3 ? count - i : 3);
    cr_expect_eq(crn_report_add_json(read_back, bytes, count, "much", message, sizeof message),
                 CRN_ERR_NO_MEMORY);
    free(bytes);
}
