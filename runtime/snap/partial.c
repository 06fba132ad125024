/*
 * What is left of a call that was ended half way.  See partial.h.
 */
#include "snap/partial.h"
#include "base/sys.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

/* Why a count that is too small is a signal's doing. */
enum cause {
    WRITES,       /* a blocking descriptor that takes all: pipe, stream, terminal */
    SENDS_FILE,   /* a socket; a pipe takes no more than it has room for */
    WRITES_FLAGS, /* the same as WRITES, with MSG_… in the fourth argument */
    WAITS_ALL,    /* reads, with MSG_WAITALL there */
    COLLECTS,     /* recvmmsg: it waits for all messages, without a limit */
    READS_DEVICE, /* random numbers and zeros never end */
    ALWAYS,
};

/* Of calls whose rest is the same call with a later buffer and a smaller count. */
static const struct simple {
    uint16_t number;
    int8_t buffer, count; /* arguments; -1: the kernel moves on by itself */
    uint8_t cause;        /* enum cause */
    uint8_t bytes;        /* of one that is counted */
} simple[] = {
    {SYS_write, 1, 2, WRITES, 1},
    {SYS_sendto, 1, 2, WRITES_FLAGS, 1},
    {SYS_sendmmsg, 1, 2, WRITES_FLAGS, sizeof(struct mmsghdr)},
    {SYS_sendfile, -1, 3, SENDS_FILE, 1},
    {SYS_recvfrom, 1, 2, WAITS_ALL, 1},
    {SYS_recvmmsg, 1, 2, COLLECTS, sizeof(struct mmsghdr)},
    {SYS_read, 1, 2, READS_DEVICE, 1},
    {SYS_getrandom, 0, 1, ALWAYS, 1},
};

/* Major numbers: /dev/zero, /dev/urandom …; terminals; both ends of pseudo-terminals. */
enum { MEMORY_DEVICES = 1, TTY = 4, TTY_AUX = 5, PTY_FIRST = 128, PTY_LAST = 143 };

static bool is_blocking(int fd)
{
    long flags = crn_syscall2(SYS_fcntl, fd, F_GETFL);
    return flags >= 0 && (flags & O_NONBLOCK) == 0;
}

/* A socket with a limit answers a short count when that is over. */
static bool is_limited(int fd, int option)
{
    struct timeval limit = {0, 0};
    socklen_t bytes = sizeof limit;
    return crn_syscall6(SYS_getsockopt, fd, SOL_SOCKET, option, &limit, &bytes, 0) == 0 &&
           (limit.tv_sec != 0 || limit.tv_usec != 0);
}

static bool is_kind(int fd, enum cause cause)
{
    struct stat status;
    if (crn_syscall2(SYS_fstat, fd, &status) != 0)
        return false;
    unsigned device = S_ISCHR(status.st_mode) ? major(status.st_rdev) : 0;
    bool is_terminal =
        device == TTY || device == TTY_AUX || (device >= PTY_FIRST && device <= PTY_LAST);
    if (cause == READS_DEVICE)
        return device == MEMORY_DEVICES;
    return S_ISSOCK(status.st_mode) ||
           (cause != SENDS_FILE && (S_ISFIFO(status.st_mode) || is_terminal));
}

static bool is_by_signal(const struct crn_call *call, enum cause cause)
{
    int fd = (int)call->arguments[0];
    unsigned flags = (unsigned)call->arguments[3];
    bool receives = cause == WAITS_ALL || cause == COLLECTS;
    if (cause == ALWAYS || cause == READS_DEVICE)
        return cause == ALWAYS || is_kind(fd, cause);
    if ((receives || cause == WRITES_FLAGS) && (flags & MSG_DONTWAIT) != 0)
        return false;
    if (cause == WAITS_ALL && ((flags & MSG_WAITALL) == 0 || (flags & (MSG_PEEK | MSG_OOB)) != 0))
        return false;
    if (cause == COLLECTS && ((flags & MSG_WAITFORONE) != 0 || call->arguments[4] != 0))
        return false;
    return is_blocking(fd) && is_kind(fd, cause) &&
           !is_limited(fd, receives ? SO_RCVTIMEO : SO_SNDTIMEO);
}

static struct crn_partial simple_rest(const struct crn_call *call, const struct simple *row)
{
    struct crn_partial partial = {.count = 0};
    uintptr_t done = (uintptr_t)call->result;
    if (done >= call->arguments[row->count] || !is_by_signal(call, row->cause))
        return partial;
    partial.count = 1;
    partial.pieces[0].number = call->number;
    memcpy(partial.pieces[0].arguments, call->arguments, sizeof call->arguments);
    if (row->buffer >= 0)
        partial.pieces[0].arguments[row->buffer] += done * row->bytes;
    partial.pieces[0].arguments[row->count] -= done;
    partial.pieces[0].expected = partial.pieces[0].arguments[row->count];
    return partial;
}

/* A list of buffers, of writev or sendmsg; `flags` and `header` of the latter. */
struct vector {
    uintptr_t start; /* of struct iovec */
    size_t count;
    const struct msghdr *header; /* NULL: writev */
    uintptr_t flags;
};

/* The rest of a list: first of the buffer that was begun, then all after it. */
static struct crn_partial vector_rest(const struct crn_call *call, const struct vector *vector)
{
    struct crn_partial partial = {.count = 0};
    uintptr_t done = (uintptr_t)call->result, fd = call->arguments[0];
    struct iovec buffer = {NULL, 0};
    size_t at = 0;
    for (; at < vector->count; at++) {
        if (!crn_memory_read(&buffer, vector->start + at * sizeof buffer, sizeof buffer))
            return partial;
        if (done < buffer.iov_len)
            break;
        done -= buffer.iov_len;
    }
    if (at == vector->count || !is_by_signal(call, WRITES) || (vector->flags & MSG_DONTWAIT) != 0)
        return partial;
    if (done > 0) {
        uintptr_t rest = (uintptr_t)buffer.iov_base + done, bytes = buffer.iov_len - done;
        partial.pieces[partial.count++] =
            (struct crn_piece){vector->header == NULL ? SYS_write : SYS_sendto,
                               {fd, rest, bytes, vector->flags},
                               bytes};
        at++;
    }
    if (at == vector->count)
        return partial;
    uintptr_t start = vector->start + at * sizeof buffer, count = vector->count - at;
    if (vector->header == NULL) {
        partial.pieces[partial.count++] = (struct crn_piece){SYS_writev, {fd, start, count}, 0};
        return partial;
    }
    partial.has_header = true;
    partial.header = *vector->header; /* the control data went with the first byte */
    partial.header.msg_control = NULL;
    partial.header.msg_controllen = 0;
    partial.header.msg_iov = (struct iovec *)start;
    partial.header.msg_iovlen = count;
    partial.pieces[partial.count++] = (struct crn_piece){SYS_sendmsg, {fd, 0, vector->flags}, 0};
    return partial;
}

struct crn_partial crn_partial_find(const struct crn_call *call)
{
    struct msghdr header;
    for (unsigned i = 0; i < CRN_COUNT_OF(simple); i++)
        if (simple[i].number == call->number)
            return simple_rest(call, &simple[i]);
    if (call->number == SYS_writev)
        return vector_rest(call, &(struct vector){call->arguments[1], call->arguments[2], NULL, 0});
    if (call->number == SYS_sendmsg && crn_memory_read(&header, call->arguments[1], sizeof header))
        return vector_rest(call, &(struct vector){(uintptr_t)header.msg_iov, header.msg_iovlen,
                                                  &header, call->arguments[2]});
    return (struct crn_partial){.count = 0};
}
