/*
 * How the coroner command is called.  See invocation.h.
 */
#include "shim/invocation.h"
#include "shim/deliver.h"
#include "shim/state.h"
#include "shim/stderr.h"
#include "base/sys.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char own_directory[1024]; /* where this library lies, with a slash behind; "": not known */

void crn_deliver_start(void)
{
    Dl_info info;
    if (dladdr((const void *)&crn_shim, &info) == 0 || info.dli_fname == NULL)
        return;
    const char *slash = strrchr(info.dli_fname, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - info.dli_fname) + 1, used = 0;
    if (info.dli_fname[0] != '/') {
        if (getcwd(own_directory, sizeof own_directory) == NULL)
            return;
        used = strlen(own_directory);
        own_directory[used++] = '/';
    }
    if (used + length >= sizeof own_directory)
        used = length = 0;
    memcpy(own_directory + used, info.dli_fname, length);
    own_directory[used + length] = 0;
}

static bool is_executable(const char *path)
{
    return crn_syscall3(SYS_faccessat, AT_FDCWD, path, X_OK) == 0;
}

/* The coroner command: as the launcher told us, beside this library, or where both are installed.
 */
bool crn_launcher_find(char *path, size_t path_bytes)
{
    static const char *const beside[] = {"", "../" CORONER_BINDIR "/", "../../" CORONER_BINDIR "/",
                                         "../../../" CORONER_BINDIR "/"};
    if (crn_shim.launcher != NULL && is_executable(crn_shim.launcher)) {
        snprintf(path, path_bytes, "%s", crn_shim.launcher);
        return true;
    }
    for (unsigned i = 0; i < CRN_COUNT_OF(beside) && own_directory[0] != 0; i++) {
        snprintf(path, path_bytes, "%s%scoroner", own_directory, beside[i]);
        if (is_executable(path))
            return true;
    }
    return false;
}

void crn_argument_add(struct crn_invocation *command, const char *format, const char *value)
{
    if (command->count + 1 >= CRN_ARGUMENTS_MAX ||
        command->used + strlen(format) + strlen(value) >= sizeof command->texts)
        return;
    char *text = command->texts + command->used;
    command->used += (size_t)sprintf(text, format, value) + 1;
    command->arguments[command->count++] = text;
}

/* The options that say what to show, and how much of it. */
void crn_arguments_showing(struct crn_invocation *command)
{
    const struct crn_options *options = &crn_shim.options;
    const struct {
        const char *format;
        unsigned value;
    } numbers[] = {{"--max-leaks=%s", options->max_leaks},
                   {"--malloc-context-size=%s", options->malloc_context_size}};
    const struct {
        const char *option;
        bool is_given;
    } flags[] = {{"--strict", options->strict},
                 {"--report-objects", options->report_objects},
                 {"--print-suppressions", options->print_suppressions}};
    char number[16];
    for (unsigned i = 0; i < options->suppressions_count; i++)
        crn_argument_add(command, "--suppressions=%s", options->suppressions[i]);
    for (unsigned i = 0; i < CRN_COUNT_OF(numbers); i++) {
        snprintf(number, sizeof number, "%u", numbers[i].value);
        if (numbers[i].value != 0)
            crn_argument_add(command, numbers[i].format, number);
    }
    for (unsigned i = 0; i < CRN_COUNT_OF(flags); i++)
        if (flags[i].is_given)
            crn_argument_add(command, "%s", flags[i].option);
}

/*
 * Whoever was to read the report may have gone, files may not grow, the terminal may not be for
 * background processes: the command then says so, or not, but neither dies nor stops.
 */
static void signals_of_writing_ignore(void)
{
    static const int of_writing[] = {SIGPIPE, SIGXFSZ, SIGTTOU};
    struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        uint64_t mask;
    } ignored = {.handler = SIG_IGN}; /* the kernel's struct sigaction */
    for (unsigned i = 0; i < CRN_COUNT_OF(of_writing); i++)
        crn_syscall4(SYS_rt_sigaction, of_writing[i], &ignored, NULL, 8);
}

/* In the child's child. */
void crn_invocation_exec(const struct crn_invocation *command,
                         char **environment, int errors)
{
    /* Whoever delivers lets these wait (launcher/attend.h); they may come before it can say so. */
    uint64_t patient =
        1ull << (SIGHUP - 1) | 1ull << (SIGINT - 1) | 1ull << (SIGQUIT - 1) | 1ull << (SIGTERM - 1);
    uint64_t mask = command->is_delivery ? patient : 0;
    signals_of_writing_ignore();
    crn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
    if (errors < 0) /* whatever descriptor 2 is now, the report is not for it */
        errors = (int)crn_syscall4(SYS_openat, AT_FDCWD, "/dev/null", O_WRONLY, 0);
    if (errors != 2)
        crn_syscall3(SYS_dup3, errors, 2, 0);
    if (command->is_all_errors)
        crn_syscall3(SYS_dup3, 2, 1, 0);
    else if (!crn_stdout_is_there())
        crn_syscall1(SYS_close, 1); /* the command writes to standard error then */
    crn_syscall3(SYS_close_range, 3, ~0u, 0);
    crn_syscall3(SYS_execve, command->arguments[0], command->arguments, environment);
    for (;;)
        crn_syscall1(SYS_exit_group, CRN_NO_LAUNCHER);
}
