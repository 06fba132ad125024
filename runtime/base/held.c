/*
 * Holds files of /proc.  See held.h; proc(5), unix(7).
 */
#include "base/held.h"
#include "base/message.h"
#include "base/sys.h"
#include "base/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/wait.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#ifndef SYS_open_tree
#define SYS_open_tree 428 /* Linux 5.2; the same number on all architectures */
#endif
enum { OPEN_TREE_CLONE_ = 1, OPEN_TREE_CLOEXEC_ = O_CLOEXEC };

enum { PATH_BYTES = 96 };
enum { FIRST_NUMBER = 231 }; /* where a program seldom looks */

/* What lies in the socket's queue, in this order; -1 stands for what could not be opened. */
enum { QUEUED_PAGEMAP, QUEUED_MEM, QUEUED_PROC, QUEUED_COUNT };

struct holding {
    int fd; /* -1: none */
    uint64_t device, inode;
};

static struct holding maps = {-1, 0, 0}, queue = {-1, 0, 0};
static unsigned queued; /* which of them lie in the queue, a bit for each */
static _Atomic bool is_any;

/* Where a sandbox keeps us from asking, it is taken to be. */
static bool is_still_there(const struct holding *holding)
{
    struct stat status;
    long result = holding->fd >= 0 ? crn_syscall2(SYS_fstat, holding->fd, &status) : -EBADF;
    return result == -EPERM ||
           (result == 0 && status.st_ino == holding->inode && status.st_dev == holding->device);
}

/* Moves a descriptor to where ours are. */
static bool hold(struct holding *holding, int fd)
{
    struct stat status;
    holding->fd = -1;
    if (fd < 0)
        return false;
    long kept = crn_syscall3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, FIRST_NUMBER);
    crn_syscall1(SYS_close, fd);
    if (kept < 0 || crn_syscall2(SYS_fstat, kept, &status) != 0)
        return false;
    *holding = (struct holding){(int)kept, status.st_dev, status.st_ino};
    return true;
}

static void let_go(struct holding *holding)
{
    if (is_still_there(holding))
        crn_syscall1(SYS_close, holding->fd);
    holding->fd = -1;
}

/* Puts the files into a socket of their own, and closes them here. */
static void queue_fill(const int files[QUEUED_COUNT])
{
    struct crn_message message;
    char byte = 0;
    int given[QUEUED_COUNT], ends[2] = {-1, -1};
    unsigned count = 0;
    queued = 0;
    for (unsigned i = 0; i < QUEUED_COUNT; i++) {
        if (files[i] < 0)
            continue;
        given[count++] = files[i];
        queued |= 1u << i;
    }
    crn_message_init(&message, &byte, 1);
    crn_message_carry(&message, given, count);
    if (count > 0 &&
        crn_syscall4(SYS_socketpair, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) == 0) {
        if (crn_syscall3(SYS_sendmsg, ends[0], &message.header, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
            queued = 0;
        crn_syscall1(SYS_close, ends[0]);
        if (!hold(&queue, ends[1]))
            queued = 0;
    } else {
        queued = 0;
    }
    for (unsigned i = 0; i < count; i++)
        crn_syscall1(SYS_close, given[i]);
}

/* A descriptor of one of the files in the queue, where they stay; -1: it is not there. */
static int queue_look(unsigned which)
{
    struct crn_message message;
    char byte;
    int files[QUEUED_COUNT];
    unsigned count = 0, at = 0;
    int found = -1;
    if ((queued >> which & 1) == 0 || !is_still_there(&queue))
        return -1;
    for (unsigned i = 0; i < QUEUED_COUNT; i++) {
        at = i == which ? count : at;
        count += queued >> i & 1;
    }
    crn_message_init(&message, &byte, 1);
    crn_message_carry(&message, NULL, count);
    if (crn_syscall3(SYS_recvmsg, queue.fd, &message.header,
                     MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1 ||
        message.control.cmsg_len < CMSG_LEN(sizeof(int)))
        return -1;
    size_t got = (message.control.cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(files, CMSG_DATA(&message.control), got * sizeof(int));
    for (unsigned i = 0; i < got; i++) {
        if (i == at && got == count)
            found = files[i];
        else
            crn_syscall1(SYS_close, files[i]);
    }
    return found;
}

static int open_below(int directory, const char *name, int flags)
{
    return (int)crn_syscall4(SYS_openat, directory, name, flags | O_RDONLY | O_CLOEXEC, 0);
}

/*
 * The names are ours, and short.  A sanitizer's strncat ends the program when it is called while
 * that sanitizer begins, and what looks for one comes here then.
 */
static void path_make(char path[PATH_BYTES], const char *name)
{
    static const char root[] = "/proc/";
    size_t length = 0;
    for (; root[length] != 0; length++)
        path[length] = root[length];
    for (; *name != 0 && length + 1 < PATH_BYTES; name++)
        path[length++] = *name;
    path[length] = 0;
}

static int open_in_sight(const char *name, int flags)
{
    char path[PATH_BYTES];
    path_make(path, name);
    return open_below(AT_FDCWD, path, flags);
}

/* What is held of the file; -1: nothing. */
static int held_find(const char *name)
{
    const char *file = strrchr(name, '/');
    file = file != NULL ? file + 1 : name;
    if (!is_any)
        return -1;
    if ((strcmp(file, "maps") == 0 || strcmp(file, "smaps") == 0) && is_still_there(&maps)) {
        crn_syscall3(SYS_lseek, maps.fd, 0, SEEK_SET);
        return maps.fd;
    }
    return strcmp(file, "pagemap") == 0 ? queue_look(QUEUED_PAGEMAP)
           : strcmp(file, "mem") == 0   ? queue_look(QUEUED_MEM)
                                        : -1;
}

static int subject; /* 0: this process itself */

void crn_subject_set(int pid)
{
    subject = pid;
}

int crn_subject_pid(void)
{
    return subject != 0 ? subject : crn_sys_getpid();
}

static int open_somewhere(const char *name, int flags)
{
    static const char own_task[] = "self/task";
    char elsewhere[PATH_BYTES];
    if (subject != 0 && strncmp(name, own_task, sizeof own_task - 1) == 0) {
        snprintf(elsewhere, sizeof elsewhere, "%d/task%s", subject, name + sizeof own_task - 1);
        name = elsewhere;
    }
    int fd = open_in_sight(name, flags);
    if (fd >= 0)
        return fd;
    int proc = queue_look(QUEUED_PROC);
    int below = proc >= 0 ? open_below(proc, name, flags) : -1;
    if (proc >= 0)
        crn_syscall1(SYS_close, proc);
    if (below < 0 && flags == 0)
        below = held_find(name);
    return below >= 0 ? below : fd;
}

/* A mount of /proc that has nothing above it: whoever gets hold of it is not out of his jail. */
static int proc_copy(void)
{
    return (int)crn_syscall3(SYS_open_tree, AT_FDCWD, "/proc",
                             OPEN_TREE_CLONE_ | OPEN_TREE_CLOEXEC_);
}

static int own_open(int proc, const char *name)
{
    return proc >= 0 ? open_below(proc, name, 0) : open_in_sight(name, 0);
}

static void queue_take(int proc)
{
    const int files[QUEUED_COUNT] = {
        [QUEUED_PAGEMAP] = own_open(proc, "self/pagemap"),
        [QUEUED_MEM] = own_open(proc, "self/mem"),
        [QUEUED_PROC] = proc,
    };
    let_go(&queue);
    queue_fill(files);
}

void crn_held_take(bool with_proc)
{
    static const unsigned own = 1u << QUEUED_PAGEMAP | 1u << QUEUED_MEM, proc = 1u << QUEUED_PROC;
    unsigned there = is_still_there(&queue) ? queued : 0;
    if (!is_still_there(&maps))
        hold(&maps, open_somewhere("self/smaps", 0));
    int copy = with_proc && (there & proc) == 0 ? proc_copy() : -1;
    if (copy >= 0 || (there & own) == 0)
        queue_take(copy >= 0 || (there & proc) == 0 ? copy : queue_look(QUEUED_PROC));
    is_any = maps.fd >= 0 || queue.fd >= 0;
}

void crn_held_after_fork(void)
{
    if (!is_any)
        return;
    int proc = queue_look(QUEUED_PROC);
    let_go(&maps);
    hold(&maps, own_open(proc, "self/smaps"));
    queue_take(proc);
    is_any = maps.fd >= 0 || queue.fd >= 0;
}

bool crn_held_is_ours(int fd)
{
    return is_any && fd >= 0 &&
           ((fd == maps.fd && is_still_there(&maps)) || (fd == queue.fd && is_still_there(&queue)));
}

int crn_held_first(unsigned from, unsigned to)
{
    int first = -1;
    const struct holding *const all[] = {&maps, &queue};
    for (unsigned i = 0; i < CRN_COUNT_OF(all) && is_any; i++) {
        int fd = all[i]->fd;
        if (fd >= 0 && (unsigned)fd >= from && (unsigned)fd <= to && is_still_there(all[i]) &&
            (first < 0 || fd < first))
            first = fd;
    }
    return first;
}

void crn_held_make_way(int fd)
{
    struct holding *holding = fd == maps.fd ? &maps : &queue;
    if (crn_held_is_ours(fd)) {
        long other = crn_syscall3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, FIRST_NUMBER);
        holding->fd = (int)(other < 0 ? -1 : other); /* the old number is about to be taken */
    }
}

int crn_proc_open(const char *name)
{
    return open_somewhere(name, 0);
}

int crn_proc_open_directory(const char *name)
{
    return open_somewhere(name, O_DIRECTORY);
}

void crn_proc_close(int fd)
{
    if (fd >= 0 && fd != maps.fd)
        crn_syscall1(SYS_close, fd);
}

long crn_proc_stat(const char *name, struct stat *status)
{
    int fd = open_somewhere(name, O_PATH);
    if (fd < 0)
        return fd;
    long result = crn_syscall2(SYS_fstat, fd, status);
    crn_syscall1(SYS_close, fd);
    return result;
}

void crn_proc_read_link(const char *name, char *target, size_t bytes)
{
    char path[PATH_BYTES];
    path_make(path, name);
    long count = crn_syscall4(SYS_readlinkat, AT_FDCWD, path, target, bytes - 1);
    int proc = count < 0 ? queue_look(QUEUED_PROC) : -1;
    if (proc >= 0) {
        count = crn_syscall4(SYS_readlinkat, proc, name, target, bytes - 1);
        crn_syscall1(SYS_close, proc);
    }
    target[count > 0 ? count : 0] = 0;
}

/* In the child.  All of it is a copy, its memory map included. */
static __attribute__((noreturn)) void apart_read(const char *name, char *text,
                                                 _Atomic size_t *bytes)
{
    enum { ANY_NUMBERS = 64 };
    for (int fd = 3; fd < ANY_NUMBERS; fd++)
        crn_syscall1(SYS_close, fd);
    int fd = crn_proc_open(name);
    long count = fd < 0 ? 0 : crn_sys_read_all(fd, text, CRN_PROC_TEXT_BYTES - CRN_PAGE_BYTES);
    *bytes = count > 0 ? (size_t)count : 0;
    for (;;)
        crn_syscall1(SYS_exit_group, 0);
}

char *crn_proc_read_apart(const char *name, size_t *bytes)
{
    const uint64_t all = ~UINT64_C(0);
    uint64_t mask_before = 0;
    static uintptr_t place; /* among our own memory: the text names it, and it will be gone */
    if (place == 0 && (place = crn_vm_claim(CRN_PROC_TEXT_BYTES)) == 0)
        return NULL;
    long start =
        crn_syscall6(SYS_mmap, place, CRN_PROC_TEXT_BYTES, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (start != (long)place)
        return NULL;
    _Atomic size_t *count = (_Atomic size_t *)start; /* the text comes behind it */
    crn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask_before, sizeof all);
    long child = crn_syscall(SYS_clone, 0, 0, 0, 0, 0, 0); /* no signal tells the program */
    if (child == 0)
        apart_read(name, (char *)start + CRN_PAGE_BYTES, count);
    while (child > 0 && crn_syscall4(SYS_wait4, child, NULL, __WALL, NULL) == -EINTR)
        ;
    crn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &mask_before, NULL, sizeof all);
    *bytes = *count;
    if (*bytes != 0)
        return (char *)start + CRN_PAGE_BYTES;
    crn_syscall2(SYS_munmap, start, CRN_PROC_TEXT_BYTES);
    return NULL;
}

void crn_proc_text_free(char *text)
{
    if (text != NULL)
        crn_syscall2(SYS_munmap, text - CRN_PAGE_BYTES, CRN_PROC_TEXT_BYTES);
}
