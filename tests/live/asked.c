/*
 * The program that live.py asks while it runs: asked WHAT...
 *
 * It loses three blocks of 4,444 bytes and keeps one of 55,555, does what it is told to, prints
 * "ready", and goes on until its standard input ends.  Then it prints "whole" and exits with 0: no
 * call of it has returned early, and nothing of a check is left.
 *
 *     threads    four of them stand in blocking calls
 *     first      its first thread has ended; another one goes on
 *     blocked    every thread blocks every signal, by system calls of its own
 *     private    it cannot be dumped
 *     user       it becomes user and group 65534
 *     stopped    it stops itself
 *     container  it may call what a container may by default (seccomp)
 *     mute       it may make no sockets (seccomp)
 *     alone      it may make no processes and no threads (seccomp)
 *     chroot     its root is the current folder
 *     exits      a line "exit" makes it end at once, by _exit
 *     frees      a line "free" makes it free what it has lost: the addresses were written down
 *     suspend    a line "suspend" makes it suspend ten coroutines more
 *     become     a line "become" makes it another program, which waits for the end of its input
 *     fork       a line "fork" makes it fork a child that ends at once
 */
#include <errno.h>
#include <grp.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { LOST = 3, LOST_BYTES = 4444, KEPT_BYTES = 55555, THREADS = 4 };

static void *volatile kept;
static uintptr_t hidden[LOST]; /* what was lost, in a way that holds nothing */
static int early;              /* calls that returned before their time */

/* Calls that fail; ends with 0. */
static const short of_containers[] = {SYS_kcmp,
                                      SYS_userfaultfd,
                                      SYS_bpf,
                                      SYS_perf_event_open,
                                      SYS_keyctl,
                                      SYS_add_key,
                                      SYS_request_key,
                                      SYS_mount,
                                      SYS_umount2,
                                      SYS_unshare,
                                      SYS_setns,
                                      SYS_pivot_root,
                                      SYS_open_by_handle_at,
                                      SYS_io_uring_setup,
                                      SYS_pidfd_getfd,
                                      SYS_clone3,
                                      0};
static const short of_the_mute[] = {SYS_socket, SYS_socketpair, SYS_connect, 0};
static const short of_those_alone[] = {SYS_clone, SYS_clone3, SYS_fork, SYS_vfork, 0};

static void forbid(const short *calls)
{
    struct sock_filter code[64] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    unsigned short length = 1;
    for (; *calls != 0; calls++) {
        code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, *calls, 0, 1);
        code[length++] = (struct sock_filter)BPF_STMT(
            BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (*calls == SYS_clone3 ? ENOSYS : EPERM));
    }
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {length, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        exit(77);
}

static __attribute__((noinline)) void lose(void)
{
    for (int i = 0; i < LOST; i++) {
        char *volatile block = malloc(LOST_BYTES);
        hidden[i] = ~(uintptr_t)block;
        block = NULL;
    }
}

/* Overwrites what calls have left on the stack and in registers. */
static __attribute__((noinline)) void wipe(void)
{
    volatile char words[8192];
    for (size_t i = 0; i < sizeof words; i++)
        words[i] = 0;
}

enum { COROUTINES = 10, STACK_BYTES = 64 * 1024 };
static ucontext_t *suspended[4 * COROUTINES], outside;
static int suspended_count;

static void wait_for_ever(void)
{
    swapcontext(suspended[suspended_count], &outside);
}

static void coroutines_suspend(void)
{
    for (int i = 0; i < COROUTINES && suspended_count < 4 * COROUTINES; i++, suspended_count++) {
        ucontext_t *one = suspended[suspended_count] = calloc(1, sizeof *one);
        getcontext(one);
        one->uc_stack.ss_sp = malloc(STACK_BYTES);
        one->uc_stack.ss_size = STACK_BYTES;
        makecontext(one, wait_for_ever, 0);
        swapcontext(&outside, one);
    }
}

static void *blocked_thread(void *end)
{
    char byte;
    if (read(*(int *)end, &byte, 1) != 0)
        __atomic_fetch_add(&early, 1, __ATOMIC_RELAXED);
    return NULL;
}

static int what_is_told(int argc, char **argv, const char *what)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], what) == 0)
            return 1;
    return 0;
}

static void line_obey(const char *line)
{
    if (strcmp(line, "free\n") == 0)
        for (int i = 0; i < LOST; i++)
            free((void *)~hidden[i]);
    if (strcmp(line, "suspend\n") == 0)
        coroutines_suspend();
    if (strcmp(line, "become\n") == 0)
        execl("/bin/cat", "cat", (char *)NULL);
    if (strcmp(line, "exit\n") == 0)
        _exit(0);
    if (strcmp(line, "fork\n") == 0) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        waitpid(child, NULL, 0);
    }
    puts("done");
    fflush(stdout);
}

static void *go_on(void *nothing)
{
    char line[64];
    size_t length = 0;
    ssize_t n;
    while ((n = read(STDIN_FILENO, line + length, 1)) == 1) {
        if (line[length++] == '\n' || length == sizeof line - 1) {
            line[length] = 0;
            length = 0;
            line_obey(line);
        }
    }
    if (n != 0)
        early++;
    puts(early == 0 ? "whole" : "early");
    fflush(stdout);
    exit(early);
    return nothing;
}

int main(int argc, char **argv)
{
    static pthread_t threads[THREADS], other;
    static int ends[2];
    kept = malloc(KEPT_BYTES);
    lose();
    wipe();
    if (what_is_told(argc, argv, "threads")) {
        if (pipe(ends) != 0)
            return 2;
        for (int i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, blocked_thread, &ends[0]);
    }
    if (what_is_told(argc, argv, "chroot") && chroot(".") != 0)
        return 77;
    if (what_is_told(argc, argv, "user") &&
        (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0))
        return 77;
    if (what_is_told(argc, argv, "user") && !what_is_told(argc, argv, "private"))
        prctl(PR_SET_DUMPABLE, 1);
    if (what_is_told(argc, argv, "private"))
        prctl(PR_SET_DUMPABLE, 0);
    if (what_is_told(argc, argv, "blocked")) {
        uint64_t all = ~(uint64_t)0;
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
    }
    if (what_is_told(argc, argv, "container"))
        forbid(of_containers);
    if (what_is_told(argc, argv, "mute"))
        forbid(of_the_mute);
    if (what_is_told(argc, argv, "alone"))
        forbid(of_those_alone);
    puts("ready");
    fflush(stdout);
    if (what_is_told(argc, argv, "stopped"))
        raise(SIGSTOP);
    if (what_is_told(argc, argv, "first")) {
        pthread_create(&other, NULL, go_on, NULL);
        pthread_exit(NULL);
    }
    go_on(NULL);
}
