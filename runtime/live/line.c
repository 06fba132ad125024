/*
 * Talks to the asker.  See line.h.
 */
#include "live/line.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

enum { PATIENCE_S = 5, REQUEST_LIMIT_MS = 3000, OVERFLOW_UID = 65534 };

static const char *const places[] = {CRN_ASK_PLACES};

/* Opens the directory of this name, if only its user, who is ours, can have made what is in it. */
static int directory_open(const char *place, uint64_t cookie)
{
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "%s/" CRN_ASK_NAME, place, cookie);
    int fd = (int)crn_syscall4(SYS_openat, AT_FDCWD, path,
                               O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fd >= 0 && crn_syscall2(SYS_fstat, fd, &status) == 0 &&
        status.st_uid == (uint32_t)crn_syscall0(SYS_geteuid) &&
        (status.st_mode & (S_IRWXG | S_IRWXO)) == 0)
        return fd;
    if (fd >= 0)
        crn_syscall1(SYS_close, fd);
    return -1;
}

/*
 * The same user, or root; in a user namespace that has no number for whoever asks, the kernel shows
 * this one: then whoever could make the directory vouches for him.
 */
static bool may_ask(int fd, bool has_directory)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    if (crn_syscall6(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes, 0) != 0)
        return false;
    return peer.uid == (uint32_t)crn_syscall0(SYS_geteuid) || peer.uid == 0 ||
           (has_directory && peer.uid == OVERFLOW_UID);
}

static void patience_set(int fd)
{
    const struct timeval limit = {PATIENCE_S, 0};
    crn_syscall6(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit, 0);
    crn_syscall6(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit, 0);
}

/* Answers a connected socket or a negative errno. */
static int socket_connect(const struct sockaddr_un *address, size_t bytes, bool has_directory)
{
    int fd = (int)crn_syscall3(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    patience_set(fd);
    long result = crn_syscall3(SYS_connect, fd, address, bytes);
    if (result == 0 && !may_ask(fd, has_directory))
        result = -EACCES;
    if (result == 0)
        return fd;
    crn_syscall1(SYS_close, fd);
    return (int)result;
}

/* Where sockets are forbidden, the answer is a file. */
static bool answer_begin(struct crn_line *line, int directory)
{
    line->fd = (int)crn_syscall4(SYS_openat, directory, CRN_ASK_ANSWER_PART,
                                 O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    line->directory = directory;
    return line->fd >= 0;
}

bool crn_line_open(struct crn_line *line, uint64_t cookie)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *line = (struct crn_line){-1, -1};
    for (unsigned i = 0; i < CRN_COUNT_OF(places); i++) {
        int directory = directory_open(places[i], cookie);
        if (directory < 0)
            continue;
        snprintf(address.sun_path, sizeof address.sun_path, "%s/" CRN_ASK_NAME "/" CRN_ASK_SOCKET,
                 places[i], cookie);
        line->fd = socket_connect(&address, sizeof address, true);
        if (line->fd < 0 && answer_begin(line, directory))
            return true;
        crn_syscall1(SYS_close, directory);
        if (line->fd >= 0)
            return true;
    }
    memset(address.sun_path, 0, sizeof address.sun_path);
    int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, CRN_ASK_NAME, cookie);
    line->fd = socket_connect(&address, offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length,
                              false);
    return line->fd >= 0;
}

bool crn_line_greet(struct crn_line *line, struct crn_ask_request *request)
{
    struct pollfd wanted = {.fd = line->fd, .events = POLLIN};
    if (line->directory >= 0) { /* nobody answers in a file: as `coroner check` asks */
        *request = (struct crn_ask_request){
            .magic = CRN_ASK_MAGIC, .version = CRN_ASK_VERSION,
            .flags = CRN_ASK_LIVE | CRN_ASK_COROUTINES, .predicted_pause_ns = UINT64_MAX};
        return true;
    }
    if (!crn_line_send(line, CRN_ASK_HELLO_CONDUCTOR, NULL, 0) ||
        crn_syscall3(SYS_poll, &wanted, 1, REQUEST_LIMIT_MS) != 1)
        return false;
    return crn_sys_read_all(line->fd, request, sizeof *request) == sizeof *request &&
           request->magic == CRN_ASK_MAGIC && request->version == CRN_ASK_VERSION;
}

bool crn_line_announce(const struct crn_line *line, enum crn_ask_kind kind, uint64_t bytes)
{
    const struct crn_ask_frame frame = {.kind = kind, .bytes = bytes};
    return line->fd >= 0 && crn_sys_write_all(line->fd, &frame, sizeof frame) == 0;
}

bool crn_line_send(const struct crn_line *line, enum crn_ask_kind kind, const void *payload,
                   uint64_t bytes)
{
    return crn_line_announce(line, kind, bytes) &&
           (bytes == 0 || crn_sys_write_all(line->fd, payload, bytes) == 0);
}

void crn_line_close(struct crn_line *line, bool is_whole)
{
    if (line->fd >= 0)
        crn_syscall1(SYS_close, line->fd);
    if (line->directory >= 0) {
        if (is_whole)
            crn_syscall4(SYS_renameat, line->directory, CRN_ASK_ANSWER_PART, line->directory,
                         CRN_ASK_ANSWER);
        crn_syscall1(SYS_close, line->directory);
    }
    *line = (struct crn_line){-1, -1};
}
