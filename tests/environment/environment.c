/*
 * A program whose environment fails it: one fault, at one moment, then one way to end.
 *
 *     environment RESOURCE MOMENT ENDING
 *
 * It leaks one block of 99 bytes that nothing holds, and its own status is 3.  The moments:
 *
 *     start      RESOURCE fails before anything is started:
 *                `environment RESOURCE start [NAME=VALUE...] PROGRAM ARGUMENT...` becomes PROGRAM
 *     main       when main has begun, before the leak
 *     end        when all is done, before the end begins
 *     teardown   in a handler of atexit
 *     exec       in a forked child, before it becomes `environment none main ENDING`
 *
 * What needs root, or else changes what it must not, ends with status 77 before the fault.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OWN_STATUS = 3, OTHER_STATUS = 5, NOT_POSSIBLE = 77, LEAKED_BYTES = 99 };

static void require(bool is_so, const char *what)
{
    if (is_so)
        return;
    fprintf(stderr, "environment: %s: %s\n", what, strerror(errno));
    _exit(NOT_POSSIBLE);
}

static void limit(int which, rlim_t to)
{
    const struct rlimit limits = {to, to};
    require(setrlimit(which, &limits) == 0, "setrlimit");
}

static void fault_none(void)
{
}

static void fault_files_closed(void)
{
    close_range(3, ~0u, 0);
}

static void fault_all_closed(void)
{
    close_range(0, ~0u, 0);
}

static void fault_files_used(void)
{
    limit(RLIMIT_NOFILE, 256);
    while (open("/dev/null", O_RDONLY) >= 0)
        ;
}

static void fault_nofile(void)
{
    limit(RLIMIT_NOFILE, 0);
}

static void fault_nofile_few(void)
{
    limit(RLIMIT_NOFILE, 16);
}

static void fault_fsize(void)
{
    limit(RLIMIT_FSIZE, 0);
}

static void fault_as(void)
{
    limit(RLIMIT_AS, 1 << 20);
}

static void fault_as_some(void)
{
    limit(RLIMIT_AS, 64 << 20);
}

static void fault_data(void)
{
    limit(RLIMIT_DATA, 0);
}

static void fault_stack(void)
{
    limit(RLIMIT_STACK, 64 << 10);
}

static void fault_mappings(void)
{
    for (long i = 0;; i++)
        if (mmap(NULL, 4096, (i & 1) != 0 ? PROT_READ | PROT_WRITE : PROT_READ,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
            break;
}

static void user_drop(void)
{
    require(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0, "setuid");
}

static void fault_nproc(void)
{
    limit(RLIMIT_NPROC, 0);
    user_drop();
}

static void *thread_wait(void *unused)
{
    (void)unused;
    for (;;)
        pause();
    return NULL;
}

/* No signal can be queued, so none of the real-time ones be sent. */
static void fault_sigpending(void)
{
    pthread_t thread;
    require(pthread_create(&thread, NULL, thread_wait, NULL) == 0, "pthread_create");
    limit(RLIMIT_SIGPENDING, 0);
}

static void folder_mount(const char *path, const char *options, unsigned long flags)
{
    if (access(path, F_OK) == 0)
        require(mount("none", path, "tmpfs", flags, options) == 0, path);
}

static void mounts_part(void)
{
    require(unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0,
            "unshare");
}

static const char *temporary(void)
{
    const char *path = getenv("TMPDIR");
    return path != NULL ? path : "/tmp";
}

static void fill(const char *folder)
{
    char path[4096], bytes[4096] = "full";
    snprintf(path, sizeof path, "%s/filling", folder);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    while (fd >= 0 && write(fd, bytes, sizeof bytes) > 0)
        ;
    close(fd);
}

/* Of the places that a recording could go to, only the current folder is left. */
static void fault_tmp_full(void)
{
    static const char *const places[] = {"/tmp", "/var/tmp", "/dev/shm"};
    mounts_part();
    folder_mount(temporary(), "size=64k", 0);
    fill(temporary());
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        if (strcmp(temporary(), places[i]) == 0 ||
            strncmp(getcwd((char[4096]){0}, 4096), places[i], strlen(places[i])) == 0)
            continue;
        folder_mount(places[i], "size=64k", 0);
        fill(places[i]);
    }
}

static void fault_tmp_readonly(void)
{
    mounts_part();
    folder_mount(temporary(), "size=64k", MS_RDONLY);
}

static void fault_tmp_private(void)
{
    mounts_part();
    folder_mount(temporary(), "size=1m", 0);
}

static void fault_tmp_missing(void)
{
    setenv("TMPDIR", "/nonexistent", 1);
}

static void fault_tmp_unset(void)
{
    unsetenv("TMPDIR");
}

/* As programs do that clean up behind themselves, and before. */
static void fault_tmp_emptied(void)
{
    char command[4200];
    snprintf(command, sizeof command, "rm -rf '%s'/*", temporary());
    unsetenv("LD_PRELOAD");
    require(system(command) == 0, "rm");
}

static void fault_environment_cleared(void)
{
    clearenv();
}

static void fault_cwd_gone(void)
{
    require(mkdir("gone", 0755) == 0 && chdir("gone") == 0 && rmdir("../gone") == 0, "rmdir");
}

static void fault_cwd_root(void)
{
    require(chdir("/proc") == 0, "chdir");
}

static void fault_chroot(void)
{
    require(mkdir("jail", 0755) == 0 && chroot("jail") == 0 && chdir("/") == 0, "chroot");
}

static void fault_setuid(void)
{
    user_drop();
}

static void fault_chroot_setuid(void)
{
    fault_chroot();
    user_drop();
}

/* All of the system is there, but the places where files for a short time lie. */
static void fault_other_root(void)
{
    static const char *const hidden[] = {"/tmp", "/dev/shm"};
    char path[4200];
    require(mkdir("root", 0755) == 0, "mkdir");
    mounts_part();
    require(mount("/", "root", NULL, MS_BIND | MS_REC, NULL) == 0, "bind");
    for (unsigned i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        snprintf(path, sizeof path, "root%s", hidden[i]);
        folder_mount(path, "size=1m", 0);
    }
    snprintf(path, sizeof path, "root%s", temporary());
    folder_mount(path, "size=1m", 0);
    require(chroot("root") == 0 && chdir("/") == 0, "chroot");
}

static void fault_other_root_setuid(void)
{
    fault_other_root();
    user_drop();
}

static void fault_no_proc(void)
{
    mounts_part();
    folder_mount("/proc", "size=4k", MS_RDONLY);
}

static void fault_umask(void)
{
    umask(0777);
}

static void fault_not_dumpable(void)
{
    prctl(PR_SET_DUMPABLE, 0);
}

static void fault_signals_blocked(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
}

static void fault_child_ignored(void)
{
    signal(SIGCHLD, SIG_IGN);
}

static void replace(int fd, const char *path, int flags)
{
    int other = open(path, flags, 0600);
    require(other >= 0, path);
    dup2(other, fd);
    close(other);
}

static void fault_stdin_closed(void)
{
    close(0);
}

static void fault_stdout_closed(void)
{
    close(1);
}

static void fault_stderr_closed(void)
{
    close(2);
}

static void fault_streams_closed(void)
{
    close_range(0, 2, 0);
}

static void fault_stderr_null(void)
{
    replace(2, "/dev/null", O_WRONLY);
}

static void fault_stderr_full(void)
{
    replace(2, "/dev/full", O_WRONLY);
}

static void fault_stderr_log(void)
{
    replace(2, "log", O_WRONLY | O_CREAT | O_APPEND);
}

static void fault_stderr_data(void)
{
    replace(2, "data", O_RDWR | O_CREAT);
}

static void fault_stderr_broken(void)
{
    int ends[2];
    require(pipe(ends) == 0, "pipe");
    close(ends[0]);
    dup2(ends[1], 2);
    close(ends[1]);
}

static void filter_use(const int *calls, size_t count, unsigned listed, unsigned others)
{
    struct sock_filter code[80];
    unsigned at = 0;
    code[at++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < count; i++) {
        code[at++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, 1);
        code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, listed);
    }
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, others);
    struct sock_fprog program = {(unsigned short)at, code};
    require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0,
            "seccomp");
}
#define FILTER(listed, others, ...)                                                            \
    filter_use((const int[]){__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int), listed, \
               others)

static void fault_no_open(void)
{
    FILTER(SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW, SYS_open, SYS_openat, SYS_openat2);
}

static void fault_no_processes(void)
{
    FILTER(SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW, SYS_clone, SYS_clone3, SYS_fork, SYS_vfork,
           SYS_execve, SYS_execveat);
}

static void fault_no_memory_map(void)
{
    FILTER(SECCOMP_RET_ERRNO | ENOMEM, SECCOMP_RET_ALLOW, SYS_mmap, SYS_mremap, SYS_brk);
}

static void fault_no_signals(void)
{
    FILTER(SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW, SYS_tgkill, SYS_tkill, SYS_rt_sigaction,
           SYS_rt_sigprocmask, SYS_sigaltstack);
}

static void fault_no_reading(void)
{
    FILTER(SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW, SYS_process_vm_readv,
           SYS_process_vm_writev, SYS_ioctl, SYS_pread64, SYS_mincore);
}

/* As of a program that has opened all it needs: whatever it does not do itself ends it. */
static void fault_killed_by_open(void)
{
    FILTER(SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW, SYS_open, SYS_openat, SYS_openat2,
           SYS_rename, SYS_unlinkat);
}

static void fault_killed_by_clone(void)
{
    FILTER(SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW, SYS_clone, SYS_clone3, SYS_fork, SYS_vfork,
           SYS_execve, SYS_execveat);
}

static void fault_killed_by_most(void)
{
    FILTER(SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS, SYS_read, SYS_write, SYS_exit,
           SYS_exit_group, SYS_rt_sigreturn, SYS_mmap, SYS_munmap, SYS_mprotect, SYS_madvise,
           SYS_brk, SYS_futex, SYS_rt_sigprocmask, SYS_clock_gettime, SYS_getpid, SYS_kill,
           SYS_rt_sigaction, SYS_gettid, SYS_tgkill);
}

static void fault_errno_of_most(void)
{
    FILTER(SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | EPERM, SYS_read, SYS_write, SYS_exit,
           SYS_exit_group, SYS_rt_sigreturn, SYS_mmap, SYS_munmap, SYS_mprotect, SYS_brk, SYS_futex,
           SYS_rt_sigprocmask, SYS_getpid, SYS_kill, SYS_rt_sigaction, SYS_gettid, SYS_tgkill);
}

/* The first process of a container. */
static void fault_pid1(void)
{
    int status = 0;
    require(unshare(CLONE_NEWPID) == 0, "unshare");
    pid_t child = fork();
    require(child >= 0, "fork");
    if (child == 0)
        return;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void fault_launcher_killed(void)
{
    kill(getppid(), SIGKILL);
    while (getppid() != 1 && kill(getppid(), 0) != 0)
        usleep(1000);
}

static const struct {
    const char *name;
    void (*fail)(void);
} resources[] = {
    {"none", fault_none},
    {"files_closed", fault_files_closed},
    {"all_closed", fault_all_closed},
    {"files_used", fault_files_used},
    {"nofile_0", fault_nofile},
    {"nofile_16", fault_nofile_few},
    {"fsize_0", fault_fsize},
    {"as_1m", fault_as},
    {"as_64m", fault_as_some},
    {"data_0", fault_data},
    {"stack_64k", fault_stack},
    {"mappings_used", fault_mappings},
    {"nproc_0", fault_nproc},
    {"sigpending_0", fault_sigpending},
    {"tmp_full", fault_tmp_full},
    {"tmp_readonly", fault_tmp_readonly},
    {"tmp_private", fault_tmp_private},
    {"tmp_missing", fault_tmp_missing},
    {"tmp_unset", fault_tmp_unset},
    {"tmp_emptied", fault_tmp_emptied},
    {"variables_cleared", fault_environment_cleared},
    {"cwd_gone", fault_cwd_gone},
    {"cwd_readonly", fault_cwd_root},
    {"chroot", fault_chroot},
    {"setuid", fault_setuid},
    {"chroot_setuid", fault_chroot_setuid},
    {"other_root", fault_other_root},
    {"other_root_setuid", fault_other_root_setuid},
    {"no_proc", fault_no_proc},
    {"umask_777", fault_umask},
    {"not_dumpable", fault_not_dumpable},
    {"signals_blocked", fault_signals_blocked},
    {"sigchld_ignored", fault_child_ignored},
    {"stdin_closed", fault_stdin_closed},
    {"stdout_closed", fault_stdout_closed},
    {"stderr_closed", fault_stderr_closed},
    {"streams_closed", fault_streams_closed},
    {"stderr_null", fault_stderr_null},
    {"stderr_full", fault_stderr_full},
    {"stderr_log", fault_stderr_log},
    {"stderr_data", fault_stderr_data},
    {"stderr_broken", fault_stderr_broken},
    {"no_open", fault_no_open},
    {"no_processes", fault_no_processes},
    {"no_memory_map", fault_no_memory_map},
    {"no_signals", fault_no_signals},
    {"no_reading", fault_no_reading},
    {"killed_by_open", fault_killed_by_open},
    {"killed_by_clone", fault_killed_by_clone},
    {"killed_by_most", fault_killed_by_most},
    {"errno_of_most", fault_errno_of_most},
    {"pid_1", fault_pid1},
    {"launcher_killed", fault_launcher_killed},
};

static void (*fail)(void);

static void resource_choose(const char *name)
{
    for (unsigned i = 0; i < sizeof resources / sizeof *resources; i++)
        if (strcmp(resources[i].name, name) == 0)
            fail = resources[i].fail;
    errno = EINVAL;
    require(fail != NULL, name);
}

/* Overwrites what returned functions left, which could still hold the block. */
__attribute__((noinline)) static void wipe(void)
{
    volatile char area[1 << 14];
    for (unsigned i = 0; i < sizeof area; i++)
        area[i] = 0;
}

__attribute__((noinline)) static void leak(void)
{
    void *volatile block = malloc(LEAKED_BYTES);
    if (block != NULL)
        memset(block, 'x', LEAKED_BYTES);
    block = NULL;
    (void)block;
}

static int end_return(void)
{
    return OWN_STATUS;
}

static int end_exit(void)
{
    exit(OWN_STATUS);
}

static int end_exit_now(void)
{
    _exit(OWN_STATUS);
}

static int end_term(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    raise(SIGTERM);
    return OWN_STATUS;
}

static int end_kill(void)
{
    kill(getpid(), SIGKILL);
    return OWN_STATUS;
}

static int end_abort(void)
{
    prctl(PR_SET_DUMPABLE, 0); /* no core file */
    abort();
}

static int end_exec(void)
{
    execl("/bin/sh", "sh", "-c", "exit 5", (char *)NULL);
    return OWN_STATUS;
}

static int end_thread(void)
{
    pthread_exit(NULL); /* the last thread: exit(0) */
}

static const struct {
    const char *name;
    int (*end)(void);
} endings[] = {
    {"return", end_return}, {"exit", end_exit},     {"_exit", end_exit_now},
    {"term", end_term},     {"kill", end_kill},     {"abort", end_abort},
    {"become", end_exec},   {"daemon", end_return}, {"last_thread", end_thread},
};

static int (*ending_find(const char *name))(void)
{
    for (unsigned i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strcmp(endings[i].name, name) == 0)
            return endings[i].end;
    errno = EINVAL;
    require(false, name);
    return NULL;
}

/* Who has become another user may not be able to read a build. */
static void program_become(char **words)
{
    for (; strchr(*words, '=') != NULL; words++)
        putenv(*words);
    const char *preload = getenv("LD_PRELOAD");
    require(access(words[0], X_OK) == 0 && (preload == NULL || access(preload, R_OK) == 0),
            words[0]);
    execv(words[0], words);
    require(false, words[0]);
}

static int child_wait(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    fprintf(stderr, "child: %d\n",
            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return OWN_STATUS;
}

int main(int argc, char **argv)
{
    errno = EINVAL;
    require(argc > 3, "usage: environment RESOURCE MOMENT ENDING");
    const char *moment = argv[2], *ending = argv[3];
    resource_choose(argv[1]);
    if (strcmp(moment, "start") == 0) {
        fail();
        program_become(argv + 3);
    }
    int (*end)(void) = ending_find(ending);
    if (strcmp(moment, "exec") == 0) {
        pid_t child = fork();
        if (child != 0)
            return child_wait(child);
        fail();
        program_become((char *[]){argv[0], (char *)"none", (char *)"main", argv[3], NULL});
    }
    if (strcmp(ending, "daemon") == 0)
        require(daemon(1, 1) == 0, "daemon");
    if (strcmp(moment, "main") == 0)
        fail();
    if (strcmp(moment, "teardown") == 0)
        atexit(fail);
    leak();
    wipe();
    if (strcmp(moment, "end") == 0)
        fail();
    return end();
}
