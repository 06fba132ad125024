/*
 * The life of a process: how main begins, every way to end, and fork.
 *
 * main is wrapped, so that the mark is taken when it returns.  The confirmation is an on_exit
 * function that is registered before any other, hence called after every one of them.
 */
#include "shim/deadly.h"
#include "shim/decoder.h"
#include "shim/enter.h"
#include "shim/lsan_compat.h"
#include "shim/start.h"
#include "shim/state.h"
#include "shim/stderr.h"
#include "shim/triggers.h"
#include "check/check.h"
#include "check/demand.h"
#include "check/end.h"
#include "coro/probe.h"
#include "live/live.h"
#include "base/held.h"
#include "base/sys.h"
#include "base/written.h"
#include "record/door.h"
#include "record/modules.h"
#include "snap/stop.h"
#include "stack/unwind.h"
#include "stack/verify.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

typedef int (*main_function)(int, char **, char **);

static main_function program_main;
static uintptr_t main_caller_sp; /* of whoever called __libc_start_main */
static uintptr_t main_sp;        /* where main's own frames begin, downwards */
static int quick_code;           /* what quick_exit was given */

static bool is_in_libc(const void *address)
{
    struct dl_find_object found, libc;
    return _dl_find_object((void *)address, &found) == 0 &&
           _dl_find_object((void *)(uintptr_t)gnu_get_libc_version, &libc) == 0 &&
           found.dlfo_link_map == libc.dlfo_link_map;
}

/*
 * Where main has returned nothing of the program is left, neither in a register nor on the stack up
 * to what called __libc_start_main: libc's frames there, and ours, have words of constructors' in
 * their gaps.  Another preload may have put a function of its own between.
 */
/* Coroutines with switches of their own tell of themselves only when a check looks. */
static void decoder_load_late(void)
{
    if (crn_coros.stacks.item_count + crn_coros.mapped.item_count > 0)
        crn_decoder_load();
}

static int main_wrapped(int argc, char **argv, char **environment)
{
    main_sp = (uintptr_t)__builtin_dwarf_cfa();
    int code = program_main(argc, argv, environment);
    decoder_load_late();
    bool is_libc_below = is_in_libc(__builtin_return_address(0));
    crn_end_begin(&(struct crn_saved_registers){
        .rsp = is_libc_below ? main_caller_sp : main_sp});
    return code;
}

static void (*real_exit(void))(int)
{
    static void (*real)(int);
    if (real == NULL)
        real = (void (*)(int))crn_shim_next("exit");
    return real;
}

/* The sp of whoever called exit(), on the way from which we are; 0: that cannot be told. */
static uintptr_t exit_caller_sp(const struct crn_thread *self,
                                const struct crn_saved_registers *from)
{
    enum { STEPS_MAX = 16 };
    struct crn_frame frame = {from->pc, from->rsp, from->rbp, false};
    struct crn_function function;
    uintptr_t slot, bp_slot;
    bool is_found = false;
    if (!crn_function_find((uintptr_t)real_exit(), &function))
        return 0;
    for (unsigned i = 0; i < STEPS_MAX && !is_found; i++) {
        is_found = frame.pc - 1 - function.start < function.end - function.start;
        if (!crn_frame_step(&frame, (struct crn_stack_bounds){from->rsp, self->own_end}, false,
                            &slot, &bp_slot))
            return 0;
    }
    return is_found ? frame.sp : 0;
}

/*
 * exit() was called inside libc.  When the last thread does it at its end, none of its frames is left.
 * Otherwise it is a function like err(): what registers it saved on the way to us cannot be told,
 * and all of that counts.
 */
static struct crn_saved_registers libc_exit_from(const struct crn_saved_registers *from)
{
    const struct crn_thread *self = crn_self;
    if (self == NULL || self->state != CRN_THREAD_ENDING)
        return *from;
    uintptr_t sp = exit_caller_sp(self, from);
    uintptr_t first_sp = self->is_main ? main_sp : self->base_sp;
    if (sp == 0 || first_sp == 0 || sp < first_sp)
        return *from;
    return (struct crn_saved_registers){.rsp = self->is_main ? main_caller_sp : sp};
}

/*
 * The last thing exit() calls, with the status it was given: registered by our constructor, before
 * __libc_start_main registers the loader's own last function.
 */
void crn_very_last_do(int status, void *unused, const struct crn_saved_registers *from)
{
    (void)unused;
    if (crn_sys_getpid() != crn_shim.process.pid)
        return;
    struct crn_saved_registers ours = libc_exit_from(from);
    int code = crn_end_finish(status & 0xff, &ours);
    if (code != (status & 0xff))
        real_exit()(code); /* which goes on where this call of it stands, with another status */
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
    main_caller_sp = (uintptr_t)__builtin_dwarf_cfa();
    return real(main_wrapped, argc, argv, init, fini, rtld_fini, stack_end);
}

void crn_exit(int code, const struct crn_saved_registers *from)
{
    void (*real)(int) = real_exit();
    if (crn_sys_getpid() == crn_shim.process.pid) {
        decoder_load_late();
        crn_end_begin(from);
    }
    real(code);
    __builtin_unreachable();
}

/* Without libc: its _exit does nothing else. */
void crn_exit_now(int code, const struct crn_saved_registers *from)
{
    if (crn_sys_getpid() == crn_shim.process.pid)
        code = crn_end_finish(code & 0xff, from);
    for (;;)
        crn_syscall1(SYS_exit_group, code);
}

/* As libc has it: standard streams to /dev/null, if that is what it should be. */
static int streams_to_nothing(void)
{
    struct stat status;
    int fd = open("/dev/null", O_RDWR);
    bool is_there = fd >= 0 && fstat(fd, &status) == 0;
    bool is_nothing = is_there && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO && is_nothing; stream++)
        dup2(fd, stream);
    int error = is_there ? ENODEV : errno;
    if (fd > (is_nothing ? STDERR_FILENO : -1))
        close(fd);
    if (!is_nothing)
        errno = error;
    return is_nothing ? 0 : -1;
}

/*
 * Goes to the background.  The process that is left behind ends here, and is checked; its status
 * stays 0, since that says whether the daemon has started, and a plain preload says nothing of it
 * unless something leaked.
 */
int crn_daemon(int keeps_directory, int keeps_streams, const struct crn_saved_registers *from)
{
    pid_t child = fork();
    if (child < 0)
        return -1;
    if (child > 0) {
        crn_shim.process.is_first = false;
        crn_exit_now(0, from);
    }
    if (setsid() < 0)
        return -1;
    if (!keeps_directory)
        (void)!chdir("/");
    return keeps_streams ? 0 : streams_to_nothing();
}

/* The first handler registered is the last one quick_exit calls. */
static void quick_last(void)
{
    int code = crn_end_finish(quick_code & 0xff, NULL);
    if (code != (quick_code & 0xff))
        crn_syscall1(SYS_exit_group, code);
}

void crn_quick_exit(int code, const struct crn_saved_registers *from)
{
    static void (*real)(int);
    if (real == NULL)
        real = (void (*)(int))crn_shim_next("quick_exit");
    if (crn_sys_getpid() == crn_shim.process.pid) {
        quick_code = code;
        crn_end_begin(from);
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
    crn_stderr_after_fork();
    crn_shim.process.started_unix_ns = crn_unix_now_ns();
    crn_shim.process.started_ns = crn_now_ns();
    crn_written_after_fork();
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
    crn_demand_after_fork();
    crn_end_after_fork();
    crn_deadly_after_fork(parent_pid);
    crn_lsan_after_fork();
    crn_held_after_fork();
    crn_live_after_fork();
    crn_triggers_after_fork();
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
                                       "CORONER_FIRST=", CRN_DOOR_VARIABLE "="};
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
    on_exit(crn_very_last, NULL);
    pthread_atfork(NULL, NULL, child_begin);
    at_quick_exit(quick_last);
    crn_shim.process.is_first = first_decide();
    if (!crn_shim.options.follow_children)
        environment_clean();
}
