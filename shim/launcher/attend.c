/*
 * Has a report made by a child.  See attend.h.
 */
#include "shim/launcher/attend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sym/store.h"

/* How long a child may go on once somebody was impatient; how often we look after it at least. */
enum { GRACE_S = 10, LOOK_S = 1 };

/* What the child tells, in memory that it shares with us. */
struct told {
    volatile bool is_made;
    volatile int status;
};

void crn_attend_signals(sigset_t *signals)
{
    static const int patient[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    sigemptyset(signals);
    for (unsigned i = 0; i < CRN_COUNT_OF(patient); i++) {
        struct sigaction action;
        if (sigaction(patient[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(signals, patient[i]);
    }
}

static uint64_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec;
}

/* Why there is no report, from how the child ended; `why` has room for it. */
static void why_tell(char *why, size_t why_bytes, int status, bool is_given_up)
{
    if (is_given_up)
        snprintf(why, why_bytes, "the report was not waited for");
    else if (WIFEXITED(status) && WEXITSTATUS(status) == CRN_EXIT_NO_MEMORY)
        snprintf(why, why_bytes, "there was no memory for the report");
    else if (WIFSIGNALED(status))
        snprintf(why, why_bytes, "the report could not be made: signal %d (%s) ended it",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(why, why_bytes, "the report could not be made");
}

/* Waits for the child's end; answers whether it was given up. */
static bool child_await(const struct crn_attendance *attendance, pid_t child,
                        const sigset_t *waited, int *status, bool *is_kept)
{
    int signals = attendance->signals_before, typed = 0;
    uint64_t limit = UINT64_MAX;
    bool is_given_up = false;
    const struct timespec look = {.tv_sec = LOOK_S};
    pid_t ended;
    while ((ended = waitpid(child, status, is_given_up ? 0 : WNOHANG)) != child) {
        if (ended < 0 && errno != EINTR)
            break;
        siginfo_t info;
        bool is_impatience = sigtimedwait(waited, &info, &look) > 0 && info.si_signo != SIGCHLD;
        signals += is_impatience;
        typed += is_impatience && info.si_code > 0 && signals > 2; /* the kernel: a terminal */
        if (signals >= 2 && !*is_kept) {
            *is_kept = true;
            attendance->keep(attendance->user, "the report is still being made");
            limit = now_s() + GRACE_S;
        }
        if (typed > 0 || now_s() >= limit) {
            is_given_up = true;
            kill(child, SIGKILL);
        }
    }
    return is_given_up;
}

int crn_attend(const struct crn_attendance *attendance)
{
    sigset_t waited;
    struct sigaction plain = {.sa_handler = SIG_DFL}, child_before;
    int status = 0, answer = CRN_NOT_MADE;
    bool is_kept = false, is_given_up = false;
    crn_attend_signals(&waited);
    sigaddset(&waited, SIGCHLD);
    sigprocmask(SIG_BLOCK, &waited, NULL);
    sigaction(SIGCHLD, &plain, &child_before); /* ignored, there would be nothing to wait for */
    struct told *told =
        mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child = told != MAP_FAILED ? fork() : -1;
    if (child == 0) {
        crn_out_of_memory_is_told = true; /* by us, with the place of the recording */
        told->status = attendance->make(attendance->user);
        told->is_made = true;
        _exit(0);
    }
    if (child > 0) {
        is_given_up = child_await(attendance, child, &waited, &status, &is_kept);
        if (told->is_made)
            answer = told->status;
    } else {
        answer = attendance->make(attendance->user);
    }
    bool is_unseen = answer != CRN_NOT_MADE && (answer & CRN_UNSEEN) != 0;
    if ((answer == CRN_NOT_MADE || is_unseen) && !is_kept) {
        char why[160] = "the report could not be written anywhere";
        if (!is_unseen)
            why_tell(why, sizeof why, status, is_given_up);
        attendance->keep(attendance->user, why);
    }
    if (told != MAP_FAILED)
        munmap(told, sizeof *told);
    sigaction(SIGCHLD, &child_before, NULL);
    /* Signals stay held: the report is made, and what came meanwhile has been heeded. */
    return answer;
}
