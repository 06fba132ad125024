#ifndef CRN_MAPS_H
#define CRN_MAPS_H
/*
 * The memory map of this process, from /proc/self/maps, by system calls only.
 */
#include "base/base.h"
#include "base/vm.h"

enum crn_map_flags {
    CRN_MAP_READ = 1,
    CRN_MAP_WRITE = 2,
    CRN_MAP_EXECUTE = 4,
    CRN_MAP_SHARED = 8,
    CRN_MAP_FILE = 16,  /* has an inode: a file, shared memory or a memfd */
};

struct crn_map_entry {
    uintptr_t start, end;
    unsigned flags;     /* enum crn_map_flags */
    uint64_t offset;    /* in the file */
    uint64_t inode;
    const char *path;   /* "", "[stack]", "/dev/shm/x", …; cut at 4 KiB */
};

/*
 * Calls `visit` for each mapping in ascending order until it answers false; `path` is good during
 * the call.  Needs 8 KiB of stack.  Answers false when the map could not be read.
 */
bool crn_maps_for_each(bool (*visit)(const struct crn_map_entry *entry, void *user), void *user);

/*
 * The mapping that holds `address` (without a path).  Needs 8 KiB of stack; on a small stack call
 * it through crn_stack_call (base/switch.h).
 */
bool crn_maps_find(uintptr_t address, struct crn_map_entry *found);

/*
 * Which pages of [start, end) have contents: calls `visit` for each run of pages that are present
 * or swapped out.  Where the kernel does not say (no /proc/self/pagemap), the whole range is one
 * run.  `only_private_copies` leaves out pages that still are the file's.
 */
void crn_pages_for_each(uintptr_t start, uintptr_t end, bool only_private_copies,
                        void (*visit)(uintptr_t start, uintptr_t end, void *user), void *user);

/* Opens and closes what crn_pages_for_each reads; it opens by itself when needed. */
void crn_pages_open(void);
void crn_pages_close(void);

#endif
