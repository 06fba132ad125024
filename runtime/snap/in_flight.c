/*
 * Pointers in flight: what waits in pipes and sockets that this process itself can read from.
 *
 * A pipe's contents are copied to a pipe of ours by tee(2), a socket's are peeked at.  Packets are
 * peeked at one after the other by SO_PEEK_OFF (socket(7)), which is put back as it was.  A socket
 * of another kind than Unix matters only when it is connected to this very machine.
 */
#include "snap/kernel.h"
#include "snap/borrow.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { MOST_BYTES = 16 << 20 };

static void bytes_add(struct crn_snap_builder *builder, const char *bytes, long count,
                      uint32_t name)
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

/* Room for `bytes`: the one there is, or more of it. */
static char *room_for(struct crn_snap_builder *builder, char *text, long bytes)
{
    return bytes <= CRN_KERNEL_TEXT_BYTES ? text
           : bytes > MOST_BYTES           ? NULL
                                : crn_arena_alloc(&builder->snap->arena, (size_t)bytes);
}

static void pipe_look(struct crn_snap_builder *builder, int fd, int number, char *text)
{
    int ends[2], waiting = 0;
    long count = 0;
    /* What only others can read does not come back; whoever can read it has a reading end. */
    long flags = crn_syscall3(SYS_fcntl, fd, F_GETFL, 0);
    if (flags >= 0 && (flags & O_ACCMODE) == O_WRONLY)
        return;
    if (flags == -EPERM || crn_syscall3(SYS_ioctl, fd, FIONREAD, &waiting) == -EPERM)
        crn_build_unknown_holder(builder, "what waits in a pipe"); /* a sandbox forbids to ask */
    if (waiting <= 0)
        return;
    char *room = room_for(builder, text, waiting);
    if (room != NULL && crn_syscall2(SYS_pipe2, ends, O_CLOEXEC | O_NONBLOCK) == 0) {
        long bytes = crn_syscall3(SYS_fcntl, fd, F_GETPIPE_SZ, 0);
        crn_syscall3(SYS_fcntl, ends[1], F_SETPIPE_SZ, bytes);
        crn_syscall4(SYS_tee, fd, ends[1], MOST_BYTES, SPLICE_F_NONBLOCK);
        crn_syscall1(SYS_close, ends[1]);
        count = crn_sys_read_all(ends[0], room, (size_t)waiting);
        crn_syscall1(SYS_close, ends[0]);
    }
    bytes_add(builder, room, count, crn_build_name(builder, "pipe fd %d", number));
    if (count < waiting)
        crn_build_unknown_holder(builder, "what waits in a pipe");
}

static bool is_loopback(const struct sockaddr_storage *peer)
{
    const struct sockaddr_in *four = (const void *)peer;
    const struct sockaddr_in6 *six = (const void *)peer;
    const uint32_t *words = (const uint32_t *)&six->sin6_addr;
    if (peer->ss_family == AF_INET)
        return (ntohl(four->sin_addr.s_addr) >> 24) == 127;
    return peer->ss_family == AF_INET6 && words[0] == 0 && words[1] == 0 &&
           ((words[2] == 0 && words[3] == htonl(1)) ||
            (words[2] == htonl(0xffff) && ntohl(words[3]) >> 24 == 127));
}

/* Pointers only make sense to ourselves: a Unix socket, or a connection to this machine. */
static bool may_be_ours(int fd, int domain)
{
    struct sockaddr_storage peer;
    socklen_t bytes = sizeof peer;
    memset(&peer, 0, sizeof peer);
    return domain == AF_UNIX ||
           ((domain == AF_INET || domain == AF_INET6) &&
            crn_syscall3(SYS_getpeername, fd, &peer, &bytes) == 0 && is_loopback(&peer));
}

/* Whether the other end of a connection is a socket of this process, as far as it is looked for. */
static bool is_to_ourselves(int fd)
{
    enum { LOOKED_FOR = 4096 };
    struct sockaddr_storage own, peer, other;
    socklen_t own_bytes = sizeof own, peer_bytes = sizeof peer;
    if (crn_syscall3(SYS_getsockname, fd, &own, &own_bytes) != 0 ||
        crn_syscall3(SYS_getpeername, fd, &peer, &peer_bytes) != 0)
        return false;
    bool is_found = false;
    for (int number = 0; number < LOOKED_FOR && !is_found; number++) {
        socklen_t bytes = sizeof other;
        int at = crn_borrow(number);
        is_found = crn_syscall3(SYS_getsockname, at, &other, &bytes) == 0 && bytes == peer_bytes &&
                   memcmp(&other, &peer, bytes) == 0;
        bytes = sizeof other;
        is_found = is_found && crn_syscall3(SYS_getpeername, at, &other, &bytes) == 0 &&
                   bytes == own_bytes && memcmp(&other, &own, bytes) == 0;
        crn_borrow_return(at);
    }
    return is_found;
}

static long option_get(int fd, int option, int *value)
{
    socklen_t bytes = sizeof *value;
    return crn_syscall6(SYS_getsockopt, fd, SOL_SOCKET, option, value, &bytes, 0);
}

static void peek_offset_set(int fd, int offset)
{
    crn_syscall6(SYS_setsockopt, fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset, 0);
}

static long peek(int fd, char *room, long bytes)
{
    return crn_syscall6(SYS_recvfrom, fd, room, bytes, MSG_PEEK | MSG_DONTWAIT, 0, 0);
}

/* One packet after the other. */
static bool packets_add(struct crn_snap_builder *builder, int fd, char *text, uint32_t name)
{
    int offset = -1;
    long count, total = 0;
    if (option_get(fd, SO_PEEK_OFF, &offset) != 0) {
        count = peek(fd, text, CRN_KERNEL_TEXT_BYTES);
        bytes_add(builder, text, count, name);
        return count < 0; /* there may be more behind the first */
    }
    peek_offset_set(fd, 0);
    while ((count = peek(fd, text, CRN_KERNEL_TEXT_BYTES)) > 0 && total < MOST_BYTES) {
        bytes_add(builder, text, count, name);
        total += count;
    }
    peek_offset_set(fd, offset);
    return total < MOST_BYTES;
}

static void socket_look(struct crn_snap_builder *builder, int fd, int number, char *text)
{
    int domain = 0, type = 0, offset = -1, waiting = 0, unsent = 0;
    long result = option_get(fd, SO_DOMAIN, &domain);
    if (result == 0)
        result = option_get(fd, SO_TYPE, &type);
    if (result == -EPERM) /* a sandbox forbids to ask */
        crn_build_unknown_holder(builder, "what waits in a socket");
    if (result != 0 || !may_be_ours(fd, domain))
        return;
    /* What has not come through yet cannot be peeked at. */
    if (domain != AF_UNIX && crn_syscall3(SYS_ioctl, fd, TIOCOUTQ, &unsent) == 0 && unsent > 0 &&
        is_to_ourselves(fd))
        crn_build_unknown_holder(builder, "what is sent in a connection to itself");
    if (crn_syscall3(SYS_ioctl, fd, FIONREAD, &waiting) != 0 || waiting <= 0)
        return;
    uint32_t name = crn_build_name(builder, "socket fd %d", number);
    bool is_whole = false;
    option_get(fd, SO_PEEK_OFF, &offset);
    if (type != SOCK_STREAM || offset >= 0) {
        is_whole = packets_add(builder, fd, text, name);
    } else {
        char *room = room_for(builder, text, waiting);
        long count = room != NULL ? peek(fd, room, waiting) : 0;
        bytes_add(builder, room, count, name);
        /* Messages that carry descriptors are not peeked at in one go with others. */
        is_whole = count >= waiting || packets_add(builder, fd, text, name);
    }
    if (!is_whole)
        crn_build_unknown_holder(builder, "what waits in a socket");
}

/* Whoever cannot be looked at may hold anything. */
static void descriptor_look(struct crn_snap_builder *builder, int number, char *text,
                            void (*look)(struct crn_snap_builder *, int, int, char *))
{
    int fd = crn_borrow(number);
    if (fd >= 0)
        look(builder, fd, number, text);
    else
        crn_build_unknown_holder(builder, "one of its descriptors");
    crn_borrow_return(fd);
}

void crn_in_flight_pipe(struct crn_snap_builder *builder, int number, char *text)
{
    descriptor_look(builder, number, text, pipe_look);
}

void crn_in_flight_socket(struct crn_snap_builder *builder, int number, char *text)
{
    descriptor_look(builder, number, text, socket_look);
}
