/*
 * `coroner report`: renders kept recordings again.  The shim uses it, too, to report on a program
 * that no launcher started.
 *
 * What it does for the shim (--deliver) must not fail: a child makes the report (attend.h), and
 * removes the recording, which nobody else knows; should it fail, that is kept.  A file of
 * suppressions that cannot be read costs a line.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/reader.h"
#include "shim/launcher/arguments.h"
#include "shim/launcher/attend.h"
#include "shim/launcher/keep.h"
#include "shim/launcher/late.h"
#include "shim/launcher/output.h"
#include "shim/launcher/progress.h"
#include "shim/launcher/rescue.h"
#include "shim/launcher/session.h"

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

/* Reads the files of suppressions; answers whether all could be read, after saying which cannot. */
static bool suppressions_read(const struct crn_options *options,
                              struct crn_suppressions *suppressions)
{
    char message[512];
    bool are_read = true;
    for (unsigned i = 0; i < options->suppressions_count && (are_read || options->deliver); i++) {
        if (crn_suppressions_read(suppressions, options->suppressions[i], message,
                                  sizeof message) != CRN_OK) {
            crn_say("%s%s", message, options->deliver ? "; the report goes without it" : "");
            are_read = false;
        }
    }
    return are_read;
}

static bool is_bad(const struct crn_report *report, const struct crn_options *options)
{
    return options->error_exitcode != 0 && crn_report_is_bad(report, options->strict);
}

static int render(const struct crn_options *options, struct crn_suppressions *suppressions,
                  char **paths)
{
    if (!suppressions_read(options, suppressions))
        return CRN_EXIT_USAGE;
    struct crn_report *report = crn_report_create(suppressions, options->coroutines);
    crn_progress_attach(report);
    crn_report_heed(report, options);
    bool is_kept;
    int status = recordings_add(report, options, paths, &is_kept);
    if (status == 0) {
        crn_report_finish(report);
        if (crn_output_report(report, options, report->processes[0].pid) != CRN_DELIVERED ||
            !is_kept)
            status = CRN_EXIT_USAGE;
        if (is_bad(report, options))
            status = (int)options->error_exitcode;
    }
    crn_report_destroy(report);
    return status;
}

/* What the shim wants to have delivered. */
struct delivery {
    const struct crn_options *options;
    struct crn_suppressions *suppressions;
    struct crn_rescued rescued;     /* the recording; in memory, if it came through a pipe */
    struct crn_recording recording; /* empty, if it is in a file */
};
enum { STAYS = CRN_ANSWER_OWN }; /* the file is still wanted */

static bool is_file(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* Writes the report where it belongs; answers the bits that this adds to make()'s answer. */
static int delivery_write(const struct delivery *delivery, const struct crn_report *report)
{
    const struct crn_options *options = delivery->options;
    if (options->quiet && !crn_report_is_bad(report, options->strict))
        return 0;
    if (*options->late_reports == 0)
        return crn_output_report(report, options, report->processes[0].pid) == CRN_DELIVERED_NOWHERE
                   ? CRN_UNSEEN
                   : 0;
    switch (crn_late_report(report, options)) {
    case CRN_LATE_WRITTEN:
        return 0;
    case CRN_LATE_LOGGED:
        if (delivery->rescued.path == NULL)
            return CRN_UNSEEN;
        crn_say_somewhere("the recording is kept, render with: coroner report %s",
                          delivery->rescued.path);
        return STAYS;
    default:
        return CRN_UNSEEN;
    }
}

static int delivery_make(void *user)
{
    struct delivery *delivery = user;
    const struct crn_options *options = delivery->options;
    struct crn_recording *recording = &delivery->recording;
    char message[512];
    if (recording->bytes == NULL &&
        crn_record_open(delivery->rescued.path, recording, message, sizeof message) != CRN_OK) {
        crn_say("%s", message);
        return CRN_NOT_MADE;
    }
    suppressions_read(options, delivery->suppressions);
    struct crn_report *report = crn_report_create(delivery->suppressions, options->coroutines);
    crn_progress_attach(report);
    crn_report_heed(report, options);
    crn_report_add(report, recording);
    bool is_program = (recording->process->flags & CRN_PROCESS_FIRST) != 0;
    int answer = 0;
    if (*options->record != 0 && !crn_recording_keep(recording, options->record, is_program, 0))
        answer |= CRN_UNSEEN;
    crn_report_finish(report);
    answer |= delivery_write(delivery, report);
    if (is_bad(report, options))
        answer |= (int)options->error_exitcode;
    crn_report_destroy(report);
    return answer;
}

static void delivery_keep(void *user, const char *why)
{
    struct delivery *delivery = user;
    crn_rescue(why, &delivery->rescued, 1, NULL, CRN_PLACE_HERE_FIRST);
}

/* The status when there is no report: what the recording says, without suppressions. */
static int status_without_report(const struct delivery *delivery)
{
    struct crn_rescue_facts facts = crn_rescue_look(&delivery->rescued, 1);
    bool is_bad_for_sure = facts.has_proven_leak || (delivery->options->strict && facts.has_news);
    return is_bad_for_sure ? (int)delivery->options->error_exitcode : 0;
}

/* Delivers the recording at `path` for the shim; answers the status. */
static int deliver(const struct crn_options *options, struct crn_suppressions *suppressions,
                   char *path)
{
    struct delivery delivery = {options, suppressions, .rescued.path = is_file(path) ? path : NULL};
    char message[512];
    if (delivery.rescued.path == NULL) {
        if (crn_record_open(path, &delivery.recording, message, sizeof message) != CRN_OK) {
            crn_say("%s", message);
            return CRN_EXIT_USAGE;
        }
        delivery.rescued.recording = &delivery.recording;
    }
    crn_output_endure();
    int answer = crn_attend(
        &(struct crn_attendance){.user = &delivery, .make = delivery_make, .keep = delivery_keep});
    int status = answer == CRN_NOT_MADE ? status_without_report(&delivery) : answer & CRN_STATUS;
    bool is_settled = answer != CRN_NOT_MADE && (answer & (CRN_UNSEEN | STAYS)) == 0;
    if (delivery.rescued.path != NULL && (is_settled || delivery.rescued.is_kept))
        unlink(path);
    crn_record_close(&delivery.recording);
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
    char **paths = argv + arguments.first_operand;
    if (arguments.options.deliver) {
        status = deliver(&arguments.options, suppressions, paths[0]);
    } else {
        crn_sessions_clear();
        crn_output_text_to_stdout();
        status = render(&arguments.options, suppressions, paths);
    }
    crn_suppressions_destroy(suppressions);
    return status;
}
