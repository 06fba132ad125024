/*
 * The door of a session: who gets a mailbox there, and what is taken out of it.
 */
#include "record/door.h"
#include "record/mailbox.h"
#include "shim/launcher/door.h"
#include "shim/launcher/session.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORD = CRN_DOOR_WORD_BYTES };

struct words {
    char name[33], question[WORD + 1], answer[WORD + 1];
    unsigned uid;
};

static struct words words_read(const struct crn_door *door)
{
    struct words words;
    cr_assert_eq(sscanf(crn_door_value(door), "%32[a-z0-9-]:%u:%32s", words.name, &words.uid,
                        words.question),
                 3);
    memcpy(words.answer, strrchr(crn_door_value(door), ':') + 1, WORD + 1);
    words.question[WORD] = 0;
    return words;
}

static int socket_open(const struct words *words, bool has_name)
{
    struct sockaddr_un door = {.sun_family = AF_UNIX}, own = {.sun_family = AF_UNIX};
    const struct timeval limit = {.tv_usec = 100000};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memcpy(door.sun_path + 1, words->name, strlen(words->name));
    cr_assert(!has_name || bind(fd, (struct sockaddr *)&own, sizeof own.sun_family) == 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    cr_assert_eq(
        connect(fd, (struct sockaddr *)&door,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(words->name))),
        0);
    return fd;
}

/* Answers what came, with the mailbox; -1: nothing. */
static int answer_take(int fd, char text[WORD + 1])
{
    union {
        struct cmsghdr control;
        char room[CMSG_SPACE(sizeof(int))];
    } extras;
    struct iovec part = {text, WORD};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = extras.room,
                             .msg_controllen = sizeof extras.room};
    int mailbox;
    memset(text, 0, WORD + 1);
    if (recvmsg(fd, &message, 0) != WORD || message.msg_controllen == 0)
        return -1;
    memcpy(&mailbox, CMSG_DATA(&extras.control), sizeof mailbox);
    return mailbox;
}

/* The launcher's part of it: one process lives meanwhile, for a moment. */
static void serve(struct crn_door *door)
{
    pid_t child = fork();
    if (child == 0) {
        usleep(30000);
        _exit(0);
    }
    int pidfd = pidfd_open(child, 0);
    crn_door_attend(door, pidfd);
    close(pidfd);
    cr_assert_eq(waitpid(child, NULL, 0), child);
}

static int mailbox_get(struct crn_door *door)
{
    struct words words = words_read(door);
    char text[WORD + 1];
    int fd = socket_open(&words, true);
    cr_assert_eq(send(fd, words.question, WORD, 0), WORD);
    serve(door);
    int mailbox = answer_take(fd, text);
    cr_assert_str_eq(text, words.answer);
    cr_assert_geq(mailbox, 0);
    close(fd);
    return mailbox;
}

/* A letter as anybody may write it. */
static void letter_write(int fd, uint32_t pid, uint64_t offset, uint64_t bytes)
{
    struct crn_mailbox *box =
        mmap(NULL, CRN_MAILBOX_HEAD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert_neq(box, MAP_FAILED);
    struct crn_letter *letter = &box->letters[box->letter_count++];
    letter->pid = pid;
    letter->offset = offset;
    letter->bytes = bytes;
    letter->state = CRN_LETTER_DONE;
    munmap(box, CRN_MAILBOX_HEAD_BYTES);
}

static bool has_file(const struct crn_session *session, const char *name)
{
    struct stat status;
    return fstatat(session->fd, name, &status, 0) == 0;
}

static struct crn_session session;
static struct crn_session_files files;

static void session_begin(void)
{
    cr_assert(crn_session_open(&session));
    cr_assert_not_null(session.door);
}

static void session_end(void)
{
    crn_session_remove(&session, &files, false);
}

TestSuite(door, .init = session_begin, .fini = session_end);

Test(door, who_does_not_know_the_question_gets_nothing)
{
    struct words words = words_read(session.door);
    char text[WORD + 1];
    int fd = socket_open(&words, true), nameless = socket_open(&words, false);
    words.question[3] ^= 1;
    cr_assert_eq(send(fd, words.question, WORD, 0), WORD);
    cr_assert_eq(send(fd, words.question, WORD - 1, 0), WORD - 1);
    words.question[3] ^= 1;
    cr_assert_eq(send(nameless, words.question, WORD, 0), WORD);
    serve(session.door);
    cr_assert_eq(answer_take(fd, text), -1);
    cr_assert_eq(answer_take(nameless, text), -1);
    close(fd);
    close(nameless);
}

Test(door, a_mailbox_keeps_its_size)
{
    int mailbox = mailbox_get(session.door);
    cr_assert_eq(ftruncate(mailbox, CRN_MAILBOX_HEAD_BYTES), -1);
    cr_assert_eq(fcntl(mailbox, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_SEAL),
                 F_SEAL_SHRINK | F_SEAL_SEAL);
}

Test(door, what_is_in_it_arrives_while_the_program_runs)
{
    int mailbox = mailbox_get(session.door);
    letter_write(mailbox, 77, CRN_MAILBOX_HEAD_BYTES, 4096);
    serve(session.door);
    cr_assert(has_file(&session, "77.0.crn"));
    letter_write(mailbox, 77, CRN_MAILBOX_HEAD_BYTES, 4096);
    crn_session_close(&session, &files);
    cr_assert_eq(files.count, 2); /* each once */
}

Test(door, a_recording_of_our_own_is_not_hidden_by_one_of_the_same_number)
{
    int mailbox = mailbox_get(session.door);
    cr_redirect_stderr();
    close(openat(session.fd, "78.0.crn", O_WRONLY | O_CREAT, 0600));
    letter_write(mailbox, 78, CRN_MAILBOX_HEAD_BYTES, 4096);
    crn_session_close(&session, &files);
    cr_assert_eq(files.count, 1);
}

Test(door, lies_about_sizes_are_not_believed)
{
    int mailbox = mailbox_get(session.door);
    letter_write(mailbox, 79, UINT64_MAX - 10, 4096);
    letter_write(mailbox, 79, 1 << 20, UINT64_MAX);
    letter_write(mailbox, 79, CRN_MAILBOX_HEAD_BYTES, CRN_MAILBOX_BYTES);
    crn_session_close(&session, &files);
    cr_assert_eq(files.count, 0);
}

Test(door, a_full_mailbox_is_followed_by_another)
{
    int mailbox = mailbox_get(session.door);
    struct crn_mailbox *box =
        mmap(NULL, CRN_MAILBOX_HEAD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, mailbox, 0);
    struct stat before, after;
    cr_assert_eq(fstat(mailbox, &before), 0);
    int same = mailbox_get(session.door);
    cr_assert_eq(fstat(same, &after), 0);
    cr_assert_eq(before.st_ino, after.st_ino);
    box->letter_count = CRN_LETTERS_MAX;
    int next = mailbox_get(session.door);
    cr_assert_eq(fstat(next, &after), 0);
    cr_assert_neq(before.st_ino, after.st_ino);
}
