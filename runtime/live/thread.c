/*
 * Threads of ours.  See thread.h.
 *
 *     memory  | unused ..      stack | variables: copies of libc's and ours .. | descriptor |
 *             0              STACK_BYTES                                thread pointer
 *
 * The descriptor (struct pthread) is a copy, too, so that libc finds what it looks for; only the
 * two words that say where it is are its own.
 */
#include "live/thread.h"
#include "base/sys.h"
#include "base/vm.h"
#include "coro/descriptor.h"
#include "coro/thread.h"

#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

enum { STACK_BYTES = 256 * 1024, SEGMENTS_MAX = 2 };

/* Thread-local variables that we need, below the thread pointer. */
static struct {
    size_t below, bytes; /* how far below it they begin */
} segments[SEGMENTS_MAX];
static size_t below_most;

static int segment_learn(struct dl_phdr_info *info, size_t info_bytes, void *user)
{
    const uintptr_t wanted[SEGMENTS_MAX] = {(uintptr_t)&errno, (uintptr_t)&crn_self};
    uintptr_t self = (uintptr_t)pthread_self(), data = (uintptr_t)info->dlpi_tls_data;
    (void)info_bytes;
    (void)user;
    for (unsigned i = 0; i < info->dlpi_phnum && data != 0 && data < self; i++) {
        if (info->dlpi_phdr[i].p_type != PT_TLS)
            continue;
        for (unsigned which = 0; which < SEGMENTS_MAX; which++) {
            if (wanted[which] - data >= info->dlpi_phdr[i].p_memsz)
                continue;
            segments[which].below = self - data;
            segments[which].bytes = info->dlpi_phdr[i].p_memsz;
            below_most = below_most < self - data ? self - data : below_most;
        }
    }
    return 0;
}

void crn_live_thread_learn(void)
{
    dl_iterate_phdr(segment_learn, NULL);
}

static size_t variables_bytes(void)
{
    enum { LINE_BYTES = 64 }; /* as libc aligns the descriptor */
    return crn_align_up(below_most, LINE_BYTES);
}

static size_t room_bytes(void)
{
    return crn_align_up(STACK_BYTES + variables_bytes() + crn_descriptor_bytes(), CRN_PAGE_BYTES);
}

/* Answers the thread pointer of the thread to come. */
static char *variables_copy(struct crn_live_room *room)
{
    const char *from = (const char *)pthread_self();
    char *pointer = room->memory + STACK_BYTES + variables_bytes();
    for (unsigned i = 0; i < SEGMENTS_MAX; i++)
        memcpy(pointer - segments[i].below, from - segments[i].below, segments[i].bytes);
    memcpy(pointer, from, crn_descriptor_bytes());
    uintptr_t *words = (uintptr_t *)pointer; /* itself, dtv, itself: see coro/descriptor.h */
    words[0] = words[2] = (uintptr_t)pointer;
    return pointer;
}

int crn_live_thread_begin(struct crn_live_room *room, bool has_files,
                          void (*function)(void *argument), void *argument)
{
    const unsigned long files = has_files ? CLONE_FILES : 0;
    uint32_t expected = 0;
    if (below_most == 0 || crn_call_is_forbidden(SYS_clone))
        return -EPERM;
    if (room->tid_word != 0 ||
        !atomic_compare_exchange_strong(&room->is_taken, &expected, 1))
        return -EBUSY;
    long result = -EBUSY;
    if (room->tid_word == 0) { /* it is asked again: somebody may have been faster */
        if (room->memory == NULL)
            room->memory = crn_vm_map(room_bytes());
        result = -ENOMEM;
    }
    if (result == -ENOMEM && room->memory != NULL) {
        room->tid_word = 1;
        result = crn_live_clone(
            CLONE_VM | CLONE_FS | files | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_SETTLS | CLONE_CHILD_CLEARTID | CLONE_UNTRACED,
            room->memory + STACK_BYTES, variables_copy(room), &room->tid_word, function, argument);
        if (result < 0)
            room->tid_word = 0;
    }
    room->is_taken = 0;
    return result < 0 ? (int)result : 0;
}

bool crn_live_thread_await(struct crn_live_room *room, uint64_t limit_ns)
{
    const uint64_t slice_ns = 20000000; /* the kernel wakes the shared futex, not our private one */
    uint64_t began = crn_now_ns();
    while (room->tid_word != 0) {
        if (crn_now_ns() - began > limit_ns)
            return false;
        crn_futex_wait(&room->tid_word, 1, slice_ns);
    }
    return true;
}

void crn_live_room_after_fork(struct crn_live_room *room)
{
    room->is_taken = room->tid_word = 0;
}
