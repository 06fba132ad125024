/*
 * Asks the launcher for a mailbox.  See door.h; unix(7), cmsg(3).
 */
#include "record/door.h"
#include "base/message.h"
#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>

/* What the variable says. */
struct door_words {
    char name[CRN_DOOR_NAME_BYTES + 1]; /* of the socket */
    uint32_t uid;                       /* of the launcher */
    char question[CRN_DOOR_WORD_BYTES + 1], answer[CRN_DOOR_WORD_BYTES + 1];
};

static bool words_read(const char *value, struct door_words *words)
{
    int length = 0;
    _Static_assert(CRN_DOOR_NAME_BYTES == 32 && CRN_DOOR_WORD_BYTES == 32, "as below");
    return sscanf(value, "%32[a-z0-9-]:%u:%32[0-9a-f]:%32[0-9a-f]%n", words->name, &words->uid,
                  words->question, words->answer, &length) == 4 &&
           value[length] == 0 && strlen(words->question) == CRN_DOOR_WORD_BYTES &&
           strlen(words->answer) == CRN_DOOR_WORD_BYTES;
}

/* A socket that only the launcher can send to, with a name of its own to answer to. */
static int socket_open(const char *name)
{
    enum { LIMIT_S = 1 };
    const struct timeval limit = {.tv_sec = LIMIT_S};
    const int yes = 1;
    const struct sockaddr_un own = {.sun_family = AF_UNIX}; /* the kernel chooses a name */
    struct sockaddr_un door = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    memcpy(door.sun_path + 1, name, length);
    int fd = (int)crn_syscall3(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (crn_syscall6(SYS_setsockopt, fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes, 0) == 0 &&
        crn_syscall6(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit, 0) == 0 &&
        crn_syscall6(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit, 0) == 0 &&
        crn_syscall3(SYS_bind, fd, &own, sizeof own.sun_family) == 0 &&
        crn_syscall3(SYS_connect, fd, &door, offsetof(struct sockaddr_un, sun_path) + 1 + length) ==
            0)
        return fd;
    crn_syscall1(SYS_close, fd);
    return -1;
}

/* A signal that stops the process, and lets it go on, interrupts it. */
static long message_exchange(long call, int fd, struct crn_message *message, int flags)
{
    enum { TRIES_MAX = 8 };
    long result = -EINTR;
    for (unsigned i = 0; i < TRIES_MAX && result == -EINTR; i++)
        result = crn_syscall3(call, fd, &message->header, flags);
    return result;
}

static int answer_take(int fd, const struct door_words *words)
{
    char text[CRN_DOOR_WORD_BYTES + 1];
    struct crn_message message;
    struct crn_message_extras extras;
    crn_message_init(&message, text, sizeof text);
    message.header.msg_controllen = sizeof message.room;
    if (message_exchange(SYS_recvmsg, fd, &message, MSG_CMSG_CLOEXEC) != CRN_DOOR_WORD_BYTES)
        return -1;
    crn_message_extras_take(&message, &extras);
    bool is_launchers = extras.has_uid && extras.uid == words->uid &&
                        memcmp(text, words->answer, CRN_DOOR_WORD_BYTES) == 0;
    if (is_launchers || extras.fd < 0)
        return extras.fd;
    crn_syscall1(SYS_close, extras.fd);
    return -1;
}

int crn_door_ask(const char *value)
{
    struct door_words words;
    struct crn_message message;
    int mailbox = -1, fd = words_read(value, &words) ? socket_open(words.name) : -1;
    if (fd < 0)
        return -1;
    crn_message_init(&message, words.question, CRN_DOOR_WORD_BYTES);
    if (message_exchange(SYS_sendmsg, fd, &message, MSG_NOSIGNAL) == CRN_DOOR_WORD_BYTES)
        mailbox = answer_take(fd, &words);
    crn_syscall1(SYS_close, fd);
    return mailbox;
}
