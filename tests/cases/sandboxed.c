/*
 * A sandbox (seccomp) that kills for calls which the program does not make must not kill for ours:
 * what is forbidden we do without, and where no check is possible the report says so.
 *
 * BUILD: once
 * RUN:    for way in prctl seccomp; do for action in process thread trap errno; do \
 *         for list in files processes; do coroner run -f json -o r.json $CASE $way $action $list; \
 *         echo $?; grep -c '"class": "lost"' r.json; mv r.json report.json; done; done; done | sort | uniq -c
 * EXPECT: lost       blocks=1 bytes=155 allocated_in=make_castle
 * EXPECT: stdout     /^ +16 1\n +16 23\n$/
 * EXPECT: stderr-lines 0
 *
 * RUN:    coroner run -f json -o report.json $CASE prctl process most
 * EXPECT: warning    /not checked: the program's sandbox \(seccomp\) forbids mincore/
 * EXPECT: stderr-lines 0
 * EXPECT: exit       status=3
 *
 * RUN:    LD_PRELOAD=$SHIM $CASE prctl process most
 * EXPECT: stderr     /^coroner: not checked: the program's sandbox \(seccomp\) forbids mincore.*\n$/
 * EXPECT: exit       status=3
 *
 * RUN:    coroner run -f json -o report.json $CASE strict
 * EXPECT: warning    /not checked: the program entered seccomp's strict mode/
 * EXPECT: exit       status=3
 *
 * RUN:    coroner run -f json -o report.json $CASE seccomp process restart $CASE
 * EXPECT: lost       blocks=1 bytes=155 allocated_in=make_castle
 * EXPECT: exit       status=23
 *
 * RUN:    $CASE seccomp process restart env LD_PRELOAD=$SHIM \
 *         CORONER_OPTIONS=format=json:output=report.json $CASE
 * EXPECT: lost       blocks=1 bytes=155 allocated_in=make_castle
 * EXPECT: exit       status=23
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=format=json:output=report.json $CASE twice
 * EXPECT: stderr     /^coroner: not checked: what the program's sandbox .* cannot be tried\n$/
 * EXPECT: exit       status=3
 */
#include "case.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { CALLS_MAX = 24 };

/* What each list forbids; the last one is all that is allowed. */
static const struct list {
    const char *name;
    bool is_allowed;
    int calls[CALLS_MAX]; /* up to a 0: read is always allowed */
} lists[] = {
    {"files",
     false,
     {SYS_open, SYS_openat, SYS_rename, SYS_unlinkat, SYS_statfs, SYS_process_vm_readv}},
    {"processes", false, {SYS_clone, SYS_clone3, SYS_fork, SYS_vfork, SYS_wait4}},
    {"restart", false, {SYS_personality, SYS_mincore, SYS_sigaltstack, SYS_timer_settime}},
    {"most",
     true,
     {SYS_write, SYS_exit, SYS_exit_group, SYS_mmap, SYS_munmap, SYS_brk, SYS_futex,
      SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_getpid}},
};

GLOBAL char *kept;

NOINLINE static char *make_castle(void)
{
    char *castle = malloc(155);
    fill(castle, 155);
    return castle;
}

static unsigned action_of(const char *name)
{
    return strcmp(name, "thread") == 0  ? SECCOMP_RET_KILL_THREAD
           : strcmp(name, "trap") == 0  ? SECCOMP_RET_TRAP
           : strcmp(name, "errno") == 0 ? SECCOMP_RET_ERRNO | 1
                                        : SECCOMP_RET_KILL_PROCESS;
}

static void sandbox_enter(const char *way, unsigned action, const struct list *list)
{
    struct sock_filter code[CALLS_MAX + 8];
    unsigned short at = 0, count = 0;
    while (list->calls[count] != 0)
        count++;
    unsigned listed = list->is_allowed ? SECCOMP_RET_ALLOW : action;
    code[at++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 0, 1);
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    for (unsigned short i = 0; i < count; i++)
        code[at++] = (struct sock_filter)BPF_JUMP(
            BPF_JMP | BPF_JEQ | BPF_K, (unsigned)list->calls[i], (unsigned char)(count - i), 0);
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
                                              list->is_allowed ? action : SECCOMP_RET_ALLOW);
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, listed);
    const struct sock_fprog filter = {at, code};
    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (strcmp(way, "prctl") == 0)
        REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
    else
        REQUIRE(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0);
}

int main(int argc, char **argv)
{
    if (argc > 3)
        for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++)
            if (strcmp(argv[3], lists[i].name) == 0)
                sandbox_enter(argv[1], action_of(argv[2]), &lists[i]);
    if (said(argv, "twice")) { /* the second one, where nothing can be tried any more */
        sandbox_enter("prctl", SECCOMP_RET_KILL_PROCESS, &lists[1]);
        sandbox_enter("seccomp", SECCOMP_RET_KILL_PROCESS, &lists[2]);
    }
    if (argc > 4) {
        execvp(argv[4], argv + 4);
        return 97;
    }
    kept = make_castle();
    kept = NULL;
    if (said(argv, "strict")) {
        REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
        syscall(SYS_exit, 3);
    }
    wipe();
    return 3;
}
