/*
 * Makes and empties the mailbox.  See mailbox.h.
 *
 * Whoever shares the mapping may write what he likes: what is read is copied and bounded here, and
 * judged by record/reader.c like any other recording.
 */
#include "shim/launcher/mailbox.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/mailbox.h"
#include "shim/launcher/output.h"
#include "sym/store.h"

static char *mailbox_path(const char *directory)
{
    char *path;
    if (asprintf(&path, "%s/" CRN_MAILBOX_NAME, directory) < 0)
        crn_out_of_memory();
    return path;
}

int crn_mailbox_make(const char *directory)
{
    char *path = mailbox_path(directory);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    off_t bytes = CRN_MAILBOX_BYTES; /* less, where files may not become as large (RLIMIT_FSIZE) */
    while (fd >= 0 && bytes > CRN_MAILBOX_HEAD_BYTES && ftruncate(fd, bytes) != 0)
        bytes /= 2;
    /* Both sides store to the head: where the disk is full, that would be a SIGBUS. */
    if (fd >= 0 && posix_fallocate(fd, 0, CRN_MAILBOX_HEAD_BYTES) != 0) {
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

static void letter_take(const char *directory, int mailbox, uint32_t pid, uint64_t offset,
                        uint64_t bytes)
{
    enum { IMAGES_MAX = 64 };
    char *path = NULL;
    int fd = -1;
    for (unsigned image = 0; image < IMAGES_MAX && fd < 0; image++) {
        free(path);
        if (asprintf(&path, "%s/%u.%u.crn", directory, pid, image) < 0)
            crn_out_of_memory();
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (fd < 0 || !bytes_copy(mailbox, offset, bytes, fd))
        crn_say("a recording of process %u could not be copied out of the mailbox", pid);
    if (fd >= 0)
        close(fd);
    free(path);
}

void crn_mailbox_empty(int fd, const char *directory)
{
    struct stat status;
    if (fd < 0)
        return;
    if (fstat(fd, &status) != 0 || status.st_size < CRN_MAILBOX_HEAD_BYTES)
        status.st_size = 0;
    struct crn_mailbox *box = status.st_size == 0 ? MAP_FAILED
                                                  : mmap(NULL, CRN_MAILBOX_HEAD_BYTES,
                                                         PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (box != MAP_FAILED) {
        box->is_closed = 1;
        uint32_t count = box->letter_count;
        for (uint32_t i = 0; i < count && i < CRN_LETTERS_MAX; i++) {
            struct crn_letter *letter = &box->letters[i];
            uint32_t state = letter->state;
            while (state < CRN_LETTER_DONE &&
                   !atomic_compare_exchange_weak(&letter->state, &state, CRN_LETTER_REFUSED))
                ;
            uint64_t offset = letter->offset, bytes = letter->bytes;
            if (state == CRN_LETTER_DONE && offset < (uint64_t)status.st_size &&
                bytes <= (uint64_t)status.st_size - offset)
                letter_take(directory, fd, letter->pid, offset, bytes);
        }
        munmap(box, CRN_MAILBOX_HEAD_BYTES);
    }
    close(fd);
}
