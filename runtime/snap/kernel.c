/*
 * Roots that only the kernel holds: data of epoll registrations, values of POSIX timers, and
 * pointers in flight in pipes and Unix sockets.
 *
 * The kernel prints both: /proc/self/fdinfo/N of an epoll descriptor has "tfd: … data: HEX" lines,
 * /proc/self/timers has "signal: N/HEX" (proc(5)).
 */
#include "snap/build.h"
#include "base/sys.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { TEXT_BYTES = 64 * 1024 }; /* as much as a pipe holds, unless it was made larger */

static uintptr_t hex_read(const char *text)
{
    uintptr_t value = 0;
    for (;; text++) {
        if (*text >= '0' && *text <= '9')
            value = value * 16 + (uintptr_t)(*text - '0');
        else if (*text >= 'a' && *text <= 'f')
            value = value * 16 + (uintptr_t)(*text - 'a') + 10;
        else
            return value;
    }
}

/* Adds the number behind each `label` in a file, line by line. */
static void labelled_add(struct crn_snap_builder *builder, const char *path, const char *label,
                         char separator, uint32_t name, char *text)
{
    size_t used = 0;
    long count;
    int fd = crn_sys_open_read(path);
    if (fd < 0)
        return;
    while ((count = crn_syscall3(SYS_read, fd, text + used, TEXT_BYTES - 1 - used)) > 0) {
        used += (size_t)count;
        text[used] = 0;
        char *line = text;
        for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = 0;
            const char *found = strstr(line, label);
            if (found == NULL || (found = strchr(found, separator)) == NULL)
                continue;
            found += strspn(found, ": /");
            uintptr_t word = hex_read(found);
            crn_build_root_words(builder, &word, 1, CRN_ROOT_KERNEL, name);
        }
        used -= (size_t)(line - text);
        memmove(text, line, used);
        if (used == TEXT_BYTES - 1)
            used = 0;
    }
    crn_syscall1(SYS_close, fd);
}

/* What waits in a pipe or a Unix socket, read without taking it out, at any alignment. */
static void in_flight_add(struct crn_snap_builder *builder, char *bytes, long count, uint32_t name)
{
    char *copy = count > 0 ? crn_arena_alloc(&builder->snap->arena, (size_t)count) : NULL;
    if (copy == NULL)
        return;
    memcpy(copy, bytes, (size_t)count);
    crn_build_root(builder, (struct crn_root){.start = (uintptr_t)copy,
                                              .end = (uintptr_t)copy + (uintptr_t)count,
                                              .kind = CRN_ROOT_KERNEL,
                                              .step = 1,
                                              .name = name});
}

/* tee(2) copies a pipe's contents to a pipe of ours; it needs a reading end, made by opening it. */
static void pipe_add(struct crn_snap_builder *builder, const char *path, const char *number,
                     char *text)
{
    int ends[2];
    int waiting = 0;
    int fd = (int)crn_syscall4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (crn_syscall3(SYS_ioctl, fd, FIONREAD, &waiting) == 0 && waiting > 0 &&
        crn_syscall2(SYS_pipe2, ends, O_CLOEXEC | O_NONBLOCK) == 0) {
        crn_syscall4(SYS_tee, fd, ends[1], TEXT_BYTES, SPLICE_F_NONBLOCK);
        crn_syscall1(SYS_close, ends[1]);
        in_flight_add(builder, text, crn_sys_read_all(ends[0], text, TEXT_BYTES),
                      crn_build_name(builder, "pipe fd %s", number));
        crn_syscall1(SYS_close, ends[0]);
    }
    crn_syscall1(SYS_close, fd);
}

static void socket_add(struct crn_snap_builder *builder, const char *number, char *text)
{
    int fd = atoi(number), domain = 0;
    socklen_t bytes = sizeof domain;
    /* Pointers only make sense to ourselves: a Unix socket. */
    if (crn_syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, (long)&domain, (long)&bytes, 0) !=
            0 ||
        domain != AF_UNIX)
        return;
    in_flight_add(builder, text,
                  crn_syscall6(SYS_recvfrom, fd, text, TEXT_BYTES, MSG_PEEK | MSG_DONTWAIT, 0, 0),
                  crn_build_name(builder, "socket fd %s", number));
}

struct linux_dirent {
    uint64_t inode;
    int64_t offset;
    uint16_t bytes;
    uint8_t type;
    char name[];
};

static void descriptor_add(struct crn_snap_builder *builder, const char *number, char *text)
{
    char path[64], target[64];
    __builtin_snprintf(path, sizeof path, "/proc/thread-self/fd/%s", number);
    long count = crn_syscall4(SYS_readlinkat, AT_FDCWD, path, target, sizeof target - 1);
    if (count <= 0)
        return;
    target[count] = 0;
    if (strncmp(target, "pipe:", 5) == 0)
        return pipe_add(builder, path, number, text);
    if (strncmp(target, "socket:", 7) == 0)
        return socket_add(builder, number, text);
    if (strcmp(target, "anon_inode:[eventpoll]") != 0)
        return;
    __builtin_snprintf(path, sizeof path, "/proc/thread-self/fdinfo/%s", number);
    labelled_add(builder, path, "data:", ':', crn_build_name(builder, "epoll fd %s", number), text);
}

void crn_build_kernel(struct crn_snap_builder *builder)
{
    char *text = crn_arena_alloc(&builder->snap->arena, TEXT_BYTES);
    char *entries = crn_arena_alloc(&builder->snap->arena, TEXT_BYTES);
    long bytes;
    if (text == NULL || entries == NULL)
        return;
    labelled_add(builder, "/proc/self/timers", "signal:", '/',
                 crn_build_name(builder, "POSIX timer"), text);
    int fd = (int)crn_syscall4(SYS_openat, AT_FDCWD, "/proc/thread-self/fd",
                               O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    while ((bytes = crn_syscall3(SYS_getdents64, fd, entries, TEXT_BYTES)) > 0) {
        for (long at = 0; at < bytes;) {
            const struct linux_dirent *entry = (const void *)(entries + at);
            at += entry->bytes;
            if (entry->name[0] >= '0' && entry->name[0] <= '9')
                descriptor_add(builder, entry->name, text);
        }
    }
    crn_syscall1(SYS_close, fd);
}
