/*
 * A plain preload renders its own report: it starts the coroner command beside it and waits.
 *
 * The program must not notice.  A child that the kernel ends without a signal (clone with exit
 * signal 0) is not seen by wait() nor by SIGCHLD; it starts the command as its own child, since
 * exec would give it SIGCHLD back, and hands the exit status to us through a pipe.
 */
#include "shim/deliver.h"
#include "shim/invocation.h"
#include "shim/state.h"
#include "shim/stderr.h"
#include "base/amounts.h"
#include "base/sys.h"
#include "record/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/wait.h>
#include <sched.h>
#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


static char temporary[1024];

const char *crn_shim_temporary(void)
{
    const char *given = getenv("TMPDIR");
    if (given == NULL || given[0] != '/' || strlen(given) >= sizeof temporary)
        return NULL;
    return strcpy(temporary, given);
}

/* From here on the command must not fail, nor be ended before it is ready for that. */
static void delivery_make(struct crn_invocation *command)
{
    command->is_delivery = true;
    crn_argument_add(command, "%s", "--deliver");
}

/*
 * Where the report goes when nobody waits for it (launcher/late.h); NULL: it goes where the options
 * say.  The launcher has reported and gone: ours goes beside its file, or where it said, or else to
 * the system's log.
 */
static const char *late_place(char *place, size_t place_bytes)
{
    const struct crn_options *options = &crn_shim.options;
    bool is_late = crn_shim.process.session != NULL;
    if (options->output[0] != 0) {
        snprintf(place, place_bytes, "%s%s", options->output,
                 strstr(options->output, "%p") == NULL ? ".%p" : "");
        return is_late ? place : NULL;
    }
    if (crn_stderr_find() >= 0 || (strcmp(options->format, "text") != 0 && crn_stdout_is_there()))
        return NULL;
    return is_late && options->late_reports[0] != 0 ? options->late_reports : "log";
}

static void command_fill(struct crn_invocation *command, const char *launcher, const char *recording)
{
    const struct crn_options *options = &crn_shim.options;
    char number[32], place[2048];
    memset(command, 0, sizeof *command);
    crn_argument_add(command, "%s", launcher);
    crn_argument_add(command, "%s", "report");
    crn_argument_add(command, "--format=%s", options->format);
    const char *late = late_place(place, sizeof place);
    delivery_make(command);
    if (late != NULL)
        crn_argument_add(command, "--late-reports=%s", late);
    else if (options->output[0] != 0)
        crn_argument_add(command, "--output=%s", options->output);
    if (options->record[0] != 0)
        crn_argument_add(command, "--record=%s", options->record);
    snprintf(number, sizeof number, "%u", options->error_exitcode);
    crn_argument_add(command, "--error-exitcode=%s", number);
    if (options->coroutines)
        crn_argument_add(command, "%s", "--coroutines");
    if (options->quiet)
        crn_argument_add(command, "%s", "--quiet");
    crn_arguments_showing(command);
    crn_argument_add(command, "%s", recording);
}

/* The environment without what would preload us into the command. */
static char **environment_make(void)
{
    static char *kept[1024];
    size_t count = 0;
    for (char **each = environ; each != NULL && *each != NULL && count + 1 < CRN_COUNT_OF(kept);
         each++)
        if (strncmp(*each, "LD_PRELOAD=", 11) != 0 && strncmp(*each, "CORONER_", 8) != 0)
            kept[count++] = *each;
    kept[count] = NULL;
    return kept;
}

static long silent_fork(void)
{
    return crn_syscall(SYS_clone, 0, 0, 0, 0, 0, 0);
}

/* In the child: starts the command, waits for it, hands its status on. */
static __attribute__((noreturn)) void status_forward(const struct crn_invocation *command,
                                                     struct crn_draft *draft, char **environment,
                                                     int errors, int pipe_end)
{
    int status = CRN_NO_LAUNCHER << 8, input[2];
    bool is_sent = draft != NULL && crn_syscall2(SYS_pipe2, input, O_CLOEXEC) == 0;
    /* Where the program ignores SIGCHLD, wait would find no child and no status. */
    static const uintptr_t defaults[4]; /* the kernel's struct sigaction, all zero: SIG_DFL */
    crn_syscall4(SYS_rt_sigaction, SIGCHLD, defaults, NULL, 8);
    long child = crn_syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
    if (child == 0) {
        if (is_sent)
            crn_syscall3(SYS_dup3, input[0], 0, 0);
        crn_invocation_exec(command, environment, errors);
    }
    if (is_sent) {
        crn_syscall1(SYS_close, input[0]);
        crn_draft_send(draft, input[1]);
        crn_syscall1(SYS_close, input[1]);
    }
    while (child > 0 && crn_syscall4(SYS_wait4, child, &status, __WALL, NULL) == -EINTR)
        ;
    crn_sys_write_all(pipe_end, &status, sizeof status);
    for (;;)
        crn_syscall1(SYS_exit_group, 0);
}

/*
 * Runs the command to its end; answers its exit status, or -1.  A draft, unless it is NULL, is the
 * recording that the command reads from its standard input.
 */
static int command_run(const struct crn_invocation *command, struct crn_draft *draft)
{
    int ends[2], status = -1;
    char **environment = environment_make();
    int errors = crn_stderr_find();
    sigset_t all, before;
    if (crn_syscall2(SYS_pipe2, ends, O_CLOEXEC) != 0)
        return -1;
    sigfillset(&all);
    crn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, 8);
    long child = silent_fork();
    if (child == 0)
        status_forward(command, draft, environment, errors, ends[1]);
    crn_syscall1(SYS_close, ends[1]);
    if (child < 0 || crn_sys_read_all(ends[0], &status, sizeof status) != sizeof status)
        status = -1;
    crn_syscall1(SYS_close, ends[0]);
    while (child > 0 && crn_syscall4(SYS_wait4, child, NULL, __WCLONE, NULL) == -EINTR)
        ;
    crn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
    if (status < 0 || (status & 0x7f) != 0)
        return -1;
    return status >> 8 & 0xff;
}

/* Whether the options ask for nothing but what crn_deliver_clean() says. */
static bool is_plainly_asked(const struct crn_options *options)
{
    return strcmp(options->format, "text") == 0 && options->output[0] == 0 &&
           options->record[0] == 0 && options->suppressions_count == 0 && !options->live &&
           !options->coroutines && !options->print_suppressions;
}

bool crn_deliver_clean(const struct crn_draft *draft)
{
    const struct crn_record_process *process = &draft->process;
    char line[512], allocations[CRN_AMOUNT_BYTES], live[CRN_AMOUNT_BYTES], check[CRN_AMOUNT_BYTES],
        pause[CRN_AMOUNT_BYTES], bytes[CRN_AMOUNT_BYTES];
    struct pollfd errors = {.fd = crn_stderr_find(), .events = POLLOUT};
    if (errors.fd < 0 || !is_plainly_asked(&crn_shim.options))
        return false;
    if (crn_shim.options.quiet)
        return true;
    /* Who waits for a reader that is stuck must be able to heed signals: the command is. */
    if (crn_syscall3(SYS_poll, &errors, 1, 0) != 1 || (errors.revents & POLLOUT) == 0)
        return false;
    /* As runtime/report/text.c words it. */
    int length = snprintf(
        line, sizeof line, "coroner: no leaks; %s, %s still live; checked in %s (paused %s, %s)\n",
        crn_amount_count(allocations, process->allocations, "allocation"),
        crn_amount_bytes(live, process->live_bytes), crn_amount_time(check, process->check_ns),
        crn_amount_time(pause, process->check_pause_ns),
        crn_amount_bytes(bytes, process->check_bytes));
    return crn_sys_write_all(errors.fd, line, (size_t)length) == 0;
}

/* What becomes of a recording that nobody looked after. */
static void leftover_say(const char *obstacle, const char *path)
{
    if (path[0] != 0)
        crn_log("%s; the recording is kept, render with: coroner report %s", obstacle, path);
    else
        crn_log("%s, and no file could be written; there is no report", obstacle);
}

int crn_deliver(const char *path, struct crn_draft *draft, int exit_code, int leak_code,
                bool has_news)
{
    static struct crn_invocation command;
    char launcher[4096];
    bool is_file = path[0] != 0;
    int code = exit_code;
    if (!has_news) {
        if (is_file)
            crn_syscall3(SYS_unlinkat, AT_FDCWD, path, 0);
        return code;
    }
    if (!crn_launcher_find(launcher, sizeof launcher)) {
        leftover_say("the coroner command is not beside libcoroner.so", path);
        return leak_code;
    }
    command_fill(&command, launcher, is_file ? path : "/dev/stdin");
    int result = command_run(&command, is_file ? NULL : draft);
    if (crn_shim.options.error_exitcode != 0 && result == (int)crn_shim.options.error_exitcode)
        return result;
    if (result != 0) { /* of a delivery there is no other status */
        leftover_say("the coroner command could not be run", path);
        return leak_code;
    }
    return code;
}

bool crn_deliver_text(const char *path)
{
    struct crn_invocation *command = crn_vm_map(sizeof *command);
    char launcher[4096];
    if (command == NULL || !crn_launcher_find(launcher, sizeof launcher))
        return false;
    crn_argument_add(command, "%s", launcher);
    crn_argument_add(command, "%s", "report");
    delivery_make(command);
    crn_arguments_showing(command);
    crn_argument_add(command, "%s", path);
    int result = command_run(command, NULL);
    crn_vm_unmap(command, sizeof *command);
    return result == 0;
}

bool crn_deliver_judged(const char *path, bool is_said, bool fallback)
{
    enum { IS_BAD = 1 }; /* an exit status that the command has no other use for */
    struct crn_invocation *command = crn_vm_map(sizeof *command);
    char launcher[4096];
    if (command == NULL || !crn_launcher_find(launcher, sizeof launcher))
        return fallback;
    crn_argument_add(command, "%s", launcher);
    crn_argument_add(command, "%s", "report");
    crn_argument_add(command, "%s", "--quiet");
    crn_argument_add(command, "%s", "--error-exitcode=1");
    if (is_said)
        delivery_make(command);
    if (!is_said)
        crn_argument_add(command, "%s", "--output=/dev/null");
    else if (crn_shim.options.output[0] != 0 && strcmp(crn_shim.options.format, "text") == 0)
        crn_argument_add(command, "--output=%s", crn_shim.options.output);
    crn_arguments_showing(command);
    crn_argument_add(command, "%s", path);
    int result = command_run(command, NULL);
    crn_vm_unmap(command, sizeof *command);
    return result == IS_BAD || (result != 0 && fallback);
}
