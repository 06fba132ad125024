/*
 * A report as a whole: its processes, its warnings, and what only all of it can tell.
 * See model.h; build.c fills in a process.
 */
#include "report/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/judge.h"
#include "report/words.h"
#include "sym/files.h"

struct crn_report *crn_report_create(const struct crn_suppressions *suppressions,
                                     bool has_coroutines)
{
    struct crn_report *report = calloc(1, sizeof *report);
    if (report == NULL)
        crn_out_of_memory();
    report->store = crn_store_create();
    report->sym = crn_sym_create(report->store);
    report->judge = crn_judge_create(suppressions);
    report->has_coroutines = has_coroutines;
    return report;
}

void crn_report_heed(struct crn_report *report, const struct crn_options *options)
{
    report->is_full = options->full;
    report->has_suppressions = options->print_suppressions;
    report->has_objects = options->report_objects;
    report->leaks_max = options->max_leaks;
    report->frames_max = options->malloc_context_size;
    crn_files_allow_debuginfod(options->debuginfod);
}

void crn_report_step(const struct crn_report *report, enum crn_work work, uint64_t done,
                     uint64_t total)
{
    if (report->step != NULL)
        report->step(report->step_user, work, done, total);
}

void crn_report_destroy(struct crn_report *report)
{
    if (report == NULL)
        return;
    free(report->unnamed);
    free(report->processes);
    free(report->warnings);
    crn_judge_destroy(report->judge);
    crn_sym_destroy(report->sym);
    crn_store_destroy(report->store);
    free(report);
}

void crn_report_warn(struct crn_report *report, const char *format, ...)
{
    enum { WARNINGS_MAX = 1000 };
    char *text;
    va_list arguments;
    if (report->warnings_count > WARNINGS_MAX)
        return;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        crn_out_of_memory();
    va_end(arguments);
    const char *kept = crn_store_text(report->store, report->warnings_count == WARNINGS_MAX
                                                         ? "there are more warnings than these"
                                                         : text);
    free(text);
    for (size_t i = 0; i < report->warnings_count; i++)
        if (report->warnings[i] == kept)
            return; /* once is enough, however many processes say it */
    report->warnings = crn_grow(report->warnings, report->warnings_count, &report->warnings_room,
                                sizeof *report->warnings);
    report->warnings[report->warnings_count++] = kept;
}

static void module_finish(const char *path, const char *problem, uint64_t unnamed_count, void *user)
{
    struct crn_report *report = user;
    if (problem != NULL) {
        crn_report_warn(report, "%s", problem);
    } else if (unnamed_count > 0) {
        report->unnamed = crn_grow(report->unnamed, report->unnamed_count, &report->unnamed_room,
                                   sizeof *report->unnamed);
        report->unnamed[report->unnamed_count++] = (struct crn_unnamed){path, unnamed_count};
    }
}

/* What stacks come to where they are written whole, cut to this or that many frames. */
struct written {
    uint32_t frames_max; /* 0: all */
    uint64_t bytes;
};

static void stack_count(const struct crn_stack *stack, struct written *written, size_t count)
{
    enum { FRAME_BYTES = 100 }; /* beside its texts */
    uint64_t bytes = 0;
    size_t at = count;
    for (uint32_t i = 0; stack != NULL && i < stack->count; i++) {
        for (; at > 0 && written[at - 1].frames_max == i && i > 0; at--)
            written[at - 1].bytes += bytes;
        bytes += FRAME_BYTES + stack->frames[i]->text_bytes;
    }
    for (; at > 0; at--)
        written[at - 1].bytes += bytes;
}

static void coroutine_count(const struct crn_coroutine *coroutine, struct written *written,
                            size_t count)
{
    if (coroutine == NULL)
        return;
    stack_count(coroutine->created, written, count);
    stack_count(coroutine->suspended, written, count);
}

/*
 * Every leak is written with its stacks, and a forged recording can make each of them thousands of
 * frames at the price of a row.  So all of them together may only come to so many times what was
 * recorded; beyond that they are cut.
 */
static void frames_choose(struct crn_report *report)
{
    struct written written[] = {{0, 0}, {256, 0}, {64, 0}, {16, 0}, {4, 0}, {1, 0}};
    const size_t count = CRN_COUNT_OF(written);
    const uint64_t bytes_max = ((uint64_t)64 << 20) + 64 * report->recorded_bytes;
    for (size_t i = 0; i < report->processes_count; i++) {
        const struct crn_process *process = &report->processes[i];
        for (size_t j = 0; j < process->leaks_count; j++) {
            stack_count(process->leaks[j].allocated, written, count);
            coroutine_count(process->leaks[j].coroutine, written, count);
            for (const struct crn_behind *at = process->leaks[j].behind; at != NULL; at = at->next)
                stack_count(at->stack, written, count);
        }
        for (size_t j = 0; j < process->findings_count; j++) {
            stack_count(process->findings[j].stack, written, count);
            coroutine_count(process->findings[j].coroutine, written, count);
        }
        for (size_t j = 0; j < process->live_rows_count; j++)
            stack_count(process->live_rows[j].allocated, written, count);
        for (size_t j = 0; j < process->coroutines_count; j++)
            coroutine_count(&process->coroutines[j], written, count);
    }
    size_t chosen = 0;
    while (chosen + 1 < count && written[chosen].bytes > bytes_max)
        chosen++;
    report->frames_written_max = written[chosen].frames_max;
    if (chosen > 0)
        crn_report_warn(report,
                        "all stacks together would be %llu MiB: only %u frames of each are written "
                        "where a format has them all",
                        (unsigned long long)(written[0].bytes >> 20), written[chosen].frames_max);
}

void crn_report_finish(struct crn_report *report)
{
    frames_choose(report);
    crn_sym_visit_modules(report->sym, module_finish, report);
}

bool crn_report_is_bad(const struct crn_report *report, bool strict)
{
    for (size_t i = 0; i < report->processes_count; i++) {
        const struct crn_process *process = &report->processes[i];
        uint64_t likely = process->likely.blocks - process->unjudged[CRN_LIKELY].blocks;
        uint64_t judged = process->leaked.blocks - process->unjudged[CRN_LIKELY].blocks -
                          process->unjudged[CRN_PROVEN].blocks;
        if (judged > likely || (strict && (judged > 0 || process->findings_count > 0)))
            return true;
    }
    return false;
}

const char *crn_leak_hint(const struct crn_leak *leak)
{
    return crn_verdict_hint(leak->verdict, leak->coroutine != NULL ? leak->coroutine->mechanism
                                                                   : CRN_MECHANISM_STACK);
}
