/*
 * `coroner run`: watches a program and reports when it ends.
 *
 *     options, suppressions   every mistake of the user's shows before the program starts
 *     session, handoff        where recordings go, and how the shim learns of it
 *     watch                   the program runs
 *     collect                 recordings become one report; kept ones are copied
 *     output, exit            the report is written, the status decided
 *
 * The last two are the work of a child (attend.h): should it fail, the recordings are kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options/lsan.h"
#include "record/reader.h"
#include "record/reader_glance.h"
#include "shim/launcher/arguments.h"
#include "shim/launcher/attend.h"
#include "shim/launcher/handoff.h"
#include "shim/launcher/keep.h"
#include "shim/launcher/late.h"
#include "shim/launcher/output.h"
#include "shim/launcher/progress.h"
#include "shim/launcher/program.h"
#include "shim/launcher/rescue.h"
#include "shim/launcher/session.h"
#include "shim/launcher/watch.h"

struct run {
    struct crn_options options;
    /* CORONER_OPTIONS, LSAN_OPTIONS and what the program answered, cut up: options point there. */
    char *options_text, *lsan_text, *program_text, *late_reports;
    struct crn_suppressions *suppressions;
    char **argv; /* of the program */
    char *path;
    const char *obstacle; /* why it cannot be watched; NULL: it can */
    struct crn_session session;
    struct crn_session_files files;
    struct crn_handoff handoff;
    struct crn_kin kin;
    struct crn_ending ending;
    struct crn_report *report;
    bool keeps_files; /* a recording is only in the session */
    pid_t pid;        /* ours */
};

static void warn_option(const char *message, void *user)
{
    (void)user;
    crn_say("CORONER_OPTIONS: %s", message);
}

static void warn_lsan_option(const char *message, void *user)
{
    crn_say("%s: %s", (const char *)user, message);
}

/* A copy to cut up; "" for NULL. */
static char *text_copy(const char *text)
{
    char *copy = strdup(text != NULL ? text : "");
    if (copy == NULL)
        crn_out_of_memory();
    return copy;
}

/*
 * Takes over the user's LSAN_OPTIONS and CORONER_OPTIONS.  Under another `coroner run` they are
 * that one's: its output and recording are not ours to write.
 */
static void environment_read(struct run *run)
{
    const char *text = getenv("CORONER_OPTIONS");
    run->lsan_text = text_copy(getenv("LSAN_OPTIONS"));
    run->options_text = text_copy(text);
    crn_lsan_options_parse(&run->options, run->lsan_text, CRN_SOURCE_LSAN, warn_lsan_option,
                           (void *)"LSAN_OPTIONS");
    crn_options_parse(&run->options, run->options_text, warn_option, NULL);
    if (getenv("CORONER_SESSION") != NULL)
        run->options.output = run->options.record = "";
}

static bool suppressions_read(struct run *run)
{
    char message[512];
    if (run->suppressions == NULL)
        run->suppressions = crn_suppressions_create();
    for (unsigned i = 0; i < run->options.suppressions_count; i++) {
        if (crn_suppressions_read(run->suppressions, run->options.suppressions[i], message,
                                  sizeof message) != CRN_OK) {
            crn_say("%s", message);
            return false;
        }
    }
    return true;
}

/* What the program itself answered counts where nobody said otherwise; the shim has warned. */
static void option_pass(const char *message, void *user)
{
    (void)message;
    (void)user;
}

static void program_options_take(struct run *run, const struct crn_recording *recording)
{
    unsigned suppressions_count = run->options.suppressions_count;
    if (run->program_text != NULL || recording->process->options == 0)
        return;
    run->program_text = text_copy(crn_record_text(recording, recording->process->options));
    crn_lsan_options_parse(&run->options, run->program_text, CRN_SOURCE_PROGRAM, option_pass, NULL);
    if (run->options.suppressions_count != suppressions_count)
        suppressions_read(run);
    crn_report_heed(run->report, &run->options);
}

/* Adds a recording to the report, and keeps it if that was asked for; answers false if it cannot
 * be kept.  `image` is as for crn_recording_keep(). */
static bool recording_take(struct run *run, struct crn_recording *recording, uint64_t image)
{
    bool is_program = recording->process->pid == (uint32_t)run->ending.pid;
    if (is_program)
        crn_ending_amend(&run->ending, recording);
    if (is_program)
        program_options_take(run, recording);
    crn_report_add(run->report, recording);
    return *run->options.record == 0 ||
           crn_recording_keep(recording, run->options.record, is_program, image);
}

/*
 * Takes the recordings of one pid, one an image it ran, the last first.  One that could not be
 * checked only counts when nothing of that pid could.  Answers whether there was any.
 */
static bool process_collect(struct run *run, const struct crn_session_file *files, size_t count)
{
    bool is_taken = false;
    for (size_t i = count; i-- > 0;) {
        struct crn_recording recording;
        char message[512];
        if (crn_record_open(files[i].path, &recording, message, sizeof message) != CRN_OK) {
            crn_report_warn(run->report, "%s", message);
            continue;
        }
        if (!is_taken || (recording.process->flags & CRN_PROCESS_CHECKED)) {
            is_taken = true;
            if (!recording_take(run, &recording, count - 1 - i)) {
                crn_say("it is still at %s", files[i].path);
                run->keeps_files = true;
            }
        }
        crn_record_close(&recording);
    }
    return is_taken;
}

/* Whether its last image bears another name than the file that we started. */
static bool has_become_another(const struct run *run)
{
    enum { KEPT = 15 }; /* of a name, by the kernel */
    const char *slash = strrchr(run->path, '/');
    return *run->ending.last_name != 0 &&
           strncmp(run->ending.last_name, slash != NULL ? slash + 1 : run->path, KEPT) != 0;
}

/* Takes down a program that left no recording, with the one warning that says why. */
static void program_take_unseen(struct run *run)
{
    struct crn_recording recording;
    char why[256];
    if (run->obstacle != NULL)
        snprintf(why, sizeof why, "not watched: %s", run->obstacle);
    else if (run->ending.signal != 0)
        snprintf(why, sizeof why, "not checked: signal %d (%s) ended it", run->ending.signal,
                 strsignal(run->ending.signal));
    else if (has_become_another(run))
        snprintf(why, sizeof why,
                 "not checked: it left no recording; the program it last became could not be "
                 "watched (%s), or had no way to here and reported by itself",
                 run->ending.last_name);
    else
        snprintf(why, sizeof why,
                 "not checked: it left no recording; it ended by a system call of its own, past "
                 "exit and _exit");
    crn_ending_record(&run->ending, run->path, run->argv, why, &recording);
    recording_take(run, &recording, 0);
    crn_record_close(&recording);
}

/* The end of the run of files that share a pid with the one at `begin`. */
static size_t same_pid_end(const struct crn_session_files *files, size_t begin)
{
    size_t end = begin + 1;
    while (end < files->count && files->rows[end].pid == files->rows[begin].pid)
        end++;
    return end;
}

/* Builds the report: the program first, then the others by pid. */
static void collect(struct run *run)
{
    const struct crn_session_files *files = &run->files;
    bool has_program = false;
    run->report = crn_report_create(run->suppressions, run->options.coroutines);
    crn_progress_attach(run->report);
    crn_report_heed(run->report, &run->options);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0, end; i < files->count; i = end) {
            end = same_pid_end(files, i);
            bool is_program = files->rows[i].pid == (uint64_t)run->ending.pid;
            if (is_program == (pass == 0))
                has_program |= process_collect(run, &files->rows[i], end - i) && is_program;
        }
        if (!has_program && pass == 0)
            program_take_unseen(run);
    }
    crn_report_finish(run->report);
}

/* How the program ended, as a status; 2 instead of 0 when the report has not come where it should.
 */
static int own_status(const struct run *run, bool is_delivered)
{
    int status =
        run->ending.signal != 0 ? CRN_EXIT_SIGNAL + run->ending.signal : run->ending.exit_code;
    return status == 0 && !is_delivered ? CRN_EXIT_USAGE : status;
}

/* Makes the report, in a child; what that must tell its parent goes into the answer. */
enum { KEEPS_FILES = CRN_ANSWER_OWN };

static int report_make(void *user)
{
    struct run *run = user;
    enum crn_delivery delivery = CRN_DELIVERED;
    collect(run);
    /* What a text on standard error could say about an unwatched program, it has read already. */
    if (run->obstacle == NULL || *run->options.output != 0 ||
        strcmp(run->options.format, "text") != 0)
        delivery = crn_output_report(run->report, &run->options, (uint64_t)run->ending.pid);
    int status =
        run->options.error_exitcode != 0 && crn_report_is_bad(run->report, run->options.strict)
            ? (int)run->options.error_exitcode
            : own_status(run, delivery == CRN_DELIVERED);
    status &= CRN_STATUS;
    if (run->keeps_files)
        status |= KEEPS_FILES;
    if (delivery == CRN_DELIVERED_NOWHERE)
        status |= CRN_UNSEEN;
    else if (getpid() != run->pid && getppid() != run->pid) /* the launcher was killed meanwhile */
        crn_session_remove(&run->session, &run->files, run->keeps_files);
    return status;
}

/* The recordings of the session, to be kept; from malloc. */
static struct crn_rescued *rescued_list(const struct run *run)
{
    struct crn_rescued *rescued = calloc(run->files.count + 1, sizeof *rescued);
    if (rescued == NULL)
        crn_out_of_memory();
    for (size_t i = 0; i < run->files.count; i++)
        rescued[i].path = run->files.rows[i].path;
    return rescued;
}

static void recordings_keep(void *user, const char *why)
{
    struct run *run = user;
    struct crn_rescued *rescued = rescued_list(run);
    crn_rescue(why, rescued, run->files.count, &run->ending, CRN_PLACE_HERE_FIRST);
    for (size_t i = 0; i < run->files.count; i++)
        run->keeps_files |= !rescued[i].is_kept;
    free(rescued);
}

/* The status when there is no report: what recordings say, without suppressions. */
static int status_without_report(const struct run *run)
{
    struct crn_rescued *rescued = rescued_list(run);
    struct crn_rescue_facts facts = crn_rescue_look(rescued, run->files.count);
    bool is_bad = facts.has_proven_leak || (run->options.strict && facts.has_news);
    free(rescued);
    return is_bad && run->options.error_exitcode != 0 ? (int)run->options.error_exitcode
                                                      : own_status(run, false);
}

/* Whether a recording is small and tells of nothing that needs names, as far as a glance shows. */
static bool is_small_and_clean(const char *path)
{
    enum { SMALL_BYTES = 256 * 1024 };
    struct crn_record_glance glance;
    struct stat status;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    bool is_so = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
                 status.st_size <= SMALL_BYTES && crn_record_glance(fd, &glance) &&
                 !glance.has_news && !glance.has_proven_leak;
    if (fd >= 0)
        close(fd);
    return is_so;
}

/*
 * Whether all there is to say is one line, which can be written at once.  Then nothing is to be
 * kept, whatever happens, and nobody needs to attend to whoever writes it: a child would cost more
 * than the line.
 */
static bool is_one_line(const struct run *run)
{
    enum { FEW = 16 };
    const struct crn_options *options = &run->options;
    struct pollfd errors = {.fd = STDERR_FILENO, .events = POLLOUT};
    bool is_so = run->obstacle == NULL && run->ending.interruption == 0 && run->files.count > 0 &&
                 run->files.count <= FEW && strcmp(options->format, "text") == 0 &&
                 *options->output == 0 && *options->record == 0 && !options->live &&
                 !options->coroutines && !options->print_suppressions && poll(&errors, 1, 0) == 1 &&
                 errors.revents == POLLOUT;
    for (size_t i = 0; i < run->files.count && is_so; i++)
        is_so = is_small_and_clean(run->files.rows[i].path);
    return is_so;
}

/* Has the report made; answers the status to exit with. */
static int report_attend(struct run *run)
{
    const struct crn_attendance attendance = {.user = run,
                                              .signals_before = run->ending.interruption != 0,
                                              .make = report_make,
                                              .keep = recordings_keep};
    run->pid = getpid();
    int answer = CRN_UNSEEN;
    if (is_one_line(run))
        answer = report_make(run);
    if ((answer & CRN_UNSEEN) != 0)
        answer = crn_attend(&attendance);
    if (answer == CRN_NOT_MADE)
        return status_without_report(run);
    run->keeps_files |= (answer & KEEPS_FILES) != 0;
    return answer & CRN_STATUS;
}

/* The program runs, and is alone with the streams that no report is for. */
static void streams_let_go(void *user)
{
    const struct run *run = user;
    crn_output_let_go(*run->options.output != 0 || strcmp(run->options.format, "text") == 0);
}

/* Chooses where those report that outlive us, while it is known where that would last. */
static void late_reports_place(struct run *run)
{
    char message[512];
    run->late_reports = *run->options.output == 0 ? crn_place_foresee() : NULL;
    crn_options_set(&run->options, "late_reports",
                    run->late_reports != NULL ? run->late_reports : "", CRN_SOURCE_OWN, message,
                    sizeof message);
}

/* Runs the program that was found; answers the status to exit with. */
static int run_and_report(struct run *run)
{
    run->obstacle = crn_program_obstacle(run->path);
    if (run->obstacle != NULL)
        crn_say("%s cannot be watched: %s; running it without Coroner", run->path, run->obstacle);
    late_reports_place(run);
    if (!crn_session_open(&run->session) ||
        !crn_handoff_init(&run->handoff, &run->options, &run->session))
        return CRN_EXIT_USAGE;
    if (crn_late_is_foretold(&run->options))
        crn_kin_note(&run->kin);
    int error = crn_watch(run->path, run->argv, run->obstacle == NULL ? &run->handoff : NULL, NULL,
                          streams_let_go, run, &run->ending);
    if (error != 0) {
        crn_say("%s: cannot be executed: %s", run->path, strerror(error));
        return error == ENOENT ? CRN_EXIT_NOT_FOUND : CRN_EXIT_NOT_EXECUTABLE;
    }
    char *session_path = text_copy(run->session.directory);
    crn_session_close(&run->session, &run->files);
    int status = report_attend(run);
    crn_late_foretell(session_path, &run->kin, &run->options);
    free(session_path);
    return status;
}

static void run_fini(struct run *run)
{
    crn_report_destroy(run->report);
    crn_handoff_fini(&run->handoff);
    crn_kin_forget(&run->kin);
    crn_session_remove(&run->session, &run->files, run->keeps_files);
    crn_suppressions_destroy(run->suppressions);
    free(run->path);
    free(run->options_text);
    free(run->lsan_text);
    free(run->program_text);
    free(run->late_reports);
}

int crn_command_run(const struct crn_command *command, int argc, char **argv)
{
    struct run run = {0};
    struct crn_arguments arguments;
    crn_output_endure();
    crn_options_init(&run.options);
    environment_read(&run);
    arguments.options = run.options;
    int status = crn_arguments_read(&arguments, command, CRN_OPERANDS_LAST, argc, argv);
    run.options = arguments.options;
    run.argv = argv + arguments.first_operand;
    if (status < 0 && arguments.first_operand >= argc) {
        crn_say("run what? `coroner run [OPTIONS] PROGRAM [ARGS...]`");
        status = CRN_EXIT_USAGE;
    }
    if (status < 0 && (!suppressions_read(&run) || !crn_output_check(run.options.output) ||
                       !crn_output_check(run.options.record)))
        status = CRN_EXIT_USAGE;
    if (status < 0) {
        crn_sessions_clear();
        status = crn_program_find(run.argv[0], &run.path);
        if (status == 0)
            status = run_and_report(&run);
    }
    run_fini(&run);
    return status;
}
