/*
 * The program becomes another one.
 *
 * Handlers do not outlive exec: a signal of somebody who asks for a check (live/ask.h) would end
 * the new image, if it comes before that catches it.  What is ignored stays ignored.  So from here
 * on our signal is, until exec has failed or the new image has a handler of its own.  A check that
 * is under way ends first.
 *
 * A child of vfork shares our memory, but not our handlers: there is no check of its own to end.
 */
#include "shim/exec.h"
#include "shim/real.h"
#include "shim/state.h"
#include "base/sys.h"
#include "live/live.h"
#include "snap/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

/* Each: its name, parameters and arguments. */
#define EXEC_CALLS(X)                                                                            \
    X(execve, (const char *path, char *const argv[], char *const environment[]),                 \
      (path, argv, environment))                                                                 \
    X(execv, (const char *path, char *const argv[]), (path, argv))                               \
    X(execvp, (const char *file, char *const argv[]), (file, argv))                              \
    X(execvpe, (const char *file, char *const argv[], char *const environment[]),                \
      (file, argv, environment))                                                                 \
    X(fexecve, (int fd, char *const argv[], char *const environment[]), (fd, argv, environment)) \
    X(execveat,                                                                                  \
      (int fd, const char *path, char *const argv[], char *const environment[], int flags),      \
      (fd, path, argv, environment, flags))

#define EXEC_REAL(name, parameters, arguments) __typeof__(name) *name##_;
static struct {
    EXEC_CALLS(EXEC_REAL)
} real;

/* Here, for there is no time when exec is called: in a forked child locks may be held for ever. */
void crn_exec_start(void)
{
#define EXEC_FIND(name, parameters, arguments) \
    real.name##_ = (__typeof__(name) *)crn_shim_next(#name);
    EXEC_CALLS(EXEC_FIND)
}

/* What was, until exec has failed. */
struct before {
    struct sigaction action;
    bool is_ours;
};

static void check_end(void)
{
    if (crn_shim.phase == CRN_SHIM_ON && crn_sys_getpid() == crn_shim.process.pid)
        crn_live_leave(false);
}

static void signal_ignore(struct before *before)
{
    const struct sigaction ignored = {.sa_handler = SIG_IGN};
    int error = errno;
    before->is_ours = crn_sigaction_real(CRN_STOP_SIGNAL, NULL, &before->action) == 0 &&
                      (before->action.sa_flags & SA_SIGINFO) != 0 &&
                      before->action.sa_sigaction == crn_stop_handler;
    if (before->is_ours) {
        check_end();
        crn_sigaction_real(CRN_STOP_SIGNAL, &ignored, NULL);
        check_end(); /* of whoever has asked in between */
    }
    errno = error;
}

static void signal_heed(const struct before *before)
{
    int error = errno;
    if (before->is_ours)
        crn_sigaction_real(CRN_STOP_SIGNAL, &before->action, NULL);
    errno = error;
}

#define EXEC_DEFINE(name, parameters, arguments)  \
    CRN_EXPORT CRN_REALIGNED int name parameters  \
    {                                             \
        struct before before;                     \
        if (real.name##_ == NULL) /* so early? */ \
            crn_exec_start();                     \
        signal_ignore(&before);                   \
        int result = real.name##_ arguments;      \
        signal_heed(&before);                     \
        return result;                            \
    }
EXEC_CALLS(EXEC_DEFINE)

/* How many arguments follow `first`, with the NULL behind them. */
static size_t arguments_count(const char *first, va_list arguments)
{
    va_list copy;
    size_t count = 1;
    va_copy(copy, arguments);
    for (const char *each = first; each != NULL; each = va_arg(copy, const char *))
        count++;
    va_end(copy);
    return count;
}

/* Fills argv from `first` on; what follows the NULL is left in `arguments`. */
static void arguments_take(char **argv, const char *first, va_list *arguments)
{
    const char *each = first;
    for (; each != NULL; each = va_arg(*arguments, const char *))
        *argv++ = (char *)each;
    *argv = NULL;
}

CRN_EXPORT CRN_REALIGNED int execl(const char *path, const char *first, ...)
{
    va_list arguments;
    va_start(arguments, first);
    char *argv[arguments_count(first, arguments)];
    arguments_take(argv, first, &arguments);
    va_end(arguments);
    return execv(path, argv);
}

CRN_EXPORT CRN_REALIGNED int execlp(const char *file, const char *first, ...)
{
    va_list arguments;
    va_start(arguments, first);
    char *argv[arguments_count(first, arguments)];
    arguments_take(argv, first, &arguments);
    va_end(arguments);
    return execvp(file, argv);
}

CRN_EXPORT CRN_REALIGNED int execle(const char *path, const char *first, ...)
{
    va_list arguments;
    va_start(arguments, first);
    char *argv[arguments_count(first, arguments)];
    arguments_take(argv, first, &arguments);
    char *const *environment = va_arg(arguments, char *const *);
    va_end(arguments);
    return execve(path, argv, environment);
}
