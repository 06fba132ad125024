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
    report->has_suppressions = options->print_suppressions;
    report->has_objects = options->report_objects;
    report->leaks_max = options->max_leaks;
    report->frames_max = options->malloc_context_size;
    crn_files_allow_debuginfod(options->debuginfod);
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
    char *text;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        crn_out_of_memory();
    va_end(arguments);
    const char *kept = crn_store_text(report->store, text);
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

void crn_report_finish(struct crn_report *report)
{
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
