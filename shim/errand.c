/*
 * Has a check made.  See errand.h.
 *
 * exec gives a process SIGCHLD for its parent, whatever it was made with; so whoever executes the
 * command is the child of one that shares our memory, waits for it and ends without a signal.
 * Nothing is copied: neither page tables nor, but for standard output and error, descriptors.
 */
#include "shim/errand.h"
#include "shim/deliver.h"
#include "shim/invocation.h"
#include "shim/state.h"
#include "shim/stderr.h"
#include "base/held.h"
#include "base/sys.h"
#include "base/vm.h"
#include "live/thread.h"

#include <errno.h>
#include <linux/wait.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

enum { STACK_BYTES = 64 * 1024, ENVIRONMENT_BYTES = 256 * 1024, VARIABLES_MAX = 1024 };
enum { CLOSE_RANGE_UNSHARE_ = 2 }; /* <linux/close_range.h>, Linux 5.9 */

/* All that an errand needs; one at a time. */
static struct errand {
    struct crn_invocation command;
    char launcher[4096];
    const char *variables[VARIABLES_MAX];
    char environment[ENVIRONMENT_BYTES];
    char *stacks; /* of the one that waits, and of the one that becomes the command */
} *errand;

bool crn_errand_is_possible(void)
{
    char launcher[4096];
    return crn_launcher_find(launcher, sizeof launcher);
}

/* As the process was started: its own variables may be changing while we read. */
static void environment_read(void)
{
    size_t count = 0, used = 0;
    int fd = crn_proc_open("self/environ");
    long bytes = fd < 0 ? 0 : crn_sys_read_all(fd, errand->environment, ENVIRONMENT_BYTES - 1);
    crn_proc_close(fd);
    for (size_t length; bytes > 0 && used < (size_t)bytes && count + 1 < VARIABLES_MAX;
         used += length + 1) {
        const char *variable = errand->environment + used;
        length = strlen(variable);
        if (strchr(variable, '=') != NULL && strncmp(variable, "LD_PRELOAD=", 11) != 0 &&
            strncmp(variable, "CORONER_", 8) != 0)
            errand->variables[count++] = variable;
    }
    errand->variables[count] = NULL;
}

static void command_make(void)
{
    const struct crn_options *options = &crn_shim.options;
    struct crn_invocation *command = &errand->command;
    char number[16];
    memset(command, 0, sizeof *command);
    crn_argument_add(command, "%s", errand->launcher);
    crn_argument_add(command, "%s", "check");
    crn_argument_add(command, "%s", "--itself");
    crn_argument_add(command, "--format=%s", options->format);
    if (options->output[0] != 0)
        crn_argument_add(command, "--output=%s", options->output);
    command->is_all_errors = strcmp(options->format, "text") == 0;
    snprintf(number, sizeof number, "%u", options->keep);
    if (options->keep > 0)
        crn_argument_add(command, "--keep=%s", number);
    crn_arguments_showing(command);
    snprintf(number, sizeof number, "%d", crn_shim.process.pid);
    crn_argument_add(command, "%s", number);
}

static void become_command(void *unused)
{
    (void)unused;
    crn_invocation_exec(&errand->command, (char **)errand->variables, crn_stderr_find());
}

/* Shares our memory, not our signals; whoever waits for it is a thread that may be gone. */
static void wait_for_command(void *unused)
{
    static const uintptr_t defaults[4]; /* the kernel's struct sigaction, all zero: SIG_DFL */
    (void)unused;
    crn_syscall4(SYS_rt_sigaction, SIGCHLD, defaults, NULL, 8);
    crn_syscall2(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
    long child = crn_live_clone(CLONE_VM | CLONE_VFORK | CLONE_UNTRACED | SIGCHLD,
                                errand->stacks + 2 * STACK_BYTES, NULL, NULL, become_command,
                                NULL);
    while (child > 0 && crn_syscall4(SYS_wait4, child, NULL, __WALL, NULL) == -EINTR)
        ;
    for (;;)
        crn_syscall1(SYS_exit_group, 0);
}

void crn_errand_run(_Atomic uint32_t *must_leave)
{
    const uint64_t slice_ns = 20000000;
    if (errand == NULL) {
        struct errand *room = crn_vm_map(sizeof *room);
        char *stacks = crn_vm_map(2 * STACK_BYTES);
        if (room == NULL || stacks == NULL)
            return;
        room->stacks = stacks;
        errand = room;
    }
    if (crn_syscall3(SYS_close_range, 3, ~0u, CLOSE_RANGE_UNSHARE_) != 0 ||
        !crn_launcher_find(errand->launcher, sizeof errand->launcher))
        return;
    crn_syscall1(SYS_close, 0);
    environment_read();
    command_make();
    long child = crn_live_clone(CLONE_VM | CLONE_UNTRACED, errand->stacks + STACK_BYTES, NULL,
                                NULL, wait_for_command, NULL);
    while (child > 0 && crn_syscall4(SYS_wait4, child, NULL, WNOHANG | __WALL, NULL) == 0) {
        if (*must_leave != 0)
            crn_syscall2(SYS_kill, child, SIGKILL); /* the command goes on, as nobody's child */
        crn_futex_wait(must_leave, *must_leave, slice_ns);
    }
}
