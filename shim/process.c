/*
 * The life of a process: how main begins, every way to end, and fork.
 *
 * main is wrapped, so that the mark is taken when it returns.  The confirmation is an on_exit
 * function that is registered before any other, hence called after every one of them.
 */
#include "shim/deadly.h"
#include "shim/lsan_compat.h"
#include "shim/start.h"
#include "shim/state.h"
#include "check/check.h"
#include "check/end.h"
#include "coro/probe.h"
#include "base/sys.h"
#include "record/modules.h"
#include "snap/stop.h"
#include "stack/verify.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*main_function)(int, char **, char **);

static main_function program_main;
static int quick_code; /* what quick_exit was given */

static int main_wrapped(int argc, char **argv, char **environment)
{
    int code = program_main(argc, argv, environment);
    crn_end_begin();
    return code;
}

/*
 * The last thing exit() calls, with the status it was given: registered by our constructor, before
 * __libc_start_main registers the loader's own last function.
 */
static void very_last(int status, void *unused)
{
    (void)unused;
    if (crn_sys_getpid() != crn_shim.process.pid)
        return;
    int code = crn_end_finish(status & 0xff);
    if (code != (status & 0xff)) {
        fflush(NULL); /* what exit would still do */
        crn_syscall1(SYS_exit_group, code);
    }
}

CRN_EXPORT int __libc_start_main(main_function main, int argc, char **argv, void (*init)(void),
                                 void (*fini)(void), void (*rtld_fini)(void), void *stack_end);
CRN_EXPORT int __libc_start_main(main_function main, int argc, char **argv, void (*init)(void),
                                 void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
    typedef int (*start_function)(main_function, int, char **, void (*)(void), void (*)(void),
                                  void (*)(void), void *);
    start_function real = (start_function)crn_shim_next("__libc_start_main");
    program_main = main;
    return real(main_wrapped, argc, argv, init, fini, rtld_fini, stack_end);
}

CRN_EXPORT __attribute__((noreturn)) void exit(int code)
{
    static void (*real)(int);
    if (real == NULL)
        real = (void (*)(int))crn_shim_next("exit");
    if (crn_sys_getpid() == crn_shim.process.pid)
        crn_end_begin();
    real(code);
    __builtin_unreachable();
}

/* Without libc: its _exit does nothing else. */
static __attribute__((noreturn)) void end_now(int code)
{
    if (crn_sys_getpid() == crn_shim.process.pid) {
        crn_end_begin();
        code = crn_end_finish(code & 0xff);
    }
    for (;;)
        crn_syscall1(SYS_exit_group, code);
}

CRN_EXPORT __attribute__((noreturn)) void _exit(int code)
{
    end_now(code);
}
CRN_EXPORT __attribute__((noreturn)) void _Exit(int code)
{
    end_now(code);
}

/* The first handler registered is the last one quick_exit calls. */
static void quick_last(void)
{
    int code = crn_end_finish(quick_code & 0xff);
    if (code != (quick_code & 0xff))
        crn_syscall1(SYS_exit_group, code);
}

CRN_EXPORT __attribute__((noreturn)) void quick_exit(int code)
{
    static void (*real)(int);
    if (real == NULL)
        real = (void (*)(int))crn_shim_next("quick_exit");
    if (crn_sys_getpid() == crn_shim.process.pid) {
        quick_code = code;
        crn_end_begin();
    }
    real(code);
    __builtin_unreachable();
}

static void child_begin(void)
{
    int parent_pid = crn_shim.process.pid;
    crn_shim.process.pid = crn_sys_getpid();
    crn_shim.process.is_forked = true;
    crn_shim.process.is_first = false;
    crn_shim.process.is_silenced |= !crn_shim.options.follow_children;
    /* A daemon closes standard error to let go of whoever reads it: a copy must not hold on. */
    if (crn_shim.saved_stderr >= 0)
        crn_syscall1(SYS_close, crn_shim.saved_stderr);
    crn_shim.saved_stderr = -1;
    crn_shim.process.started_unix_ns = crn_unix_now_ns();
    crn_shim.process.started_ns = crn_now_ns();
    crn_heap_after_fork(&crn_heap);
    crn_tree_after_fork(&crn_tree);
    crn_rules_after_fork();
    crn_verify_after_fork();
    crn_modules_after_fork();
    crn_coros_after_fork();
    crn_scopes_after_fork();
    crn_probes_after_fork();
    crn_threads_after_fork();
    crn_stop_after_fork();
    crn_checks_after_fork();
    crn_end_after_fork();
    crn_deadly_after_fork(parent_pid);
    crn_lsan_after_fork();
}

/* LD_PRELOAD, given as "LD_PRELOAD=…", without libcoroner.so; NULL: nothing is left of it. */
static char *preload_without_us(const char *variable)
{
    static char kept[4096];
    const char *preload = strchr(variable, '=') + 1;
    size_t name_length = (size_t)(preload - variable);
    memcpy(kept, variable, name_length);
    kept[name_length] = 0;
    while (*preload != 0) {
        size_t length = strcspn(preload, ": ");
        bool is_ours = memmem(preload, length, "libcoroner.so", 13) != NULL;
        if (!is_ours && length > 0 && strlen(kept) + length + 2 < sizeof kept) {
            if (kept[name_length] != 0)
                strcat(kept, ":");
            strncat(kept, preload, length);
        }
        preload += length + (preload[length] != 0);
    }
    return kept[name_length] != 0 ? kept : NULL;
}

/*
 * Takes libcoroner.so out of LD_PRELOAD, and our variables away: children run unwatched.  By hand:
 * shells have a setenv and unsetenv of their own, which know nothing yet.
 */
static void environment_clean(void)
{
    static const char *const ours[] = {"LD_PRELOAD=", "CORONER_SESSION=", "CORONER_LAUNCHER=",
                                       "CORONER_FIRST="};
    char **to = environ;
    for (char **from = environ; from != NULL && *from != NULL; from++) {
        char *variable = *from;
        for (unsigned i = 0; i < CRN_COUNT_OF(ours) && variable != NULL; i++)
            if (strncmp(variable, ours[i], strlen(ours[i])) == 0)
                variable = i == 0 ? preload_without_us(variable) : NULL;
        if (variable != NULL)
            *to++ = variable;
    }
    if (to != NULL)
        *to = NULL;
}

/* Is this the process whose exit code may change: PROGRAM, whatever it has exec'ed since? */
static bool first_decide(void)
{
    char number[16];
    const char *first = getenv("CORONER_FIRST");
    snprintf(number, sizeof number, "%d", crn_shim.process.pid);
    if (first == NULL && crn_shim.options.follow_children)
        setenv("CORONER_FIRST", number, 1);
    return first == NULL || strcmp(first, number) == 0;
}

void crn_process_start(void)
{
    on_exit(very_last, NULL);
    pthread_atfork(NULL, NULL, child_begin);
    at_quick_exit(quick_last);
    crn_shim.process.is_first = first_decide();
    if (!crn_shim.options.follow_children)
        environment_clean();
}
