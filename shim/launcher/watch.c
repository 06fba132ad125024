/*
 * Runs the program and waits for its end.  See watch.h.
 *
 * A pipe that closes at exec tells whether the program was started: the child writes its errno
 * into it when exec fails, and nothing comes when it does not.
 */
#include "shim/launcher/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/signals.h"
#include "shim/launcher/attend.h"
#include "shim/launcher/door.h"
#include "shim/launcher/output.h"
#include "shim/launcher/program.h"

/* What signals did before, for the child. */
struct dispositions {
    struct sigaction forwarded[CRN_SIGNAL_COUNT]; /* by number */
    struct sigaction child;
    sigset_t mask;
};

/* All that may end the program, but what comes of our own writing, and the shim's own signal. */
static bool is_forwarded(int signal)
{
    return signal == SIGQUIT || (crn_signal_is_deadly(signal) && signal != SIGPIPE);
}

static bool is_interruption(int signal)
{
    return signal == SIGHUP || signal == SIGINT || signal == SIGQUIT || signal == SIGTERM;
}

static volatile sig_atomic_t child_pid, interruption;

/* Signals that a terminal sends, to the program as well as to us. */
static bool is_from_terminal(int signal, const siginfo_t *info)
{
    return info->si_code > 0 && (signal == SIGHUP || signal == SIGINT || signal == SIGQUIT);
}

/*
 * Passes on what came to us alone: from a process, or from a timer that was set before we were
 * started.  The child's own, to its whole group, need not come back to it.
 */
static void forward(int signal, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    (void)context;
    bool is_childs = info->si_code <= 0 && info->si_pid == child_pid;
    if (!is_childs && !is_from_terminal(signal, info) && child_pid > 0)
        kill((pid_t)child_pid, signal);
    if (!is_childs && is_interruption(signal))
        interruption = signal;
    errno = saved_errno;
}

/* Installs the handlers, all signals blocked; what was ignored (nohup) stays ignored. */
static void dispositions_take(struct dispositions *before)
{
    struct sigaction forwarding = {.sa_sigaction = forward, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before->mask);
    for (int signal = 1; signal < CRN_SIGNAL_COUNT; signal++) {
        if (!is_forwarded(signal))
            continue;
        sigaction(signal, NULL, &before->forwarded[signal]);
        if (before->forwarded[signal].sa_handler != SIG_IGN)
            sigaction(signal, &forwarding, NULL);
    }
    sigaction(SIGCHLD, &plain, &before->child); /* ignored, there would be nothing to wait for */
}

static void dispositions_restore(const struct dispositions *before)
{
    for (int signal = 1; signal < CRN_SIGNAL_COUNT; signal++)
        if (is_forwarded(signal))
            sigaction(signal, &before->forwarded[signal], NULL);
    sigaction(SIGCHLD, &before->child, NULL);
    sigprocmask(SIG_SETMASK, &before->mask, NULL);
}

/*
 * A report is due.  Signals that ask for an end wait for whoever makes it (attend.h); others that
 * somebody sends again mean the program, which has ended: forward() drops them now.
 */
static void dispositions_guard(const struct dispositions *before)
{
    sigset_t patient;
    crn_attend_signals(&patient);
    sigprocmask(SIG_BLOCK, &patient, NULL);
    sigaction(SIGCHLD, &before->child, NULL);
}

/* The name of a process's last image, as the kernel cuts it; "" when it cannot be told. */
static void last_name_read(pid_t pid, char name[CRN_LAST_NAME_BYTES])
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, name, CRN_LAST_NAME_BYTES - 1) : 0;
    if (fd >= 0)
        close(fd);
    name[length > 0 ? length : 0] = 0;
    name[strcspn(name, "\n")] = 0;
}

/*
 * Waits until the child has ended, serving at the door meanwhile, and only then takes it away:
 * until its number is free, nothing is passed on to it any more, and it can be asked for its name.
 */
static int child_await(pid_t pid, struct crn_door *door, struct rusage *usage,
                       char last_name[CRN_LAST_NAME_BYTES])
{
    siginfo_t ended;
    int status = 0, pidfd = door != NULL ? pidfd_open(pid, 0) : -1;
    if (pidfd >= 0) {
        crn_door_attend(door, pidfd);
        close(pidfd);
    }
    while (waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        continue;
    child_pid = 0;
    last_name_read(pid, last_name);
    while (wait4(pid, &status, 0, usage) < 0 && errno == EINTR)
        continue;
    return status;
}

/* Runs a file that the kernel does not know as a shell script, as execvp does. */
static void exec_by_shell(const char *path, char **argv)
{
    size_t argc = 0;
    while (argv[argc] != NULL)
        argc++;
    char **shell_argv = calloc(argc + 2, sizeof *shell_argv);
    if (shell_argv == NULL)
        return;
    shell_argv[0] = (char *)"/bin/sh";
    shell_argv[1] = (char *)path;
    if (argc > 1)
        memcpy(shell_argv + 2, argv + 1, (argc - 1) * sizeof *argv);
    execv(shell_argv[0], shell_argv);
}

_Noreturn static void child_main(const char *path, char **argv, const struct crn_handoff *handoff,
                                 const int *streams, const struct dispositions *before,
                                 int telling_fd)
{
    if (handoff != NULL)
        crn_handoff_apply(handoff);
    for (int fd = STDIN_FILENO; streams != NULL && fd <= STDERR_FILENO; fd++)
        dup2(streams[fd], fd);
    crn_output_endure_undo();
    dispositions_restore(before);
    execv(path, argv);
    int error = errno;
    if (error == ENOEXEC && crn_program_is_script(path))
        exec_by_shell(path, argv);
    ssize_t told = write(telling_fd, &error, sizeof error);
    _exit(told == sizeof error ? 127 : 126);
}

/* The errno that the child tells, or 0 when exec closed the pipe. */
static int exec_error(int fd)
{
    int error = 0;
    ssize_t n;
    do
        n = read(fd, &error, sizeof error);
    while (n < 0 && errno == EINTR);
    return n == sizeof error ? error : 0;
}

int crn_watch(const char *path, char **argv, const struct crn_handoff *handoff, const int *streams,
              void (*started)(void *user), void *user, struct crn_ending *ending)
{
    struct dispositions before;
    struct timespec start, end;
    struct rusage usage = {0};
    int pipe_fds[2], status = 0;
    char last_name[CRN_LAST_NAME_BYTES] = "";
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return errno;
    dispositions_take(&before);
    interruption = 0;
    clock_gettime(CLOCK_MONOTONIC, &start);
    pid_t pid = fork();
    int error = pid < 0 ? errno : 0;
    if (pid == 0)
        child_main(path, argv, handoff, streams, &before, pipe_fds[1]);
    child_pid = pid;
    close(pipe_fds[1]);
    sigprocmask(SIG_SETMASK, &before.mask, NULL);
    if (pid > 0) {
        error = exec_error(pipe_fds[0]);
        if (error == 0 && started != NULL)
            started(user);
        status = child_await(pid, handoff != NULL ? handoff->door : NULL, &usage, last_name);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (started != NULL && error == 0)
        dispositions_guard(&before);
    else
        dispositions_restore(&before);
    close(pipe_fds[0]);
    *ending = (struct crn_ending){
        .pid = pid,
        .exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
        .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
        .duration_ns = (uint64_t)(end.tv_sec - start.tv_sec) * 1000000000u + (uint64_t)end.tv_nsec -
                       (uint64_t)start.tv_nsec,
        .usage = usage,
        .interruption = interruption,
    };
    memcpy(ending->last_name, last_name, sizeof last_name);
    return error;
}
