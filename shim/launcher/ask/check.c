/*
 * `coroner check` and `coroner dump`: ask a running process.
 *
 *     options, suppressions   every mistake of the user's shows before anything is touched
 *     target                  the process is held, and can be asked
 *     pause                   foreseen; too long is the end of it
 *     meeting, talk           it is asked, and answers with a recording; nothing is left of it
 *     report                  a child renders (attend.h), what was last is compared with
 *     past                    this recording is the last one now
 *
 * Whatever goes wrong before there is a recording is one line and CRN_EXIT_CANNOT_LOOK.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options/lsan.h"
#include "record/reader.h"
#include "report/diff.h"
#include "shim/launcher/arguments.h"
#include "shim/launcher/ask/meeting.h"
#include "shim/launcher/ask/past.h"
#include "shim/launcher/ask/pause.h"
#include "shim/launcher/ask/risen.h"
#include "shim/launcher/ask/talk.h"
#include "shim/launcher/attend.h"
#include "shim/launcher/ending.h"
#include "shim/launcher/keep.h"
#include "shim/launcher/output.h"
#include "shim/launcher/progress.h"
#include "shim/launcher/rescue.h"

struct check {
    struct crn_options options;
    struct crn_suppressions *suppressions;
    struct crn_target target;
    struct crn_recording recording;
    char *program_text; /* what the program answered to __lsan_default_options, cut up */
};

/* Reads the operand; answers false after saying that it is no number of a process. */
static bool pid_read(const struct crn_command *command, int count, char **operands, pid_t *pid)
{
    char *end;
    if (count != 1) {
        crn_say(count == 0 ? "%s which process? `coroner %s [OPTIONS] PID`"
                           : "%s one process at a time: `coroner %s [OPTIONS] PID`",
                command->name, command->name);
        return false;
    }
    errno = 0;
    long number = strtol(operands[0], &end, 10);
    if (*operands[0] < '0' || *operands[0] > '9' || *end != 0 || errno != 0 || number <= 0 ||
        number > INT32_MAX) {
        crn_say("'%s' is no number of a process: `coroner %s [OPTIONS] PID`", operands[0],
                command->name);
        return false;
    }
    *pid = (pid_t)number;
    return true;
}

static bool suppressions_read(struct check *check)
{
    char message[512];
    for (unsigned i = 0; i < check->options.suppressions_count; i++) {
        if (crn_suppressions_read(check->suppressions, check->options.suppressions[i], message,
                                  sizeof message) != CRN_OK) {
            crn_say("%s", message);
            return false;
        }
    }
    return true;
}

/* Foresees the pause; answers false after saying that it would be too long. */
static bool pause_foresee(const struct check *check, uint64_t *foreseen_ns)
{
    struct crn_pause_facts facts;
    bool is_limited = check->options.sources[crn_option_find("max_pause")] != CRN_SOURCE_DEFAULT;
    uint64_t limit_ns = (uint64_t)check->options.max_pause * 1000000u;
    *foreseen_ns = UINT64_MAX;
    if (crn_pause_look(&check->target, &facts)) {
        struct crn_pause_costs costs = crn_pause_calibrate(&facts);
        *foreseen_ns = crn_pause_foresee_ns(&facts, &costs);
    } else if (is_limited) {
        crn_say("%s was not checked: how long it would stand still cannot be foreseen (no "
                "smaps_rollup in /proc); leave --max-pause out",
                check->target.label);
        return false;
    }
    if (!is_limited || *foreseen_ns <= limit_ns)
        return true;
    crn_say("%s was not checked: it would stand still for about %.1f ms (%llu threads, %llu MiB of "
            "small and %llu MiB of huge pages); --max-pause is %u",
            check->target.label, (double)*foreseen_ns / 1e6, (unsigned long long)facts.threads,
            (unsigned long long)(facts.small_pages >> 8),
            (unsigned long long)(facts.huge_pages << 1), check->options.max_pause);
    return false;
}

/* Writes into the recording what only its asker knows, or what was known when it had been sent. */
static void recording_amend(struct crn_recording *recording, const struct crn_talk *talk)
{
    struct crn_record_header *header = (void *)recording->bytes;
    struct crn_record_process *process =
        (void *)(recording->bytes + header->sections[CRN_SECTION_PROCESS].offset);
    process->predicted_pause_ns = talk->request.predicted_pause_ns;
    if (talk->has_over) {
        process->check_pause_ns = talk->over.pause_ns;
        process->copied_bytes = talk->over.copied_bytes;
    }
    crn_recording_seal(recording);
}

/* Gives a signal that we have held back its way. */
static int signal_obey(int signal)
{
    sigset_t set;
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigaction(signal, &plain, NULL);
    raise(signal);
    sigemptyset(&set);
    sigaddset(&set, signal);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    return CRN_EXIT_SIGNAL + signal;
}

/* Asks the process; answers 0 when there is a recording, else the status to exit with. */
static int ask(struct check *check, uint32_t flags, uint64_t foreseen_ns)
{
    struct crn_meeting meeting;
    struct crn_talk talk = {
        .request = {CRN_ASK_MAGIC, CRN_ASK_VERSION, flags, (uint32_t)getpid(), foreseen_ns}};
    char message[512];
    if (!crn_meeting_make(&meeting, &check->target))
        return CRN_EXIT_CANNOT_LOOK;
    enum crn_talk_end end = crn_talk(&talk, &check->target, &meeting);
    crn_meeting_end(&meeting);
    if (end == CRN_TALK_INTERRUPTED)
        free(talk.recording);
    if (end == CRN_TALK_INTERRUPTED)
        return signal_obey(talk.signal);
    if (end == CRN_TALK_NOT)
        return CRN_EXIT_CANNOT_LOOK;
    if (crn_record_adopt(talk.recording, talk.recording_bytes, check->target.label,
                         &check->recording, message, sizeof message) != CRN_OK) {
        crn_say("%s answers with what is no whole recording of this Coroner " CORONER_VERSION
                ": ask by the one that it runs under",
                check->target.label);
        return CRN_EXIT_CANNOT_LOOK;
    }
    recording_amend(&check->recording, &talk);
    return 0;
}

static void option_pass(const char *message, void *user)
{
    (void)message;
    (void)user;
}

/* What the program itself answered counts where the user says nothing: as under `coroner run`. */
static void program_options_take(struct check *check)
{
    const char *text = crn_record_text(&check->recording, check->recording.process->options);
    unsigned suppressions_count = check->options.suppressions_count;
    check->program_text = strdup(text);
    if (check->program_text == NULL)
        crn_out_of_memory();
    crn_lsan_options_parse(&check->options, check->program_text, CRN_SOURCE_PROGRAM, option_pass,
                           NULL);
    if (check->options.suppressions_count != suppressions_count)
        suppressions_read(check);
}

/*
 * Compares with the check before this one, and says so if something has come back to life.  What
 * the report then points to lives as long as this child.
 */
static void past_compare(const struct check *check, struct crn_report *report)
{
    static struct crn_since since;
    struct crn_recording past;
    struct crn_process *process = &report->processes[report->processes_count - 1];
    if (!process->is_checked || !crn_past_open(&check->target, &check->recording, &past))
        return;
    struct crn_report *before = crn_report_create(check->suppressions, check->options.coroutines);
    crn_report_heed(before, &check->options);
    crn_report_add(before, &past);
    const struct crn_process *then = &before->processes[0];
    if (!then->is_checked)
        return;
    struct crn_risen risen = crn_risen_find(&past, &check->recording);
    since = (struct crn_since){
        .number = then->check_number,
        .ago_s = process->duration_s - then->duration_s,
        .has_risen = risen.is_known,
        .risen_blocks = risen.blocks,
        .risen_bytes = risen.bytes,
        .diff = crn_diff_processes(report->store, then, process),
    };
    process->since = &since;
    if (risen.blocks > 0)
        crn_report_warn(report,
                        "%llu blocks (%llu bytes) that the check before called proven leaked have "
                        "been freed or used since: Coroner was wrong there; please report it",
                        (unsigned long long)risen.blocks, (unsigned long long)risen.bytes);
}

/* In the child: makes the report. */
static int report_make(void *user)
{
    struct check *check = user;
    struct crn_options *options = &check->options;
    program_options_take(check);
    struct crn_report *report = crn_report_create(check->suppressions, options->coroutines);
    crn_progress_attach(report);
    crn_report_heed(report, options);
    crn_report_add(report, &check->recording);
    past_compare(check, report);
    crn_report_finish(report);
    bool is_kept =
        *options->record == 0 || crn_recording_keep(&check->recording, options->record, true, 0);
    enum crn_delivery delivery = crn_output_report(report, options, check->recording.process->pid);
    int status = delivery == CRN_DELIVERED && is_kept ? 0 : CRN_EXIT_USAGE;
    if (options->error_exitcode != 0 && crn_report_is_bad(report, options->strict))
        status = (int)options->error_exitcode;
    crn_report_destroy(report);
    return status | (delivery == CRN_DELIVERED_NOWHERE ? CRN_UNSEEN : 0);
}

static void recording_rescue(void *user, const char *why)
{
    struct check *check = user;
    struct crn_rescued rescued = {.recording = &check->recording};
    crn_rescue(why, &rescued, 1, NULL, CRN_PLACE_HERE_FIRST);
}

/* Has the report made; answers the status to exit with. */
static int report_attend(struct check *check)
{
    const struct crn_attendance attendance = {
        .user = check, .make = report_make, .keep = recording_rescue};
    crn_output_endure();
    int answer = crn_attend(&attendance);
    if (answer != CRN_NOT_MADE)
        return answer & CRN_STATUS;
    struct crn_rescued rescued = {.recording = &check->recording};
    struct crn_rescue_facts facts = crn_rescue_look(&rescued, 1);
    bool is_bad = facts.has_proven_leak || (check->options.strict && facts.has_news);
    return is_bad && check->options.error_exitcode != 0 ? (int)check->options.error_exitcode
                                                        : CRN_EXIT_USAGE;
}

/* What the program's own options must not choose for us. */
static void own_options_settle(struct crn_options *options)
{
    char message[256], number[16];
    snprintf(number, sizeof number, "%u", options->error_exitcode);
    crn_options_set(options, "output", options->output, CRN_SOURCE_OWN, message, sizeof message);
    crn_options_set(options, "error_exitcode", number, CRN_SOURCE_OWN, message, sizeof message);
}

static int command_do(const struct crn_command *command, uint32_t flags, int argc, char **argv)
{
    struct check check = {.target = {.proc = -1, .view = -1}};
    struct crn_arguments arguments;
    sigset_t signals;
    pid_t pid;
    uint64_t foreseen_ns;
    crn_options_init(&arguments.options);
    int status = crn_arguments_read(&arguments, command, CRN_OPERANDS_ANYWHERE, argc, argv);
    if (status >= 0)
        return status;
    check.options = arguments.options;
    check.suppressions = crn_suppressions_create();
    check.options.coroutines |= flags == CRN_ASK_COROUTINES;
    own_options_settle(&check.options);
    crn_output_text_to_stdout();
    crn_attend_signals(&signals);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* from here on there is something to clean up */
    if (!pid_read(command, argc - arguments.first_operand, argv + arguments.first_operand, &pid) ||
        !suppressions_read(&check) || !crn_output_check(check.options.output) ||
        !crn_output_check(check.options.record))
        status = CRN_EXIT_USAGE;
    else if (!crn_target_hold(&check.target, pid, check.options.itself) ||
             !pause_foresee(&check, &foreseen_ns))
        status = CRN_EXIT_CANNOT_LOOK;
    else
        status = ask(&check, flags, foreseen_ns);
    if (status == 0) {
        status = report_attend(&check);
        crn_past_keep(&check.target, &check.recording);
    }
    crn_record_close(&check.recording);
    crn_target_release(&check.target);
    crn_suppressions_destroy(check.suppressions);
    return status;
}

int crn_command_check(const struct crn_command *command, int argc, char **argv)
{
    return command_do(command, CRN_ASK_LIVE | CRN_ASK_COROUTINES, argc, argv);
}

int crn_command_dump(const struct crn_command *command, int argc, char **argv)
{
    return command_do(command, CRN_ASK_COROUTINES, argc, argv); /* marked, too: which are dead? */
}
