/*
 * Makes and empties the mailbox.  See mailbox.h.
 *
 * Whoever shares the mapping may write what he likes: what is read is copied and bounded here, and
 * judged by record/reader.c like any other recording.
 */
#include "shim/launcher/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/mailbox.h"
#include "shim/launcher/output.h"
#include "shim/launcher/place.h"
#include "sym/store.h"

static char *mailbox_path(const char *directory)
{
    char *path;
    if (asprintf(&path, "%s/" CRN_MAILBOX_NAME, directory) < 0)
        crn_out_of_memory();
    return path;
}

bool crn_mailbox_size(int fd)
{
    off_t bytes = CRN_MAILBOX_BYTES; /* less, where files may not become as large (RLIMIT_FSIZE) */
    while (bytes > CRN_MAILBOX_HEAD_BYTES && ftruncate(fd, bytes) != 0)
        bytes /= 2;
    /* Both sides store to the head: where the disk is full, that would be a SIGBUS. */
    return posix_fallocate(fd, 0, CRN_MAILBOX_HEAD_BYTES) == 0;
}

int crn_mailbox_make(const char *directory)
{
    char *path = mailbox_path(directory);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0 && !crn_mailbox_size(fd)) {
        unlink(path);
        close(fd);
        fd = -1;
    }
    free(path);
    return fd;
}

int crn_mailbox_find(const char *directory)
{
    char *path = mailbox_path(directory);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    free(path);
    return fd;
}

static bool bytes_copy(int from, uint64_t offset, uint64_t bytes, int to)
{
    char buffer[64 * 1024];
    while (bytes > 0) {
        size_t wanted = bytes < sizeof buffer ? (size_t)bytes : sizeof buffer;
        ssize_t count = pread(from, buffer, wanted, (off_t)offset);
        if (count <= 0 || write(to, buffer, (size_t)count) != count)
            return false;
        offset += (uint64_t)count;
        bytes -= (uint64_t)count;
    }
    return true;
}

/* A letter to copy, as its writer described it when it was looked at. */
struct copying {
    int from;
    uint32_t pid;
    uint64_t offset, bytes;
};

/* A path in the directory that is free for a recording of this process, or NULL; from malloc. */
static char *path_find(const char *directory, uint32_t pid)
{
    enum { IMAGES_MAX = 64 };
    struct stat status;
    for (unsigned image = 0; image < IMAGES_MAX; image++) {
        char *path;
        if (asprintf(&path, "%s/%u.%u.crn", directory, pid, image) < 0)
            crn_out_of_memory();
        if (lstat(path, &status) != 0 && errno == ENOENT)
            return path;
        free(path);
    }
    return NULL;
}

static bool copy_here(const struct copying *copying, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool is_copied = fd >= 0 && bytes_copy(copying->from, copying->offset, copying->bytes, fd);
    if (fd >= 0)
        close(fd);
    if (fd >= 0 && !is_copied)
        unlink(path);
    return is_copied;
}

/* Where there is no room in the directory: a link in it takes none. */
static bool copy_elsewhere(const struct copying *copying, const char *path)
{
    struct crn_place place;
    bool is_copied = false;
    char *stem;
    if (asprintf(&stem, "coroner-%u", copying->pid) < 0)
        crn_out_of_memory();
    for (unsigned rank = 0; !is_copied && crn_place_find(&place, CRN_PLACE_HERE_FIRST, rank);
         rank++) {
        char *name, *target;
        int fd = crn_place_create(&place, stem, "crn", &name);
        if (fd >= 0) {
            if (asprintf(&target, "%s/%s", place.path, name) < 0)
                crn_out_of_memory();
            is_copied = bytes_copy(copying->from, copying->offset, copying->bytes, fd) &&
                        symlink(target, path) == 0;
            close(fd);
            if (!is_copied)
                unlink(target);
            free(target);
            free(name);
        }
        crn_place_close(&place);
    }
    free(stem);
    return is_copied;
}

/* Makes a letter a file; false: that is not possible, at least not now. */
static bool letter_copy(const struct copying *copying, const char *directory, bool is_last)
{
    char *path = path_find(directory, copying->pid);
    bool is_copied =
        path != NULL && (copy_here(copying, path) || (is_last && copy_elsewhere(copying, path)));
    free(path);
    return is_copied;
}

/* A letter that is whole and lies within the file; what its writer says is read once. */
static void letter_take(struct crn_letter *letter, int fd, uint64_t file_bytes,
                        const char *directory, struct crn_mail_rules *rules, bool is_last)
{
    const struct copying copying = {fd, letter->pid, letter->offset, letter->bytes};
    if (copying.offset >= file_bytes || copying.bytes > file_bytes - copying.offset)
        return;
    if (rules != NULL &&
        (copying.bytes > rules->bytes_left || !rules->may_take(copying.pid, rules->user))) {
        rules->refused++;
        letter->state = CRN_LETTER_TAKEN;
    } else if (letter_copy(&copying, directory, is_last)) {
        letter->state = CRN_LETTER_TAKEN;
        if (rules != NULL)
            rules->bytes_left -= copying.bytes;
    } else if (is_last && rules != NULL) {
        rules->refused++;
    } else if (is_last) {
        crn_say("a recording of process %u could not be copied out of the mailbox", copying.pid);
    }
}

void crn_mailbox_collect(int fd, const char *directory, struct crn_mail_rules *rules, bool is_last)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || status.st_size < CRN_MAILBOX_HEAD_BYTES)
        return;
    struct crn_mailbox *box =
        mmap(NULL, CRN_MAILBOX_HEAD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (box == MAP_FAILED)
        return;
    if (is_last)
        box->is_closed = 1;
    uint32_t count = box->letter_count;
    for (uint32_t i = 0; i < count && i < CRN_LETTERS_MAX; i++) {
        struct crn_letter *letter = &box->letters[i];
        uint32_t state = letter->state;
        while (is_last && state < CRN_LETTER_DONE &&
               !atomic_compare_exchange_weak(&letter->state, &state, CRN_LETTER_REFUSED))
            ;
        if (state == CRN_LETTER_DONE)
            letter_take(letter, fd, (uint64_t)status.st_size, directory, rules, is_last);
    }
    munmap(box, CRN_MAILBOX_HEAD_BYTES);
}

void crn_mailbox_empty(int fd, const char *directory)
{
    if (fd < 0)
        return;
    crn_mailbox_collect(fd, directory, NULL, true);
    close(fd);
}
