/*
 * One look at a process.  See look.h.
 */
#include "shim/launcher/top/look.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "report/read_json.h"
#include "shim/launcher/command.h"
#include "shim/launcher/output.h"
#include "shim/launcher/progress.h"

enum { ARGUMENTS_MAX = 64, STOP_MS = 3000 };

double crn_look_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* In the child: checks, with nothing of ours that could be seen. */
static _Noreturn void child_run(const struct crn_look_wish *wish, int report, int words)
{
    const struct crn_command *command = crn_commands;
    char *argv[ARGUMENTS_MAX] = {"check", "--format=json", "--coroutines"};
    int argc = 3;
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    crn_progress_end(); /* that is its parent's */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (int signal = 1; signal < NSIG; signal++)
        if (signal != SIGPIPE)
            sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(report, STDOUT_FILENO) < 0 ||
        dup2(words, STDERR_FILENO) < 0)
        _exit(CRN_EXIT_CANNOT_LOOK);
    for (; wish->options[argc - 3] != NULL && argc + 2 < ARGUMENTS_MAX; argc++)
        argv[argc] = (char *)wish->options[argc - 3];
    argv[argc++] = (char *)wish->pid;
    while (strcmp(command->name, "check") != 0)
        command++;
    int status = command->main(command, argc, argv);
    fflush(NULL);
    _exit(status);
}

bool crn_look_begin(struct crn_look *look, const struct crn_look_wish *wish)
{
    int words[2] = {-1, -1};
    *look = (struct crn_look){.report = memfd_create("coroner-top", MFD_CLOEXEC), .words = -1};
    look->began_s = crn_look_now_s();
    fflush(NULL); /* else the child would write it, too */
    if (look->report >= 0 && pipe2(words, O_CLOEXEC) == 0)
        look->child = fork();
    if (look->report >= 0 && words[0] >= 0 && look->child == 0)
        child_run(wish, look->report, words[1]);
    if (words[0] < 0 || look->child < 0) {
        crn_say("cannot look: %s", strerror(errno));
        look->child = 0;
    }
    if (words[1] >= 0)
        close(words[1]);
    if (look->child == 0) {
        if (words[0] >= 0)
            close(words[0]);
        if (look->report >= 0)
            close(look->report);
        return false;
    }
    look->words = words[0];
    fcntl(look->words, F_SETFL, O_NONBLOCK);
    return true;
}

/* Reads what it says; answers whether there may be more. */
static bool words_read(struct crn_look *look)
{
    char rest[512];
    for (;;) {
        size_t room = sizeof look->said - 1 - look->said_count;
        char *to = room > 0 ? look->said + look->said_count : rest;
        ssize_t n = read(look->words, to, room > 0 ? room : sizeof rest);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        if (room > 0)
            look->said_count += (size_t)n;
    }
}

static void look_end(struct crn_look *look)
{
    close(look->words);
    close(look->report);
    look->child = 0;
    look->words = look->report = -1;
}

/* Makes the report of what the child has written. */
static struct crn_report *report_make(struct crn_look *look, const struct crn_look_wish *wish)
{
    struct stat file;
    if (fstat(look->report, &file) != 0 || file.st_size == 0)
        return NULL;
    size_t count = (size_t)file.st_size;
    void *bytes = mmap(NULL, count, PROT_READ, MAP_PRIVATE, look->report, 0);
    if (bytes == MAP_FAILED)
        return NULL;
    struct crn_report *report = crn_report_create(wish->suppressions, true);
    if (crn_report_add_json(report, bytes, count, "the check", look->said, sizeof look->said) !=
        CRN_OK) {
        crn_report_destroy(report);
        report = NULL;
    }
    munmap(bytes, count);
    return report;
}

enum crn_look_end crn_look_take(struct crn_look *look, const struct crn_look_wish *wish,
                                struct crn_report **report, int *status)
{
    int ending;
    if (words_read(look))
        return CRN_LOOK_GOES_ON;
    while (waitpid(look->child, &ending, 0) < 0 && errno == EINTR)
        ;
    *status = WIFEXITED(ending) ? WEXITSTATUS(ending) : CRN_EXIT_CANNOT_LOOK;
    while (look->said_count > 0 && look->said[look->said_count - 1] == '\n')
        look->said_count--;
    look->said[look->said_count] = 0;
    *report = NULL;
    if (*status != CRN_EXIT_CANNOT_LOOK && *status != CRN_EXIT_USAGE)
        *report = report_make(look, wish);
    if (*report == NULL && *status != CRN_EXIT_USAGE)
        *status = CRN_EXIT_CANNOT_LOOK;
    look_end(look);
    return *report != NULL ? CRN_LOOK_DONE : CRN_LOOK_FAILED;
}

void crn_look_stop(struct crn_look *look)
{
    if (look->child == 0)
        return;
    kill(look->child, SIGTERM);
    for (int waited_ms = 0; waitpid(look->child, NULL, WNOHANG) == 0; waited_ms += 10) {
        if (waited_ms >= STOP_MS) {
            kill(-look->child, SIGKILL);
            waitpid(look->child, NULL, 0);
            break;
        }
        usleep(10000);
    }
    look_end(look);
}
