/*
 * Collapses huge pages.  See collapse.h.
 */
#include "live/collapse.h"
#include "base/pages.h"
#include "base/sys.h"
#include "check/check.h"
#include "heap/heap.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum { ROOM_BYTES = 1 << 20 };
static const size_t HUGE_BYTES = (size_t)2 << 20, SLICE_BYTES = (size_t)8 << 20;

static void run_note(uintptr_t start, uintptr_t end, unsigned flags, void *user)
{
    struct crn_huge_ranges *ranges = user;
    if ((flags & CRN_PAGES_HUGE) != 0 && ranges->count < ranges->room)
        ranges->rows[ranges->count++] = (struct crn_range){start, end};
}

/* No other check is under way: the page map is opened once for all. */
static void huge_find(struct crn_huge_ranges *ranges)
{
    crn_pages_open();
    crn_pages_huge_runs(crn_heap.region.base, crn_heap.region.next, run_note, ranges);
    crn_pages_close();
}

void crn_huge_ranges_find(struct crn_huge_ranges *ranges)
{
    *ranges = (struct crn_huge_ranges){.rows = crn_vm_map(ROOM_BYTES)};
    ranges->room = ranges->rows != NULL ? ROOM_BYTES / sizeof *ranges->rows : 0;
    huge_find(ranges);
}

/* What is to be made of huge pages before the copy. */
struct filling {
    const struct crn_huge_ranges *huge;
    const _Atomic uint32_t *must_stop;
    size_t next; /* the first huge range that does not end before what is looked at */
    uint64_t deadline_ns;
    bool is_over;
};

static bool is_huge(struct filling *filling, uintptr_t frame)
{
    const struct crn_huge_ranges *huge = filling->huge;
    while (filling->next < huge->count && huge->rows[filling->next].end <= frame)
        filling->next++;
    return filling->next < huge->count && huge->rows[filling->next].start <= frame;
}

static void frames_fill(uintptr_t start, uintptr_t end, unsigned flags, void *user)
{
    struct filling *filling = user;
    if (flags != CRN_PAGES_PRESENT)
        return;
    for (uintptr_t at = crn_align_up(start, HUGE_BYTES); at + HUGE_BYTES <= end; at += HUGE_BYTES) {
        if (filling->is_over || is_huge(filling, at))
            continue;
        filling->is_over = crn_syscall3(SYS_madvise, at, HUGE_BYTES, MADV_COLLAPSE) == -EINVAL ||
                           *filling->must_stop != 0 || crn_now_ns() >= filling->deadline_ns;
    }
}

void crn_huge_ranges_fill(struct crn_huge_ranges *ranges, const _Atomic uint32_t *must_stop)
{
    static const size_t WORTH_IT_BYTES = (size_t)64 << 20;
    static const uint64_t LIMIT_NS = 300000000;
    struct filling filling = {ranges, must_stop, 0, crn_now_ns() + LIMIT_NS, false};
    if (crn_huge_ranges_bytes(ranges) < WORTH_IT_BYTES)
        return;
    crn_pages_open();
    crn_pages_runs(crn_heap.region.base, crn_heap.region.next, frames_fill, &filling);
    crn_pages_close();
    ranges->count = 0;
    huge_find(ranges);
}

size_t crn_huge_ranges_bytes(const struct crn_huge_ranges *ranges)
{
    size_t bytes = 0;
    for (size_t i = 0; i < ranges->count; i++)
        bytes += ranges->rows[i].end - ranges->rows[i].start;
    return bytes;
}

uint64_t crn_huge_ranges_collapse(const struct crn_huge_ranges *ranges,
                                  const _Atomic uint32_t *must_stop)
{
    enum { LEAST = 19 };
    enum { LOCK_LIMIT_MS = 1000 };
    int tid = crn_sys_gettid();
    struct crn_huge_ranges left;
    if (ranges->count == 0 || !crn_checks_begin(tid, LOCK_LIMIT_MS))
        return 0;
    crn_huge_ranges_find(&left);
    crn_checks_end();
    size_t before = crn_huge_ranges_bytes(&left), after = 0;
    crn_syscall3(SYS_setpriority, PRIO_PROCESS, tid, LEAST);
    for (size_t i = 0; i < ranges->count; i++) {
        uintptr_t at = crn_align_up(ranges->rows[i].start, HUGE_BYTES), end = ranges->rows[i].end;
        for (size_t bytes; at + HUGE_BYTES <= end && *must_stop == 0; at += bytes) {
            bytes = end - at < SLICE_BYTES ? crn_align_down(end - at, HUGE_BYTES) : SLICE_BYTES;
            if (crn_syscall3(SYS_madvise, at, bytes, MADV_COLLAPSE) == -EINVAL)
                break; /* an older kernel, or it is none of ours any more */
        }
    }
    if (crn_checks_begin(tid, LOCK_LIMIT_MS)) {
        left.count = 0;
        huge_find(&left);
        after = crn_huge_ranges_bytes(&left);
        crn_checks_end();
    }
    crn_huge_ranges_free(&left);
    return after > before ? after - before : 0;
}

void crn_huge_ranges_free(struct crn_huge_ranges *ranges)
{
    if (ranges->rows != NULL)
        crn_vm_unmap(ranges->rows, ROOM_BYTES);
    *ranges = (struct crn_huge_ranges){0};
}
