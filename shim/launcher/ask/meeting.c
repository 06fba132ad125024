/*
 * Where the process and we meet.  See meeting.h.
 */
#include "shim/launcher/ask/meeting.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "live/ask.h"
#include "shim/launcher/ask/inside.h"
#include "shim/launcher/output.h"

static const char *const places[] = {CRN_ASK_PLACES};

/* What to do with the rights of the process's user. */
struct rights {
    uid_t uid;
    gid_t gid;
    mode_t umask;
};

/*
 * From here on files are reached and made with the rights of that user: without root's powers over
 * files, which go with the uid, and without root's groups.
 */
static struct rights rights_take(const struct crn_meeting *meeting)
{
    gid_t none = meeting->gid;
    struct rights before = {.umask = umask(0077)};
    if (geteuid() == 0 && meeting->uid != 0)
        setgroups(1, &none);
    before.gid = (gid_t)setfsgid(meeting->gid);
    before.uid = (uid_t)setfsuid(meeting->uid);
    return before;
}

static void rights_give_back(const struct rights *before)
{
    setfsuid(before->uid);
    setfsgid(before->gid);
    umask(before->umask);
}

static bool is_own_directory(int fd, uid_t uid)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == uid &&
           status.st_nlink > 0;
}

static int directory_open(int place, const char *name)
{
    return openat(place, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Removes what may lie in the directory, and that itself. */
static void directory_remove(int place, const char *name, int directory)
{
    static const char *const files[] = {CRN_ASK_SOCKET, CRN_ASK_ANSWER, CRN_ASK_ANSWER_PART};
    for (unsigned i = 0; i < CRN_COUNT_OF(files); i++)
        unlinkat(directory, files[i], 0);
    unlinkat(place, name, AT_REMOVEDIR);
}

/* Whether a name is one of CRN_ASK_NAME. */
static bool is_meeting_name(const char *name)
{
    static const char begins[] = "coroner-";
    enum { DIGITS = 16 };
    return strncmp(name, begins, sizeof begins - 1) == 0 &&
           strspn(name + sizeof begins - 1, "0123456789abcdef") == DIGITS &&
           name[sizeof begins - 1 + DIGITS] == 0;
}

/* Removes the directories that killed ones of this user have left in a place. */
static void stale_remove(const struct crn_meeting *meeting, int place)
{
    enum { NAMES_MOST = 100000 };
    struct dirent *entry;
    int again = directory_open(place, ".");
    DIR *directory = again >= 0 ? fdopendir(again) : NULL;
    for (unsigned i = 0; directory != NULL && i < NAMES_MOST; i++) {
        if ((entry = readdir(directory)) == NULL)
            break;
        if (!is_meeting_name(entry->d_name))
            continue;
        int fd = directory_open(place, entry->d_name);
        if (fd >= 0 && is_own_directory(fd, meeting->uid) && flock(fd, LOCK_EX | LOCK_NB) == 0)
            directory_remove(place, entry->d_name, fd);
        if (fd >= 0)
            close(fd);
    }
    if (directory != NULL)
        closedir(directory);
}

/* Makes the directory in a place; it is locked, and nobody has removed it meanwhile. */
static bool directory_make(struct crn_meeting *meeting)
{
    enum { TRIES = 3 };
    for (int tries = TRIES; tries > 0; tries--) {
        if (mkdirat(meeting->place, meeting->name, 0700) != 0)
            return false;
        meeting->directory = directory_open(meeting->place, meeting->name);
        if (meeting->directory >= 0 && is_own_directory(meeting->directory, meeting->uid) &&
            flock(meeting->directory, LOCK_EX | LOCK_NB) == 0 &&
            is_own_directory(meeting->directory, meeting->uid) &&
            fchmod(meeting->directory, 0700) == 0)
            return true;
        unlinkat(meeting->place, meeting->name, AT_REMOVEDIR);
        if (meeting->directory >= 0)
            close(meeting->directory);
        meeting->directory = -1;
    }
    return false;
}

static int socket_listen(const struct sockaddr_un *address, socklen_t bytes)
{
    enum { BACKLOG = 8 };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && (bind(fd, (const void *)address, bytes) != 0 || listen(fd, BACKLOG) != 0)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* Listens in the directory.  Its path may be too long for an address, its descriptor is not. */
static bool listen_inside(struct crn_meeting *meeting)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" CRN_ASK_SOCKET,
             meeting->directory);
    meeting->listener = socket_listen(&address, sizeof address);
    return meeting->listener >= 0;
}

static bool listen_abstract(struct crn_meeting *meeting)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s", meeting->name);
    meeting->abstract = socket_listen(
        &address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length));
    return meeting->abstract >= 0;
}

static void place_leave(struct crn_meeting *meeting)
{
    if (meeting->directory >= 0) {
        directory_remove(meeting->place, meeting->name, meeting->directory);
        close(meeting->directory);
    }
    if (meeting->place >= 0)
        close(meeting->place);
    meeting->place = meeting->directory = -1;
}

/* Tries one place; answers 0 or the errno. */
static int place_try(struct crn_meeting *meeting, int root, const char *path)
{
    meeting->place = crn_inside_open(root, path, O_RDONLY | O_DIRECTORY);
    if (meeting->place < 0)
        meeting->place = crn_inside_open(root, path, O_PATH | O_DIRECTORY);
    if (meeting->place < 0)
        return errno;
    stale_remove(meeting, meeting->place);
    int error = 0;
    if (!directory_make(meeting) || !listen_inside(meeting)) {
        error = errno != 0 ? errno : EACCES;
        place_leave(meeting);
    }
    return error;
}

bool crn_meeting_make(struct crn_meeting *meeting, const struct crn_target *target)
{
    *meeting = (struct crn_meeting){.place = -1,
                                    .directory = -1,
                                    .listener = -1,
                                    .abstract = -1,
                                    .uid = target->uid,
                                    .gid = target->gid};
    if (getrandom(&meeting->cookie, sizeof meeting->cookie, 0) != sizeof meeting->cookie) {
        crn_say("the kernel gives no random numbers: %s", strerror(errno));
        return false;
    }
    snprintf(meeting->name, sizeof meeting->name, CRN_ASK_NAME, meeting->cookie);
    int root = crn_target_root(target);
    if (root < 0) {
        crn_say("cannot reach the files of %s: %s; ask as root", target->label, strerror(errno));
        return false;
    }
    int error = ENOENT;
    struct rights before = rights_take(meeting);
    for (unsigned i = 0; i < CRN_COUNT_OF(places) && error != 0; i++)
        error = place_try(meeting, root, places[i]);
    rights_give_back(&before);
    close(root);
    if (error == 0 || listen_abstract(meeting))
        return true;
    crn_say("there is no place where %s and we can meet: none of /tmp, /dev/shm, /var/tmp and /run "
            "can be written to there (%s); mount a tmpfs on one",
            target->label, strerror(error));
    return false;
}

int crn_meeting_answer(const struct crn_meeting *meeting)
{
    struct stat status;
    if (meeting->directory < 0)
        return -1;
    int fd = openat(meeting->directory, CRN_ASK_ANSWER,
                    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 &&
        (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != meeting->uid)) {
        close(fd);
        return -1;
    }
    return fd;
}

void crn_meeting_end(struct crn_meeting *meeting)
{
    struct rights before = rights_take(meeting);
    place_leave(meeting);
    rights_give_back(&before);
    if (meeting->listener >= 0)
        close(meeting->listener);
    if (meeting->abstract >= 0)
        close(meeting->abstract);
    meeting->listener = meeting->abstract = -1;
}
