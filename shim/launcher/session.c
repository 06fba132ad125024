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
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/session.h"
#include "shim/launcher/mailbox.h"
#include "shim/launcher/output.h"
#include "sym/store.h"

/* Makes a directory below `parent`, which must be an absolute path. */
static char *directory_make(const char *parent)
{
    char *directory;
    if (asprintf(&directory, "%s/coroner-XXXXXX", parent) < 0)
        crn_out_of_memory();
    if (mkdtemp(directory) != NULL)
        return directory;
    free(directory);
    return NULL;
}

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

/* They take no room until somebody writes to them.  Without them little is lost. */
static void spares_make(const char *directory)
{
    for (unsigned n = 0; n < CRN_SESSION_SPARES; n++) {
        char *path;
        if (asprintf(&path, "%s/" CRN_SESSION_SPARE, directory, n) < 0)
            crn_out_of_memory();
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0 && ftruncate(fd, CRN_SESSION_SPARE_BYTES) != 0)
            unlink(path);
        if (fd >= 0)
            close(fd);
        free(path);
    }
}

bool crn_session_open(struct crn_session *session)
{
    /* Memory before a disk, where making a file can take longer than the program's check. */
    const char *parents[] = {getenv("TMPDIR"), memory_place(), "/tmp"};
    session->directory = NULL;
    for (unsigned i = 0; i < CRN_COUNT_OF(parents) && session->directory == NULL; i++)
        if (parents[i] != NULL && *parents[i] == '/')
            session->directory = directory_make(parents[i]);
    if (session->directory == NULL)
        crn_say("cannot make a directory in TMPDIR or /tmp: %s; set TMPDIR to one that is writable",
                strerror(errno));
    else {
        spares_make(session->directory);
        crn_mailbox_make(session->directory);
    }
    return session->directory != NULL;
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

void crn_session_close(struct crn_session *session, struct crn_session_files *files)
{
    char *closed;
    struct dirent *entry;
    memset(files, 0, sizeof *files);
    if (asprintf(&closed, "%s.closed", session->directory) < 0)
        crn_out_of_memory();
    if (rename(session->directory, closed) == 0) {
        free(session->directory);
        session->directory = closed;
    } else {
        free(closed); /* the worst of it: a late recording is not seen */
    }
    crn_mailbox_empty(session->directory);
    DIR *directory = opendir(session->directory);
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        struct crn_session_file file;
        if (!name_read(entry->d_name, &file))
            continue;
        if (asprintf(&file.path, "%s/%s", session->directory, entry->d_name) < 0)
            crn_out_of_memory();
        files->rows = crn_grow(files->rows, files->count, &files->room, sizeof *files->rows);
        files->rows[files->count++] = file;
    }
    if (directory != NULL)
        closedir(directory);
    if (files->count > 1)
        qsort(files->rows, files->count, sizeof *files->rows, file_compare);
}

static void directory_remove(const char *path)
{
    struct dirent *entry;
    DIR *directory = opendir(path);
    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory != NULL)
        closedir(directory);
    rmdir(path);
}

void crn_session_remove(struct crn_session *session, struct crn_session_files *files,
                        bool keeps_files)
{
    if (!keeps_files && session->directory != NULL)
        directory_remove(session->directory);
    for (size_t i = 0; i < files->count; i++)
        free(files->rows[i].path);
    free(files->rows);
    free(session->directory);
    memset(files, 0, sizeof *files);
    session->directory = NULL;
}
