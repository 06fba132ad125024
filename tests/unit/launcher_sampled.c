/*
 * Reports of sampled stacks: what samples stand for, and who is suppressed with them.
 */
#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "make_recording.h"
#include "report/model.h"
#include "report/sampled.h"

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

TestSuite(sampled, .init = setup, .fini = teardown);

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

Test(sampled, a_block_is_weighed_by_its_size_and_never_below_one)
{
    cr_assert_float_eq(crn_sample_weight(99, 1000), 1 / (1 - exp(-0.1)), 1e-9);
    cr_assert_float_eq(crn_sample_weight(0, (uint64_t)1 << 36), (double)((uint64_t)1 << 36), 1);
    cr_assert_float_eq(crn_sample_weight(100000, 1000), 1, 1e-9);
    cr_assert_float_eq(crn_sample_weight(0, 1), 1, 0);
}

Test(sampled, a_sampled_block_counts_for_those_it_stands_for)
{
    maker_module(&maker, "[made]", BASE, BASE * 2);
    maker.process.sample_bytes = 1000;
    leak_at(1, CRN_VERDICT_LOST, 2 * 99)->blocks = 2;
    maker_sample(&maker, 1, 99, 2);
    maker_leak(&maker, CRN_VERDICT_LOST, 20, 1980);
    maker.leaks[1].indirect_blocks = 50;
    maker_sample(&maker, 1, 499, 1)->is_indirect = 1;
    maker_sample(&maker, 1, 499, 1)->is_indirect = 1;
    const struct crn_process *process = add();
    const struct crn_leak *hit = &process->leaks[0], *rest = &process->leaks[1];
    double weight = 1 / (1 - exp(-0.1)), behind_weight = 1 / (1 - exp(-0.5));
    cr_assert_eq(process->leaks_count, 2u);
    cr_assert(hit->is_sampled && hit->blocks == 2 && hit->estimate.sampled == 2);
    cr_assert_float_eq(hit->estimate.blocks, 2 * weight, 1e-9);
    cr_assert_float_eq(hit->estimate.bytes, 198 * weight, 1e-9);
    cr_assert(rest->is_missed && !rest->is_sampled && rest->blocks == 20);
    cr_assert_eq(rest->explained_bytes, (uint64_t)(198 * weight - 198));
    cr_assert(rest->behind != NULL && rest->behind->next == NULL);
    cr_assert_float_eq(rest->behind->estimate.blocks, 2 * behind_weight, 1e-9);
    cr_assert_eq(process->leaked.blocks, 72u);
    cr_assert(crn_report_is_bad(report, false));
}

/* Two leaks of which samples tell, and one of the same kind that none fell on. */
static const struct crn_process *add_sampled(const char *silenced, bool has_samples)
{
    maker_module(&maker, "[made]", BASE, BASE * 2);
    maker_module(&maker, "[other]", BASE * 2, BASE * 3);
    maker.process.sample_bytes = 1000;
    suppress(silenced);
    if (has_samples) {
        leak_at(1, CRN_VERDICT_LOST, 10);
        maker_sample(&maker, 1, 10, 1);
        leak_at(BASE, CRN_VERDICT_LOST, 20);
        maker_sample(&maker, 2, 20, 1);
    }
    maker_leak(&maker, CRN_VERDICT_LOST, 7, 70);
    return add();
}

Test(sampled, what_no_sample_fell_on_is_suppressed_with_all_samples_of_its_kind)
{
    const struct crn_process *process = add_sampled("leak:^[other]$\nleak:^[made]$\n", true);
    cr_assert_eq(process->leaks_count, 0u);
    cr_assert_eq(process->suppressed.blocks, 9u);
    cr_assert(!crn_report_is_bad(report, true));
}

Test(sampled, what_no_sample_fell_on_stays_with_what_is_not_suppressed)
{
    const struct crn_process *process = add_sampled("leak:^[other]$\n", true);
    cr_assert_eq(process->leaks_count, 2u);
    cr_assert_eq(process->suppressed.blocks, 1u);
    cr_assert_eq(process->unjudged[CRN_PROVEN].blocks, 0u);
    cr_assert(crn_report_is_bad(report, false));
}

Test(sampled, without_any_sample_patterns_for_stacks_leave_the_exit_code_open)
{
    const struct crn_process *process = add_sampled("leak:^[other]$\n", false);
    cr_assert_eq(process->leaks_count, 1u);
    cr_assert_eq(process->leaked.blocks, 7u);
    cr_assert_eq(process->unjudged[CRN_PROVEN].blocks, 7u);
    cr_assert_eq(report->warnings_count, 1u);
    cr_assert(!crn_report_is_bad(report, true));
}

Test(sampled, without_patterns_what_no_sample_fell_on_is_a_leak)
{
    add_sampled("chain:sessions\n", false);
    cr_assert(crn_report_is_bad(report, false));
}

Test(sampled, numbers_that_no_program_has_stay_numbers)
{
    cr_assert_eq(crn_count_of(1e300), UINT64_MAX);
    cr_assert_eq(crn_count_of(0x1p64), UINT64_MAX);
    cr_assert_eq(crn_count_of(0x1p63), (uint64_t)1 << 63);
    cr_assert_eq(crn_count_of(-1), 0u);
    cr_assert_eq(crn_count_of(NAN), 0u);
    cr_assert_eq(crn_count_of(INFINITY), UINT64_MAX);
    cr_assert(isfinite(crn_sample_weight(UINT64_MAX, 512)));
    maker.process.sample_bytes = UINT64_MAX;
    maker_leak(&maker, CRN_VERDICT_LOST, 1, UINT64_MAX);
    maker_sample(&maker, 0, UINT64_MAX, UINT32_MAX);
    maker_sample(&maker, 0, 0, UINT32_MAX);
    maker_sample(&maker, 0, 0, 0);
    const struct crn_process *process = add();
    cr_assert(isfinite(process->leaks[0].estimate.blocks));
    cr_assert(isfinite(process->leaks[0].estimate.bytes));
}
