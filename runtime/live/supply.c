/*
 * Watches what a snapshot child costs.  See supply.h.
 */
#include "live/supply.h"
#include "base/held.h"
#include "base/sys.h"
#include "heap/heap.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PART_COPIED = 10, PART_LEFT = 20, LEFT_LEAST_BYTES = 32 << 20 };

static long text_read(const char *path, char *text, size_t bytes)
{
    int fd = crn_sys_open_read(path);
    long count = fd < 0 ? fd : crn_sys_read_all(fd, text, bytes - 1);
    if (fd >= 0)
        crn_syscall1(SYS_close, fd);
    text[count > 0 ? count : 0] = 0;
    return count;
}

/* A number in a file; UINT64_MAX: there is none ("max"). */
static uint64_t number_read(const char *path)
{
    char text[64];
    if (path[0] == 0 || text_read(path, text, sizeof text) <= 0 || text[0] < '0' || text[0] > '9')
        return UINT64_MAX;
    return strtoull(text, NULL, 10);
}

/* The two layouts: how a line of /proc/self/cgroup begins behind its number, and the files. */
static const struct {
    const char *label, *root, *limit, *used;
} layouts[] = {
    {"0::", "/sys/fs/cgroup", "memory.max", "memory.current"},
    {":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"},
};

static bool limit_is_there(struct crn_supply *supply, unsigned layout, const char *folder)
{
    const char *names[2] = {layouts[layout].limit, layouts[layout].used};
    for (unsigned i = 0; i < 2; i++)
        if (snprintf(supply->limit_path[i], sizeof supply->limit_path[i], "%s%s/%s",
                     layouts[layout].root, folder, names[i]) >= (int)sizeof supply->limit_path[i])
            return false;
    return number_read(supply->limit_path[0]) != UINT64_MAX;
}

/* The nearest limit above the process: its own group's, or one that its group lies in. */
void crn_supply_find(struct crn_supply *supply)
{
    char text[4096];
    *supply = (struct crn_supply){.child_pagemap = -1};
    int fd = crn_proc_open("self/cgroup");
    long count = fd < 0 ? 0 : crn_sys_read_all(fd, text, sizeof text - 1);
    crn_proc_close(fd);
    text[count > 0 ? count : 0] = 0;
    for (unsigned i = 0; i < CRN_COUNT_OF(layouts); i++) {
        char *folder = strstr(text, layouts[i].label);
        if (folder == NULL || (folder += strlen(layouts[i].label))[0] != '/')
            continue;
        folder[strcspn(folder, "\n")] = 0;
        for (char *end = folder + strlen(folder); end != NULL; end = strrchr(folder, '/')) {
            *end = 0;
            if (limit_is_there(supply, i, folder))
                return;
        }
    }
    supply->limit_path[0][0] = supply->limit_path[1][0] = 0;
}

void crn_supply_limit(const struct crn_supply *supply, uint64_t *limit_bytes, uint64_t *left_bytes)
{
    uint64_t limit = number_read(supply->limit_path[0]), used = number_read(supply->limit_path[1]);
    bool is_known = limit < (uint64_t)1 << 62 && used != UINT64_MAX; /* v1 says a huge number */
    *limit_bytes = is_known ? limit : UINT64_MAX;
    *left_bytes = !is_known ? UINT64_MAX : used < limit ? limit - used : 0;
}

static bool is_near_limit(const struct crn_supply *supply, uint64_t wanted)
{
    uint64_t limit = number_read(supply->limit_path[0]), used = number_read(supply->limit_path[1]);
    if (limit == UINT64_MAX || used == UINT64_MAX)
        return false;
    uint64_t least = limit / PART_LEFT;
    least = least < LEFT_LEAST_BYTES ? least : LEFT_LEAST_BYTES;
    return used >= limit || limit - used < least + wanted;
}

const char *crn_supply_obstacle(const struct crn_supply *supply, size_t heap_bytes)
{
    return is_near_limit(supply, heap_bytes / PART_COPIED) ? "memory is near its limit (cgroup)" : NULL;
}

/* Page faults of this process so far, all threads: each copy is one. */
static uint64_t faults_read(void)
{
    enum { FIELD_OF_MINOR_FAULTS = 8 }; /* behind the name, from the state on: proc(5) */
    char text[1024];
    text_read("/proc/self/stat", text, sizeof text);
    const char *field = strrchr(text, ')');
    for (unsigned i = 0; i < FIELD_OF_MINOR_FAULTS && field != NULL; i++)
        field = strchr(field + 1, ' ');
    return field != NULL ? strtoull(field, NULL, 10) : 0;
}

void crn_supply_watch(struct crn_supply *supply, pid_t child)
{
    char path[64];
    snprintf(path, sizeof path, "%d/pagemap", (int)child);
    supply->child_pagemap = crn_proc_open(path);
    supply->faults_before = faults_read();
}

/* Few faults: so much cannot have been copied, and nobody need look at all pages. */
const char *crn_supply_look(struct crn_supply *supply, size_t heap_bytes)
{
    uint64_t most = heap_bytes / PART_COPIED;
    most = most > LEFT_LEAST_BYTES ? most : LEFT_LEAST_BYTES;
    uint64_t faulted = (faults_read() - supply->faults_before) << CRN_PAGE_SHIFT;
    if (faulted > most + supply->copied_bytes / 2) {
        supply->copied_bytes = crn_copied_bytes(supply->child_pagemap);
        if (supply->copied_bytes > most)
            return "the program writes so much that more than a tenth of its heap was copied";
    }
    return is_near_limit(supply, 0) ? "memory is near its limit (cgroup)" : NULL;
}

void crn_supply_end(struct crn_supply *supply)
{
    if (supply->child_pagemap >= 0)
        crn_proc_close(supply->child_pagemap);
    supply->child_pagemap = -1;
}

uint64_t crn_copied_bytes(int pagemap)
{
    const uint64_t present = (uint64_t)1 << 63, exclusive = (uint64_t)1 << 56;
    uint64_t words[512], copied = 0;
    uintptr_t end = crn_heap.region.next;
    for (uintptr_t at = crn_heap.region.base; pagemap >= 0 && at < end;) {
        long count = crn_syscall4(SYS_pread64, pagemap, words, sizeof words,
                                  (at >> CRN_PAGE_SHIFT) * sizeof words[0]);
        if (count < (long)sizeof words[0])
            break;
        size_t pages = (size_t)count / sizeof words[0];
        for (size_t i = 0; i < pages; i++)
            copied += (words[i] & (present | exclusive)) == (present | exclusive);
        at += pages << CRN_PAGE_SHIFT;
    }
    return copied << CRN_PAGE_SHIFT;
}
