/*
 * Memory that is not the heap.  See memory.h.
 *
 * Every mapping is one thing, by who owns the addresses where it starts: the heap's region, other
 * memory of ours, a thread's stack, or what the program mapped itself.  Pages of files are none of
 * these.  Coroutine stacks lie in the heap or in mappings, and count there, too.
 */
#include "check/memory.h"
#include "base/maps.h"
#include "base/sys.h"
#include "coro/coro.h"

#include <stdlib.h>
#include <string.h>

struct counting {
    struct crn_record_memory *row;
    struct crn_range own[CRN_VM_OWN_MAX];
    size_t own_count;
};

static bool is_own(const struct counting *counting, uintptr_t address)
{
    for (size_t i = 0; i < counting->own_count; i++)
        if (address >= counting->own[i].start && address < counting->own[i].end)
            return true;
    return false;
}

/* Whether a thread's own stack lies in [start, end). */
static bool is_of_thread(uintptr_t start, uintptr_t end)
{
    for (uint32_t i = 0, count = crn_threads_count(); i < count; i++) {
        const struct crn_thread *thread = crn_thread_at(i);
        if (thread->own_end > start && thread->own_end <= end)
            return true;
    }
    return false;
}

static bool mapping_count(const struct crn_map_entry *entry, void *user)
{
    struct counting *counting = user;
    struct crn_record_memory *row = counting->row;
    uint64_t resident = entry->details != NULL ? entry->details->resident_bytes : 0;
    row->resident_bytes += resident;
    if (crn_index_is_inside(&crn_heap.index, entry->start))
        row->heap_bytes += resident;
    else if (is_own(counting, entry->start))
        row->own_bytes += resident;
    else if (strcmp(entry->path, "[stack]") == 0 || is_of_thread(entry->start, entry->end))
        row->thread_stacks_bytes += resident;
    else if ((entry->flags & CRN_MAP_FILE) == 0)
        row->mappings_bytes += resident;
    return true;
}

/* From the rows of coroutines; a frame of C++20 is a block like others. */
static void stacks_count(const struct crn_draft *draft, struct crn_record_memory *row)
{
    const struct crn_draft_section *section = &draft->sections[CRN_SECTION_COROS];
    row->stacks_bytes = row->idle_stacks_bytes = 0;
    for (size_t i = 0; i < section->count; i++) {
        const struct crn_record_coro *coro = (const struct crn_record_coro *)section->rows + i;
        if (coro->count == 0 || coro->mechanism == CRN_MECHANISM_CXX20)
            continue;
        if (coro->touched_bytes == UINT64_MAX) {
            row->stacks_bytes = row->idle_stacks_bytes = UINT64_MAX;
            return;
        }
        row->stacks_bytes += coro->touched_bytes;
        if (coro->state == CRN_CORO_COMPLETED)
            row->idle_stacks_bytes += coro->touched_bytes;
    }
}

/* A line of /proc/meminfo, in bytes; UINT64_MAX: there is none. */
static uint64_t machine_bytes(const char *text, const char *label)
{
    const char *line = strstr(text, label);
    return line != NULL ? strtoull(line + strlen(label), NULL, 10) * 1024 : UINT64_MAX;
}

static void limit_find(struct crn_record_memory *row, struct crn_memory_limit limit)
{
    char text[2048];
    int fd = crn_sys_open_read("/proc/meminfo");
    long count = fd < 0 ? 0 : crn_sys_read_all(fd, text, sizeof text - 1);
    if (fd >= 0)
        crn_syscall1(SYS_close, fd);
    text[count > 0 ? count : 0] = 0;
    row->limit_bytes = machine_bytes(text, "MemTotal:");
    row->left_bytes = machine_bytes(text, "MemAvailable:");
    row->limit_kind = row->left_bytes != UINT64_MAX ? CRN_LIMIT_MACHINE : CRN_LIMIT_UNKNOWN;
    if (limit.left_bytes == UINT64_MAX || limit.left_bytes > row->left_bytes)
        return;
    row->limit_bytes = limit.limit_bytes;
    row->left_bytes = limit.left_bytes;
    row->limit_kind = CRN_LIMIT_CGROUP;
}

void crn_memory_add(struct crn_draft *draft, bool lists_all, struct crn_memory_limit limit)
{
    struct crn_record_memory row = {0};
    struct counting counting = {.row = &row};
    counting.own_count = crn_vm_own_ranges(counting.own);
    if (!crn_maps_for_each_detailed(mapping_count, &counting))
        row.resident_bytes = row.heap_bytes = row.thread_stacks_bytes = row.mappings_bytes =
            row.own_bytes = UINT64_MAX;
    row.stacks_bytes = row.idle_stacks_bytes = UINT64_MAX;
    if (lists_all)
        stacks_count(draft, &row);
    limit_find(&row, limit);
    crn_draft_rows(draft, CRN_SECTION_MEMORY, &row, 1);
}
