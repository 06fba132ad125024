/*
 * Calls with a relative time limit, which a check may interrupt: when did they begin?
 *
 * The kernel says neither when such a call began nor what is left of its limit, so these functions
 * note the time before they go on to libc's (crn_call_note).  That of sockets lies in options of
 * theirs: as long as no socket was given one, their functions note nothing.
 *
 * They have no frame of their own when they call libc's: whoever looks at a blocked thread's stack,
 * or unwinds it to cancel the thread, sees what he always saw.
 */
#include "shim/real.h"
#include "base/sys.h"
#include "snap/resume.h"

/* Without the headers that declare the functions: their attributes and unions would be in the way.
 */
struct epoll_event;
struct iovec;
struct mmsghdr;
struct msghdr;
struct sembuf;
struct sockaddr;
struct timespec;
enum { LEVEL_SOCKET = 1, RECEIVE_LIMIT = 20, SEND_LIMIT = 21 }; /* SOL_SOCKET, SO_RCVTIMEO … */

static _Atomic bool has_limited_socket;

#define PAIR(first, second) (uintptr_t)(first), (uintptr_t)(second)

/*
 * Every function: result, name, the system call that it makes, whether this one is limited, the
 * first two arguments, parameters, arguments.
 */
#define CALLS(X)                                                                                   \
    X(int, epoll_wait, SYS_epoll_wait, timeout > 0, PAIR(fd, events),                              \
      (int fd, struct epoll_event *events, int most, int timeout), (fd, events, most, timeout))    \
    X(int, semtimedop, SYS_semtimedop, limit != NULL, PAIR(id, operations),                        \
      (int id, struct sembuf *operations, size_t count, const struct timespec *limit),             \
      (id, operations, count, limit))                                                              \
    X(long, read, SYS_read, has_limited_socket, PAIR(fd, buffer),                                  \
      (int fd, void *buffer, size_t bytes), (fd, buffer, bytes))                                   \
    X(long, __read_chk, SYS_read, has_limited_socket, PAIR(fd, buffer),                            \
      (int fd, void *buffer, size_t bytes, size_t room), (fd, buffer, bytes, room))                \
    X(long, readv, SYS_readv, has_limited_socket, PAIR(fd, parts),                                 \
      (int fd, const struct iovec *parts, int count), (fd, parts, count))                          \
    X(long, recv, SYS_recvfrom, has_limited_socket, PAIR(fd, buffer),                              \
      (int fd, void *buffer, size_t bytes, int flags), (fd, buffer, bytes, flags))                 \
    X(long, __recv_chk, SYS_recvfrom, has_limited_socket, PAIR(fd, buffer),                        \
      (int fd, void *buffer, size_t bytes, size_t room, int flags),                                \
      (fd, buffer, bytes, room, flags))                                                            \
    X(long, recvfrom, SYS_recvfrom, has_limited_socket, PAIR(fd, buffer),                          \
      (int fd, void *buffer, size_t bytes, int flags, struct sockaddr *from, unsigned *length),    \
      (fd, buffer, bytes, flags, from, length))                                                    \
    X(long, __recvfrom_chk, SYS_recvfrom, has_limited_socket, PAIR(fd, buffer),                    \
      (int fd, void *buffer, size_t bytes, size_t room, int flags, struct sockaddr *from,          \
       unsigned *length),                                                                          \
      (fd, buffer, bytes, room, flags, from, length))                                              \
    X(long, recvmsg, SYS_recvmsg, has_limited_socket, PAIR(fd, message),                           \
      (int fd, struct msghdr *message, int flags), (fd, message, flags))                           \
    X(int, recvmmsg, SYS_recvmmsg, has_limited_socket, PAIR(fd, messages),                         \
      (int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit),       \
      (fd, messages, count, flags, limit))                                                         \
    X(int, accept, SYS_accept, has_limited_socket, PAIR(fd, address),                              \
      (int fd, struct sockaddr *address, unsigned *length), (fd, address, length))                 \
    X(int, accept4, SYS_accept4, has_limited_socket, PAIR(fd, address),                            \
      (int fd, struct sockaddr *address, unsigned *length, int flags),                             \
      (fd, address, length, flags))                                                                \
    X(long, write, SYS_write, has_limited_socket, PAIR(fd, buffer),                                \
      (int fd, const void *buffer, size_t bytes), (fd, buffer, bytes))                             \
    X(long, writev, SYS_writev, has_limited_socket, PAIR(fd, parts),                               \
      (int fd, const struct iovec *parts, int count), (fd, parts, count))                          \
    X(long, send, SYS_sendto, has_limited_socket, PAIR(fd, buffer),                                \
      (int fd, const void *buffer, size_t bytes, int flags), (fd, buffer, bytes, flags))           \
    X(long, sendto, SYS_sendto, has_limited_socket, PAIR(fd, buffer),                              \
      (int fd, const void *buffer, size_t bytes, int flags, const struct sockaddr *to,             \
       unsigned length),                                                                           \
      (fd, buffer, bytes, flags, to, length))                                                      \
    X(long, sendmsg, SYS_sendmsg, has_limited_socket, PAIR(fd, message),                           \
      (int fd, const struct msghdr *message, int flags), (fd, message, flags))                     \
    X(int, sendmmsg, SYS_sendmmsg, has_limited_socket, PAIR(fd, messages),                         \
      (int fd, struct mmsghdr *messages, unsigned count, int flags), (fd, messages, count, flags)) \
    X(int, connect, SYS_connect, has_limited_socket, PAIR(fd, address),                            \
      (int fd, const struct sockaddr *address, unsigned length), (fd, address, length))

#define DEFINE(type, name, number, is_limited, first_two, parameters, arguments) \
    static type(*real_##name) parameters;                                        \
    static CRN_COLD CRN_REALIGNED type name##_noted parameters                   \
    {                                                                            \
        if (real_##name == NULL)                                                 \
            real_##name = (type(*) parameters)crn_shim_next(#name);              \
        if (is_limited)                                                          \
            crn_call_note(number, first_two);                                    \
        return real_##name arguments;                                            \
    }                                                                            \
    CRN_EXPORT type name parameters;                                             \
    CRN_EXPORT type name parameters                                              \
    {                                                                            \
        if (CRN_UNLIKELY(real_##name == NULL || (is_limited)))                   \
            return name##_noted arguments;                                       \
        return real_##name arguments;                                            \
    }
CALLS(DEFINE)

CRN_EXPORT int setsockopt(int fd, int level, int option, const void *value, unsigned bytes);
CRN_EXPORT CRN_REALIGNED int setsockopt(int fd, int level, int option, const void *value,
                                        unsigned bytes)
{
    static int (*real)(int, int, int, const void *, unsigned);
    if (real == NULL)
        real = (int (*)(int, int, int, const void *, unsigned))crn_shim_next("setsockopt");
    if (level == LEVEL_SOCKET && (option == RECEIVE_LIMIT || option == SEND_LIMIT))
        has_limited_socket = true;
    return real(fd, level, option, value, bytes);
}
