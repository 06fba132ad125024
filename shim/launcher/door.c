/*
 * Hands out mailboxes.  See door.h; unix(7), memfd_create(2).
 */
#include "shim/launcher/door.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "record/door.h"
#include "record/mailbox.h"
#include "shim/launcher/mailbox.h"
#include "shim/launcher/output.h"
#include "sym/store.h"

enum { BOXES_MAX = 32, AT_ONCE_MAX = 64 };
enum { MFD_NOEXEC_SEAL_ = 8 }; /* Linux 6.3 */

struct box {
    uid_t uid;
    int fd;
};

struct crn_door {
    int socket, directory_fd;
    char *directory, *value;
    char question[CRN_DOOR_WORD_BYTES + 1], answer[CRN_DOOR_WORD_BYTES + 1];
    struct box boxes[BOXES_MAX]; /* of one user the last one is handed out */
    unsigned count;
    struct crn_mail_rules rules;
    uint32_t *pids; /* of which something was taken */
    size_t pid_count, pid_room;
};

/* Fills `words` with random hexadecimal digits, NUL behind. */
static bool word_make(char *word)
{
    unsigned char bytes[CRN_DOOR_WORD_BYTES / 2];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return false;
    for (unsigned i = 0; i < sizeof bytes; i++)
        snprintf(word + 2 * (size_t)i, 3, "%02x", bytes[i]);
    return true;
}

static int socket_open(const char *name)
{
    const int yes = 1;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    memcpy(address.sun_path + 1, name, length);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) != 0 ||
                    bind(fd, (struct sockaddr *)&address,
                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Whether a letter may be taken: none that would stand before one of our own processes. */
static bool may_take(uint32_t pid, void *user)
{
    struct crn_door *door = user;
    char name[32];
    for (size_t i = 0; i < door->pid_count; i++)
        if (door->pids[i] == pid)
            return true;
    snprintf(name, sizeof name, "%u.0.crn", pid);
    if (faccessat(door->directory_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return false;
    door->pids = crn_grow(door->pids, door->pid_count, &door->pid_room, sizeof *door->pids);
    door->pids[door->pid_count++] = pid;
    return true;
}

struct crn_door *crn_door_open(const char *directory, int fd)
{
    char word[CRN_DOOR_WORD_BYTES + 1], name[CRN_DOOR_NAME_BYTES + 1];
    struct crn_door *door = calloc(1, sizeof *door);
    if (door == NULL)
        crn_out_of_memory();
    door->socket = -1;
    door->directory = strdup(directory);
    door->directory_fd = fd;
    door->rules = (struct crn_mail_rules){
        .bytes_left = CRN_MAILBOX_BYTES, .may_take = may_take, .user = door};
    if (word_make(word) && word_make(door->question) && word_make(door->answer)) {
        snprintf(name, sizeof name, "coroner-%.16s", word);
        door->socket = socket_open(name);
    }
    if (door->directory == NULL ||
        asprintf(&door->value, "%s:%u:%s:%s", name, getuid(), door->question, door->answer) < 0)
        crn_out_of_memory();
    if (door->socket >= 0)
        return door;
    crn_door_close(door, directory, fd);
    return NULL;
}

const char *crn_door_value(const struct crn_door *door)
{
    return door->value;
}

/* Whether so much has come that it is time for another one. */
static bool is_half_full(int fd)
{
    struct crn_mailbox *box = mmap(NULL, CRN_MAILBOX_HEAD_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    off_t bytes = lseek(fd, 0, SEEK_END);
    if (box == MAP_FAILED)
        return true;
    bool is_so = box->letter_count > CRN_LETTERS_MAX / 2 || box->used_bytes > (uint64_t)bytes / 2;
    munmap(box, CRN_MAILBOX_HEAD_BYTES);
    return is_so;
}

static int memory_make(void)
{
    static const char name[] = "coroner-mailbox";
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL_);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && (!crn_mailbox_size(fd) ||
                    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* The mailbox for a user's processes; -1: there is no further one. */
static int box_find(struct crn_door *door, uid_t uid)
{
    int found = -1;
    for (unsigned i = 0; i < door->count; i++)
        if (door->boxes[i].uid == uid)
            found = door->boxes[i].fd;
    if ((found >= 0 && !is_half_full(found)) || door->count == BOXES_MAX)
        return found;
    int fd = memory_make();
    if (fd < 0)
        return found;
    door->boxes[door->count++] = (struct box){uid, fd};
    return fd;
}

/* Hands a mailbox to whoever has asked; that fails where he has gone. */
static void answer_send(struct crn_door *door, const struct sockaddr_un *to, socklen_t to_bytes,
                        int box)
{
    union {
        struct cmsghdr control;
        char room[CMSG_SPACE(sizeof(int))];
    } extras = {0};
    struct iovec part = {door->answer, CRN_DOOR_WORD_BYTES};
    struct msghdr message = {.msg_name = (void *)to,
                             .msg_namelen = to_bytes,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = extras.room,
                             .msg_controllen = box >= 0 ? sizeof extras.room : 0};
    extras.control.cmsg_level = SOL_SOCKET;
    extras.control.cmsg_type = SCM_RIGHTS;
    extras.control.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&extras.control), &box, sizeof box);
    sendmsg(door->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/*
 * Takes one question; false: there is none.  There is room for the sender's uid alone, so that no
 * descriptor can come with it.
 */
static bool question_take(struct crn_door *door, bool is_open)
{
    char text[CRN_DOOR_WORD_BYTES + 1];
    struct sockaddr_un from;
    union {
        struct cmsghdr control;
        char room[CMSG_SPACE(sizeof(struct ucred))];
    } extras;
    struct iovec part = {text, sizeof text};
    struct msghdr message = {.msg_name = &from,
                             .msg_namelen = sizeof from,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = extras.room,
                             .msg_controllen = sizeof extras.room};
    ssize_t count = recvmsg(door->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (count < 0)
        return errno == EINTR;
    struct cmsghdr *control = CMSG_FIRSTHDR(&message);
    struct ucred sender;
    if (count != CRN_DOOR_WORD_BYTES || memcmp(text, door->question, CRN_DOOR_WORD_BYTES) != 0 ||
        message.msg_namelen <= sizeof from.sun_family || control == NULL ||
        control->cmsg_type != SCM_CREDENTIALS || control->cmsg_len < CMSG_LEN(sizeof sender))
        return true;
    memcpy(&sender, CMSG_DATA(control), sizeof sender);
    answer_send(door, &from, message.msg_namelen, is_open ? box_find(door, sender.uid) : -1);
    return true;
}

static void questions_take(struct crn_door *door, bool is_open)
{
    for (unsigned i = 0; i < AT_ONCE_MAX && question_take(door, is_open); i++)
        ;
}

static void boxes_collect(struct crn_door *door, bool is_last)
{
    for (unsigned i = 0; i < door->count; i++)
        crn_mailbox_collect(door->boxes[i].fd, door->directory, &door->rules, is_last);
}

void crn_door_attend(struct crn_door *door, int pidfd)
{
    enum { LOOK_MS = 1000 };
    struct pollfd watched[] = {{.fd = pidfd, .events = POLLIN}, {door->socket, POLLIN, 0}};
    while (watched[0].revents == 0) {
        int ready = poll(watched, CRN_COUNT_OF(watched), door->count > 0 ? LOOK_MS : -1);
        if (ready < 0 && errno != EINTR && errno != EAGAIN)
            return;
        if (ready < 0)
            watched[0].revents = watched[1].revents = 0;
        if (watched[1].revents != 0)
            questions_take(door, true);
        boxes_collect(door, false);
    }
}

void crn_door_close(struct crn_door *door, const char *directory, int fd)
{
    if (door == NULL)
        return;
    if (door->socket >= 0) {
        questions_take(door, false); /* nobody shall wait for an answer that does not come */
        close(door->socket);
    }
    free(door->directory);
    door->directory = (char *)directory;
    door->directory_fd = fd;
    boxes_collect(door, true);
    if (door->rules.refused > 0)
        crn_say("%u recording%s of processes of another user could not be taken",
                door->rules.refused, door->rules.refused > 1 ? "s" : "");
    for (unsigned i = 0; i < door->count; i++)
        close(door->boxes[i].fd);
    free(door->value);
    free(door->pids);
    free(door);
}
