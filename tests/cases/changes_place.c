/*
 * A program that becomes another user, goes into a jail, hides /proc, uses up or gives away what a
 * check needs, or closes all descriptors: its recording arrives all the same, and its children's.
 * Each word is a step; the leak comes last.
 *
 * BUILD: once
 * RUN:    for way in user "raw user" "closes user" undumpable jail; do \
 *         coroner run -f json -o r.json $CASE $way leak; echo $way: $?; mv r.json report.json; \
 *         grep -c '"class": "lost"' report.json | grep -v 1; done | grep -v ': 23$'; true
 * NEEDS:  test $(id -u) = 0 # only root can change its user and its root folder
 * EXPECT: lost       blocks=1 bytes=135 allocated_in=make_trunk
 * EXPECT: stdout-lines 0
 *
 * RUN:    for way in "closes jail user" "raw jail" namespace no_files; do \
 *         coroner run -f json -o r.json $CASE $way leak; echo $way: $?; mv r.json report.json; \
 *         grep -c '"class": "lost"' report.json | grep -v 1; done | grep -v ': 23$'; true
 * NEEDS:  test $(id -u) = 0 # only root can change its user and its root folder
 * EXPECT: lost       blocks=1 bytes=135 allocated_in=make_trunk
 * EXPECT: stdout-lines 0
 *
 * RUN:    for way in "jail no_files" "raw no_files" no_open "no_files no_open"; do \
 *         coroner run -f json -o r.json $CASE $way leak; echo $way: $?; mv r.json report.json; \
 *         grep -c '"class": "lost"' report.json | grep -v 1; done | grep -v ': 23$'; true
 * NEEDS:  test $(id -u) = 0 # only root can change its user and its root folder
 * EXPECT: lost       blocks=1 bytes=135 allocated_in=make_trunk
 * EXPECT: stdout-lines 0
 *
 * RUN:    for way in no_memory "no_memory closes jail" all_files "all_files user"; do \
 *         coroner run -f json -o r.json $CASE $way leak; echo $way: $?; mv r.json report.json; \
 *         grep -c '"class": "lost"' report.json | grep -v 1; done | grep -v ': 23$'; true
 * NEEDS:  test $(id -u) = 0 # only root can change its user and its root folder
 * EXPECT: lost       blocks=1 bytes=135 allocated_in=make_trunk
 * EXPECT: stdout-lines 0
 *
 * RUN:    for way in "thread user" "thread jail" "thread jail user" "epoll user" "epoll jail" "epoll namespace" \
 *         "hidden user" "hidden jail user" "no_admin hidden jail"; do \
 *         coroner run -f json -o r.json $CASE $way leak; echo $way: $?; mv r.json report.json; \
 *         grep -c '"class": "lost"' report.json | grep -v 1; done | grep -v ': 23$'; true
 * NEEDS:  test $(id -u) = 0 # only root can change its user and its root folder
 * EXPECT: lost       blocks=1 bytes=135 allocated_in=make_trunk confidence=proven
 * EXPECT: stdout-lines 0
 *
 * RUN:    for way in "fork user" "user fork" "jail fork" "thread jail fork"; do \
 *         coroner run -f json -o r.json $CASE $way leak; echo $way: $?; mv r.json report.json; \
 *         grep -c '"class": "lost"' report.json | grep -v 1; done | grep -v ': 23$'; true
 * NEEDS:  test $(id -u) = 0 # only root can change its user and its root folder
 * EXPECT: lost       in=child blocks=1 bytes=135 allocated_in=make_trunk
 * EXPECT: processes  2
 * EXPECT: stdout-lines 0
 *
 * RUN:    for way in "no_admin jail fork" "no_admin jail user fork"; do \
 *         coroner run -f json -o report.json $CASE $way leak; echo $?; \
 *         grep -o '"summary": null\|the memory map could not be read' report.json; done
 * NEEDS:  test $(id -u) = 0 # only root can change its user and its root folder
 * EXPECT: stdout     /^(3\nthe memory map could not be read\n"summary": null\n){2}$/
 *
 * RUN:    for way in many_maps; do \
 *         coroner run -f json -o r.json $CASE $way leak; echo $way: $?; mv r.json report.json; \
 *         grep -c '"class": "lost"' report.json | grep -v 1; done | grep -v ': 23$'; true
 * NEEDS:  test $(id -u) = 0 # only root can change its user and its root folder
 * EXPECT: lost       blocks=1 bytes=135 allocated_in=make_trunk
 * EXPECT: stdout-lines 0
 */
#include "case.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { NOBODY = 65534 };

GLOBAL char *kept;
static bool is_raw; /* by system calls, past libc's functions */
static int listener = -1;

NOINLINE static char *make_trunk(void)
{
    char *trunk = malloc(135);
    fill(trunk, 135);
    return trunk;
}

static void become_nobody(void)
{
    REQUIRE(setgroups(0, NULL) == 0);
    if (is_raw)
        REQUIRE(syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) == 0 &&
                syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) == 0);
    else
        REQUIRE(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    REQUIRE(setuid(0) != 0);
}

static void go_to_jail(void)
{
    REQUIRE(mkdir("jail", 0755) == 0 || errno == EEXIST);
    REQUIRE((is_raw ? syscall(SYS_chroot, "jail") : chroot("jail")) == 0 && chdir("/") == 0);
    REQUIRE(access("/proc", F_OK) != 0);
}

static void hide_proc(void)
{
    REQUIRE(unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    REQUIRE(mount("tmpfs", "/proc", "tmpfs", 0, NULL) == 0);
    REQUIRE(mount("tmpfs", "/dev/shm", "tmpfs", MS_RDONLY, NULL) == 0);
    REQUIRE(mount("tmpfs", "/tmp", "tmpfs", MS_RDONLY, NULL) == 0);
}

static void limit_set(int which, rlim_t value)
{
    const struct rlimit limit = {value, value};
    REQUIRE((is_raw ? syscall(SYS_prlimit64, 0, which, &limit, NULL) : setrlimit(which, &limit)) ==
            0);
}

static void close_all(void)
{
    if (close_range(3, ~0u, 0) != 0)
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
    for (int fd = 3; fd < 1024; fd++)
        REQUIRE(close(fd) == -1 && errno == EBADF);
    REQUIRE(dup2(1, 231) == 231 && dup2(1, 232) == 232); /* they are free, like all others */
    REQUIRE(write(232, "", 0) == 0 && close(231) == 0 && close(232) == 0);
}

static void forbid_open(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {sizeof code / sizeof *code, code};
    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
    REQUIRE(open("/dev/null", O_RDONLY) < 0);
}

static void take_all_files(void)
{
    limit_set(RLIMIT_NOFILE, 256);
    while (open("/dev/null", O_RDONLY) >= 0)
        ;
}

static void take_all_mappings(void)
{
    for (int i = 0; mmap(NULL, 4096, i & 1 ? PROT_READ : PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
         i++)
        ;
}

static void *wait_for_ever(void *trunk)
{
    char *volatile held = trunk;
    pause();
    return held;
}

/* A thread that waits holds a block. */
static void thread_start(void)
{
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, wait_for_ever, make_trunk()) == 0);
}

/* So does the kernel, in what it will tell of a descriptor. */
static void poll_start(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    int source = eventfd(0, EFD_CLOEXEC);
    event.data.ptr = make_trunk();
    listener = epoll_create1(EPOLL_CLOEXEC);
    REQUIRE(listener >= 0 && source >= 0 &&
            epoll_ctl(listener, EPOLL_CTL_ADD, source, &event) == 0);
}

/* Memory that the program itself may not touch holds one, too. */
static void page_hide(void)
{
    void **page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(page != MAP_FAILED);
    page[7] = make_trunk();
    REQUIRE(mprotect(page, 4096, PROT_NONE) == 0);
}

/* Root without the right to copy a mount. */
static void admin_drop(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    REQUIRE(syscall(SYS_capget, &header, data) == 0);
    data[0].effective &= ~(1u << CAP_SYS_ADMIN);
    data[0].permitted &= ~(1u << CAP_SYS_ADMIN);
    REQUIRE(syscall(SYS_capset, &header, data) == 0);
}

/* The child goes on with the steps; its parent waits for it. */
static void child_start(void)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        return;
    REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 98);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const struct {
            const char *word;
            void (*take)(void);
        } steps[] = {{"user", become_nobody},
                     {"jail", go_to_jail},
                     {"namespace", hide_proc},
                     {"closes", close_all},
                     {"no_open", forbid_open},
                     {"all_files", take_all_files},
                     {"many_maps", take_all_mappings},
                     {"thread", thread_start},
                     {"epoll", poll_start},
                     {"hidden", page_hide},
                     {"no_admin", admin_drop},
                     {"fork", child_start}};
        for (unsigned s = 0; s < sizeof steps / sizeof *steps; s++)
            if (strcmp(argv[i], steps[s].word) == 0)
                steps[s].take();
        is_raw |= strcmp(argv[i], "raw") == 0;
        if (strcmp(argv[i], "undumpable") == 0)
            REQUIRE(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
        if (strcmp(argv[i], "no_files") == 0)
            limit_set(RLIMIT_NOFILE, 0);
        if (strcmp(argv[i], "no_memory") == 0)
            limit_set(RLIMIT_AS, 1 << 20);
        if (strcmp(argv[i], "leak") == 0)
            kept = make_trunk();
    }
    kept = NULL;
    wipe();
    return 3;
}
