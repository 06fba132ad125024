/*
 * Roots that only the kernel holds: data of epoll registrations, values of POSIX timers, user data
 * of io_uring requests (uring.c), and pointers in flight in pipes and sockets (in_flight.c).
 *
 * The kernel prints the first two: /proc/self/fdinfo/N of an epoll descriptor has
 * "tfd: … data: HEX" lines, /proc/self/timers has "signal: N/HEX" (proc(5)).
 */
#include "snap/kernel.h"
#include "base/held.h"
#include "base/sys.h"
#include "snap/borrow.h"
#include "snap/take.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

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

/* The number behind a label of a line. */
struct labelled {
    struct crn_snap_builder *builder;
    const char *label;
    char separator;
    uint32_t name;
};

static void labelled_visit(const char *line, void *user)
{
    const struct labelled *labelled = user;
    const char *found = strstr(line, labelled->label);
    if (found == NULL || (found = strchr(found, labelled->separator)) == NULL)
        return;
    uintptr_t word = hex_read(found + strspn(found, ": /"));
    crn_build_root_words(labelled->builder, &word, 1, CRN_ROOT_KERNEL, labelled->name);
}

struct linux_dirent {
    uint64_t inode;
    int64_t offset;
    uint16_t bytes;
    uint8_t type;
    char name[];
};

static void epoll_add(struct crn_snap_builder *builder, const char *number, char *text)
{
    char path[64];
    struct labelled data = {builder, "data:", ':', crn_build_name(builder, "epoll fd %s", number)};
    __builtin_snprintf(path, sizeof path, "%s/fdinfo/%s", crn_borrow_folder(), number);
    if (!crn_kernel_lines(path, text, labelled_visit, &data))
        crn_build_unknown_holder(builder, "an epoll descriptor");
}

/* What of a ring more than these is missing, uring.c sees by its counts. */
static void ring_note(struct crn_snap_builder *builder, int fd)
{
    struct crn_rings *rings = &builder->rings;
    if (rings->fd_count < CRN_COUNT_OF(rings->fds))
        rings->fds[rings->fd_count++] = fd;
    else
        crn_build_unknown_holder(builder, "an io_uring request");
}

static void descriptor_add(struct crn_snap_builder *builder, int directory, const char *number,
                           char *text)
{
    char target[64];
    if (crn_held_is_ours(atoi(number)))
        return;
    long count = crn_syscall4(SYS_readlinkat, directory, number, target, sizeof target - 1);
    if (count < 0 && count != -ENOENT) /* it may be any */
        crn_build_unknown_holder(builder, "one of its descriptors");
    if (count <= 0)
        return;
    target[count] = 0;
    if (strncmp(target, "pipe:", 5) == 0)
        crn_in_flight_pipe(builder, atoi(number), text);
    else if (strncmp(target, "socket:", 7) == 0)
        crn_in_flight_socket(builder, atoi(number), text);
    else if (strcmp(target, "anon_inode:[eventpoll]") == 0)
        epoll_add(builder, number, text);
    else if (strcmp(target, "anon_inode:[io_uring]") == 0)
        ring_note(builder, atoi(number));
    else if (strcmp(target, "anon_inode:[userfaultfd]") == 0)
        builder->has_userfaultfd = true;
}

/* Without /proc nobody says how many there are.  The kernel numbers them from 0 upwards. */
static bool had_timers;

static bool has_timers(void)
{
    enum { TRIED = 256 };
    struct itimerspec left;
    if (crn_call_is_forbidden(SYS_timer_gettime))
        return had_timers || !crn_call_is_forbidden(SYS_timer_create);
    for (long id = 0; id < TRIED; id++)
        if (crn_syscall2(SYS_timer_gettime, id, &left) != -EINVAL)
            return true;
    return false;
}

void crn_snap_note_timers(void)
{
    had_timers = has_timers();
}

/*
 * The descriptors without /proc: pipes and sockets show themselves.  Anything else that is no file
 * of a directory (anon_inode: epoll, io_uring, userfaultfd) cannot be told apart.
 */
static void descriptors_try(struct crn_snap_builder *builder, char *text)
{
    enum { TRIED = 65536 };
    for (int fd = 0; fd < TRIED; fd++) {
        struct stat status;
        int borrowed = crn_borrow(fd);
        long result = borrowed < 0 ? borrowed : crn_syscall2(SYS_fstat, borrowed, &status);
        crn_borrow_return(borrowed);
        if (result != 0 && result != -EBADF) {
            crn_build_unknown_holder(builder, "one of its descriptors");
            return;
        }
        if (result != 0 || crn_held_is_ours(fd))
            continue;
        if (S_ISFIFO(status.st_mode))
            crn_in_flight_pipe(builder, fd, text);
        else if (S_ISSOCK(status.st_mode))
            crn_in_flight_socket(builder, fd, text);
        else if ((status.st_mode & S_IFMT) == 0)
            crn_build_unknown_holder(builder, "one of its descriptors");
    }
}

void crn_build_kernel(struct crn_snap_builder *builder)
{
    char *text = crn_arena_alloc(&builder->snap->arena, CRN_KERNEL_TEXT_BYTES);
    char *entries = crn_arena_alloc(&builder->snap->arena, CRN_KERNEL_TEXT_BYTES);
    struct labelled values = {builder, "signal:", '/', crn_build_name(builder, "POSIX timer")};
    long bytes = 0;
    if (text == NULL || entries == NULL)
        return;
    if (!crn_kernel_lines("self/timers", text, labelled_visit, &values) && has_timers())
        crn_build_unknown_holder(builder, "a POSIX timer");
    char folder[32];
    __builtin_snprintf(folder, sizeof folder, "%s/fd", crn_borrow_folder());
    int fd = crn_proc_open_directory(folder);
    if (fd < 0)
        descriptors_try(builder, text);
    while (fd >= 0 &&
           (bytes = crn_syscall3(SYS_getdents64, fd, entries, CRN_KERNEL_TEXT_BYTES)) > 0) {
        for (long at = 0; at < bytes;) {
            const struct linux_dirent *entry = (const void *)(entries + at);
            at += entry->bytes;
            if (entry->name[0] >= '0' && entry->name[0] <= '9')
                descriptor_add(builder, fd, entry->name, text);
        }
    }
    if (fd >= 0 && bytes < 0)
        crn_build_unknown_holder(builder, "one of its descriptors");
    crn_proc_close(fd);
}

void crn_build_rings(struct crn_snap_builder *builder)
{
    struct crn_rings *rings = &builder->rings;
    char *text = rings->fd_count != 0
                     ? crn_arena_alloc(&builder->snap->arena, CRN_KERNEL_TEXT_BYTES)
                     : NULL;
    for (unsigned i = 0; i < rings->fd_count && text != NULL; i++)
        crn_rings_descriptor(builder, rings->fds[i], text);
    crn_rings_add(builder);
}
