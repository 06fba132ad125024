/*
 * `coroner report`: renders kept recordings again.  The shim uses it, too, to report on a program
 * that no launcher started.
 */
#include <stdlib.h>

#include "record/reader.h"
#include "shim/launcher/arguments.h"
#include "shim/launcher/keep.h"
#include "shim/launcher/output.h"

/*
 * Adds the recordings, and keeps them where that is asked for.  Answers 0, or the status after
 * saying which cannot be read; `is_kept` tells that all could be written.
 */
static int recordings_add(struct crn_report *report, const struct crn_options *options,
                          char **paths, bool *is_kept)
{
    *is_kept = true;
    for (; *paths != NULL; paths++) {
        struct crn_recording recording;
        char message[512];
        if (crn_record_open(*paths, &recording, message, sizeof message) != CRN_OK) {
            crn_say("%s", message);
            return CRN_EXIT_USAGE;
        }
        crn_report_add(report, &recording);
        bool is_program = (recording.process->flags & CRN_PROCESS_FIRST) != 0;
        if (*options->record != 0)
            *is_kept &= crn_recording_keep(&recording, options->record, is_program, 0);
        crn_record_close(&recording);
    }
    return 0;
}

static int render(const struct crn_options *options, struct crn_suppressions *suppressions,
                  char **paths)
{
    char message[512];
    for (unsigned i = 0; i < options->suppressions_count; i++) {
        if (crn_suppressions_read(suppressions, options->suppressions[i], message,
                                  sizeof message) != CRN_OK) {
            crn_say("%s", message);
            return CRN_EXIT_USAGE;
        }
    }
    struct crn_report *report = crn_report_create(suppressions, options->coroutines);
    crn_report_heed(report, options);
    bool is_kept;
    int status = recordings_add(report, options, paths, &is_kept);
    if (status == 0) {
        crn_report_finish(report);
        if (!crn_output_report(report, options, report->processes[0].pid) || !is_kept)
            status = CRN_EXIT_USAGE;
        if (options->error_exitcode != 0 && crn_report_is_bad(report, options->strict))
            status = (int)options->error_exitcode;
    }
    crn_report_destroy(report);
    return status;
}

int crn_command_report(const struct crn_command *command, int argc, char **argv)
{
    struct crn_arguments arguments;
    crn_options_init(&arguments.options);
    arguments.options.error_exitcode = 0; /* rendering is no verdict, unless one is asked for */
    int status =
        crn_arguments_read(&arguments, command, CRN_OPERANDS_ANYWHERE, argc, argv);
    if (status >= 0)
        return status;
    if (arguments.first_operand >= argc) {
        crn_say("report on what? `coroner report [OPTIONS] RECORDING...`");
        return CRN_EXIT_USAGE;
    }
    struct crn_suppressions *suppressions = crn_suppressions_create();
    status = render(&arguments.options, suppressions, argv + arguments.first_operand);
    crn_suppressions_destroy(suppressions);
    return status;
}
