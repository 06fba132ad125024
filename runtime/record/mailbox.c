/*
 * Puts recordings into the launcher's mailbox.  See mailbox.h.
 */
#include "record/mailbox.h"
#include "base/sys.h"
#include "base/vm.h"
#include "record/door.h"
#include "record/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

_Static_assert(sizeof(struct crn_mailbox) <= CRN_MAILBOX_HEAD_BYTES, "the head has room for it");

static struct crn_mailbox *mailbox;
static size_t file_bytes;
static _Atomic size_t mapped_bytes; /* from its start; addresses for all of it are claimed */

/* By its name, where that is in sight and ours; otherwise by the door. */
static int file_open(const char *session, const char *door)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/" CRN_MAILBOX_NAME, session);
    int fd = (int)crn_syscall4(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
    return fd < 0 && door != NULL ? crn_door_ask(door) : fd;
}

void crn_mailbox_open(const char *session, const char *door)
{
    struct stat status;
    int fd = file_open(session, door);
    if (fd < 0)
        return;
    if (crn_syscall2(SYS_fstat, fd, &status) == 0 && S_ISREG(status.st_mode) &&
        (uint64_t)status.st_size >= CRN_MAILBOX_HEAD_BYTES) {
        uintptr_t start = crn_vm_claim(CRN_MAILBOX_BYTES);
        long mapped = start == 0 ? -ENOMEM
                                 : crn_syscall6(SYS_mmap, start, CRN_MAILBOX_HEAD_BYTES,
                                                PROT_READ | PROT_WRITE,
                                                MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
        if (mapped == (long)start) {
            mailbox = (struct crn_mailbox *)start;
            file_bytes = (size_t)status.st_size < CRN_MAILBOX_BYTES ? (size_t)status.st_size
                                                                    : CRN_MAILBOX_BYTES;
            mapped_bytes = CRN_MAILBOX_HEAD_BYTES;
        } else if (!crn_sys_failed(mapped)) {
            crn_syscall2(SYS_munmap, mapped, CRN_MAILBOX_HEAD_BYTES);
        }
    }
    crn_syscall1(SYS_close, fd);
}

/* Sees to it that the first `bytes` of the file are mapped: where they are is ours. */
static bool mapping_reach(size_t bytes)
{
    size_t seen = mapped_bytes;
    bytes = crn_align_up(bytes, CRN_PAGE_BYTES);
    if (bytes <= seen)
        return true;
    long moved = crn_syscall4(SYS_mremap, mailbox, seen, bytes, 0);
    if (moved != (long)mailbox)
        return false;
    mapped_bytes = bytes;
    return true;
}

void crn_mailbox_prepare(void)
{
    enum { USUAL_BYTES = 4 << 20 };
    if (mailbox != NULL && USUAL_BYTES <= file_bytes)
        mapping_reach(USUAL_BYTES);
}

/* Where the disk is full, or the memory, this fails; a store would be a SIGBUS. */
static bool pages_get(char *start, size_t bytes)
{
    uintptr_t from = crn_align_down((uintptr_t)start, CRN_PAGE_BYTES);
    uintptr_t to = crn_align_up((uintptr_t)start + bytes, CRN_PAGE_BYTES);
    long result = crn_syscall3(SYS_madvise, from, to - from, MADV_POPULATE_WRITE);
    bool is_unknown = result == -EINVAL; /* before Linux 5.14 */
    if (crn_call_is_forbidden(SYS_madvise))
        return true; /* there is no way to know */
    for (uintptr_t page = from; is_unknown && page < to; page += CRN_PAGE_BYTES) {
        static const char nothing;
        if (!crn_memory_write(page, &nothing, 1))
            return false;
    }
    return result == 0 || is_unknown;
}

/* A letter that nobody else writes; NULL: all are taken, or the launcher has gone. */
static struct crn_letter *letter_begin(uint64_t offset, size_t bytes)
{
    uint32_t number = mailbox->letter_count++, is_free = CRN_LETTER_FREE;
    struct crn_letter *letter = &mailbox->letters[number];
    if (number >= CRN_LETTERS_MAX)
        return NULL;
    letter->pid = (uint32_t)crn_sys_getpid();
    letter->offset = offset;
    letter->bytes = bytes;
    return atomic_compare_exchange_strong(&letter->state, &is_free, CRN_LETTER_WRITING) ? letter
                                                                                        : NULL;
}

/* Room in the file for so much; 0: there is none. */
static uint64_t bytes_claim(size_t bytes)
{
    uint64_t seen = mailbox->used_bytes, from;
    do {
        from = seen < CRN_MAILBOX_HEAD_BYTES ? CRN_MAILBOX_HEAD_BYTES : seen;
        if (from > file_bytes || bytes > file_bytes - from)
            return 0;
    } while (!atomic_compare_exchange_weak(&mailbox->used_bytes, &seen,
                                           from + crn_align_up(bytes, CRN_PAGE_BYTES)));
    return from;
}

bool crn_mailbox_put(struct crn_draft *draft)
{
    size_t bytes;
    bool is_put = false;
    if (mailbox == NULL || mailbox->is_closed)
        return false;
    char *image = crn_draft_image(draft, &bytes);
    if (image == NULL)
        return false;
    uint64_t offset = bytes_claim(bytes);
    if (offset != 0 && mapping_reach(offset + bytes) &&
        pages_get((char *)mailbox + offset, bytes)) {
        struct crn_letter *letter = letter_begin(offset, bytes);
        uint32_t writing = CRN_LETTER_WRITING;
        memcpy((char *)mailbox + offset, image, bytes);
        is_put = letter != NULL &&
                 atomic_compare_exchange_strong(&letter->state, &writing, CRN_LETTER_DONE);
    }
    crn_vm_unmap(image, bytes);
    return is_put;
}
