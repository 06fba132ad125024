/*
 * The private directory of one `coroner run`.  See session.h.
 */
#include "shim/launcher/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/session.h"
#include "record/mailbox.h"
#include "shim/launcher/door.h"
#include "shim/launcher/mailbox.h"
#include "shim/launcher/output.h"
#include "shim/launcher/rescue.h"
#include "sym/store.h"

#define NAME_BEGINS "coroner-"
#define NAME_RANDOM "XXXXXX"
#define NAME_CLOSED ".closed"

/* Memory, and so much of it that recordings will not fill it up; containers may have little. */
static const char *memory_place(void)
{
    static const char place[] = "/dev/shm";
    const uint64_t bytes_least = (uint64_t)16 << 20;
    struct statvfs room;
    return statvfs(place, &room) == 0 && (uint64_t)room.f_bavail * room.f_frsize >= bytes_least
               ? place
               : NULL;
}

static const char *name_of(const struct crn_session *session)
{
    return strrchr(session->directory, '/') + 1;
}

static int directory_open(int parent, const char *name)
{
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool is_ours_alone(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_uid == geteuid() &&
           (status.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

/* The lock bears its name only once it is held: nobody shall find it open. */
static int lock_make(int directory)
{
    static const char fresh[] = CRN_SESSION_LOCK ".new";
    int fd = openat(directory, fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0 && (flock(fd, LOCK_EX | LOCK_NB) != 0 ||
                    renameat(directory, fresh, directory, CRN_SESSION_LOCK) != 0))
        unlinkat(directory, fresh, 0); /* without it nobody will take the session for a dead one */
    return fd;
}

/* Makes a session's directory below `parent`, which must be an absolute path. */
static bool session_make(struct crn_session *session, const char *parent)
{
    *session = (struct crn_session){.parent = -1, .fd = -1, .lock = -1, .mailbox = -1};
    if (asprintf(&session->directory, "%s/" NAME_BEGINS NAME_RANDOM, parent) < 0)
        crn_out_of_memory();
    session->parent = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (session->parent >= 0 && mkdtemp(session->directory) != NULL) {
        session->fd = directory_open(session->parent, name_of(session));
        if (session->fd >= 0 && is_ours_alone(session->fd)) {
            session->lock = lock_make(session->fd);
            session->mailbox = crn_mailbox_make(session->directory);
            session->door = crn_door_open(session->directory, session->fd);
            return true;
        }
    }
    int error = errno;
    struct crn_session_files none = {0};
    crn_session_remove(session, &none, true);
    errno = error;
    return false;
}

bool crn_session_open(struct crn_session *session)
{
    /* Memory before a disk, where making a file can take longer than the program's check. */
    const char *parents[] = {getenv("TMPDIR"), memory_place(), "/tmp"};
    for (unsigned i = 0; i < CRN_COUNT_OF(parents); i++)
        if (parents[i] != NULL && *parents[i] == '/' && session_make(session, parents[i]))
            return true;
    crn_say("cannot make a directory in TMPDIR or /tmp: %s; set TMPDIR to one that is writable",
            strerror(errno));
    return false;
}

static int file_compare(const void *a, const void *b)
{
    const struct crn_session_file *left = a, *right = b;
    if (left->pid != right->pid)
        return left->pid < right->pid ? -1 : 1;
    return (left->image > right->image) - (left->image < right->image);
}

/* Reads the "<pid>.<n>.crn" of a recording. */
static bool name_read(const char *name, struct crn_session_file *file)
{
    unsigned long long pid, image;
    int length = 0;
    if (sscanf(name, "%llu.%llu.crn%n", &pid, &image, &length) != 2 || length == 0 ||
        name[length] != 0)
        return false;
    file->pid = pid;
    file->image = image;
    return true;
}

/* Lists the recordings in a directory that is held; `path` is its path. */
static void files_list(int fd, const char *path, struct crn_session_files *files)
{
    struct dirent *entry;
    int again = directory_open(fd, "."); /* a descriptor that closedir() may close */
    DIR *directory = again >= 0 ? fdopendir(again) : NULL;
    memset(files, 0, sizeof *files);
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        struct crn_session_file file;
        struct stat status; /* whatever else has such a name could let its reader wait for ever */
        if (!name_read(entry->d_name, &file) || fstatat(fd, entry->d_name, &status, 0) != 0 ||
            !S_ISREG(status.st_mode))
            continue;
        if (asprintf(&file.path, "%s/%s", path, entry->d_name) < 0)
            crn_out_of_memory();
        files->rows = crn_grow(files->rows, files->count, &files->room, sizeof *files->rows);
        files->rows[files->count++] = file;
    }
    if (directory != NULL)
        closedir(directory);
    if (files->count > 1)
        qsort(files->rows, files->count, sizeof *files->rows, file_compare);
}

static void files_free(struct crn_session_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->rows[i].path);
    free(files->rows);
    memset(files, 0, sizeof *files);
}

/* Programs clean up in TMPDIR: what came by the mailbox needs a directory all the same. */
static void directory_renew(struct crn_session *session)
{
    struct stat status;
    if (fstat(session->fd, &status) != 0 || status.st_nlink != 0 ||
        mkdirat(session->parent, name_of(session), 0700) != 0)
        return;
    int fresh = directory_open(session->parent, name_of(session));
    if (fresh < 0)
        return;
    close(session->fd);
    session->fd = fresh;
}

void crn_session_close(struct crn_session *session, struct crn_session_files *files)
{
    char *closed;
    if (asprintf(&closed, "%s" NAME_CLOSED, session->directory) < 0)
        crn_out_of_memory();
    if (renameat(session->parent, name_of(session), session->parent, strrchr(closed, '/') + 1) ==
        0) {
        free(session->directory);
        session->directory = closed;
    } else {
        free(closed); /* the worst of it: a late recording is not seen */
    }
    directory_renew(session);
    crn_mailbox_empty(session->mailbox, session->directory);
    session->mailbox = -1;
    crn_door_close(session->door, session->directory, session->fd);
    session->door = NULL;
    files_list(session->fd, session->directory, files);
}

/* Removes the recording elsewhere that a link in the session leads to, if there is one. */
static void referred_remove(int fd, const char *name)
{
    struct crn_session_file file;
    struct stat status;
    char target[4096];
    if (!name_read(name, &file))
        return;
    ssize_t length = readlinkat(fd, name, target, sizeof target - 1);
    target[length > 0 ? length : 0] = 0;
    if (length > 4 && strcmp(target + length - 4, ".crn") == 0 && lstat(target, &status) == 0 &&
        S_ISREG(status.st_mode) && status.st_uid == geteuid())
        unlink(target);
}

/* Removes what is in a directory, and then that itself; the lock goes last. */
static bool directory_remove(int parent, const char *name, int fd)
{
    struct dirent *entry;
    int again = directory_open(fd, ".");
    DIR *directory = again >= 0 ? fdopendir(again) : NULL;
    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (strcmp(entry->d_name, CRN_SESSION_LOCK) != 0 && strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0) {
            referred_remove(fd, entry->d_name);
            unlinkat(fd, entry->d_name, 0);
        }
    if (directory != NULL)
        closedir(directory);
    unlinkat(fd, CRN_SESSION_LOCK, 0);
    return unlinkat(parent, name, AT_REMOVEDIR) == 0;
}

static void descriptors_close(const struct crn_session *session)
{
    const int fds[] = {session->mailbox, session->lock, session->fd, session->parent};
    for (unsigned i = 0; i < CRN_COUNT_OF(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

void crn_session_remove(struct crn_session *session, struct crn_session_files *files,
                        bool keeps_files)
{
    if (session->directory != NULL) {
        if (!keeps_files)
            directory_remove(session->parent, name_of(session), session->fd);
        crn_door_close(session->door, session->directory, session->fd);
        descriptors_close(session);
    }
    files_free(files);
    free(session->directory);
    *session = (struct crn_session){.parent = -1, .fd = -1, .lock = -1, .mailbox = -1};
}

/* Whether a name is one that crn_session_open() makes, be it closed. */
static bool is_session_name(const char *name)
{
    const size_t begins = sizeof NAME_BEGINS - 1, whole = begins + sizeof NAME_RANDOM - 1;
    return strncmp(name, NAME_BEGINS, begins) == 0 && strlen(name) >= whole &&
           (name[whole] == 0 || strcmp(name + whole, NAME_CLOSED) == 0);
}

/* Keeps the recordings of a dead session; answers whether none of them is left only there. */
static bool files_rescue(int fd, const char *path)
{
    struct crn_session_files files;
    bool are_kept = true;
    files_list(fd, path, &files);
    struct crn_rescued *rescued = calloc(files.count + 1, sizeof *rescued);
    if (rescued == NULL)
        crn_out_of_memory();
    for (size_t i = 0; i < files.count; i++)
        rescued[i].path = files.rows[i].path;
    if (files.count > 0)
        crn_rescue("a `coroner` before this one was killed", rescued, files.count, NULL,
                   CRN_PLACE_STATE_FIRST);
    for (size_t i = 0; i < files.count; i++)
        are_kept &= rescued[i].is_kept;
    free(rescued);
    files_free(&files);
    return are_kept;
}

/* Clears up one session, if it is ours and nobody holds its lock. */
static void session_clear(int parent, const char *parent_path, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", parent_path, name) < 0)
        crn_out_of_memory();
    int fd = directory_open(parent, name), lock = -1;
    if (fd >= 0 && is_ours_alone(fd))
        lock = openat(fd, CRN_SESSION_LOCK, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool is_dead = lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0;
    if (is_dead) {
        crn_mailbox_empty(crn_mailbox_find(path), path);
        unlinkat(fd, CRN_MAILBOX_NAME, 0); /* once is enough */
    }
    /* A recording may arrive just now: then the directory is not empty, and we look again. */
    for (int tries = 3; is_dead && tries > 0; tries--)
        if (!files_rescue(fd, path) || directory_remove(parent, name, fd))
            break;
    if (lock >= 0)
        close(lock);
    if (fd >= 0)
        close(fd);
    free(path);
}

void crn_sessions_clear(void)
{
    const char *parents[] = {getenv("TMPDIR"), "/dev/shm", "/tmp"};
    for (unsigned i = 0; i < CRN_COUNT_OF(parents); i++) {
        bool is_first = parents[i] != NULL && *parents[i] == '/';
        for (unsigned j = 0; j < i && is_first; j++)
            is_first = parents[j] == NULL || strcmp(parents[i], parents[j]) != 0;
        DIR *directory = is_first ? opendir(parents[i]) : NULL;
        struct dirent *entry;
        while (directory != NULL && (entry = readdir(directory)) != NULL)
            if (is_session_name(entry->d_name))
                session_clear(dirfd(directory), parents[i], entry->d_name);
        if (directory != NULL)
            closedir(directory);
    }
}
