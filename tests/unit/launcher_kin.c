/*
 * Who is left of a program's processes.
 */
#include "shim/launcher/kin.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct seen {
    int wanted, others;
    bool is_seen;
};

static void process_note(int pid, void *user)
{
    struct seen *seen = user;
    seen->is_seen |= pid == seen->wanted;
    seen->others += pid != seen->wanted;
}

/* Ends when the other side of its pipe is closed. */
static void wait_for_end(const int ends[2])
{
    char byte;
    close(ends[1]);
    while (read(ends[0], &byte, 1) > 0)
        ;
    _exit(0);
}

/* The program: leaves a child of `depth` generations, and tells the number of the last one. */
static void program(const int ends[2], int telling, int depth)
{
    for (int i = 0; i < depth; i++)
        if (fork() != 0) {
            if (i == 0)
                _exit(0);
            wait_for_end(ends);
        }
    int pid = getpid();
    if (write(telling, &pid, sizeof pid) == sizeof pid)
        wait_for_end(ends);
    _exit(1);
}

/* The launcher, below one that children are given to; answers an exit status. */
static int launch(int depth)
{
    struct crn_kin kin;
    struct seen seen = {0};
    int ends[2], telling[2];
    if (pipe(ends) != 0 || pipe(telling) != 0)
        return 9;
    crn_kin_note(&kin);
    if (!kin.is_known)
        return 7;
    pid_t child = fork();
    if (child == 0)
        program(ends, telling[1], depth);
    if (waitpid(child, NULL, 0) != child)
        return 8;
    if (depth > 0 && read(telling[0], &seen.wanted, sizeof seen.wanted) != sizeof seen.wanted)
        return 6;
    crn_kin_for_each(&kin, process_note, &seen);
    crn_kin_forget(&kin);
    return seen.is_seen ? 1 : 0;
}

static int launched(int depth)
{
    int status;
    pid_t shell = fork();
    if (shell == 0) {
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        pid_t launcher = fork();
        if (launcher == 0)
            _exit(launch(depth));
        waitpid(launcher, &status, 0);
        _exit(WEXITSTATUS(status));
    }
    cr_assert_eq(waitpid(shell, &status, 0), shell);
    return WEXITSTATUS(status);
}

Test(kin, what_the_program_left_is_found)
{
    int found = launched(1);
    if (found == 7)
        cr_skip_test("this kernel does not list children");
    cr_assert_eq(found, 1);
}

Test(kin, so_is_what_that_has_started)
{
    int found = launched(3);
    if (found == 7)
        cr_skip_test("this kernel does not list children");
    cr_assert_eq(found, 1);
}

static struct seen all;

static void all_note(int pid, void *user)
{
    (void)user;
    all.is_seen |= pid == getpid();
    all.others++;
}

Test(kin, where_nobody_lists_children_all_are_asked)
{
    const struct crn_kin kin = {.is_known = false};
    crn_kin_for_each(&kin, all_note, NULL);
    cr_assert(all.is_seen);
}
