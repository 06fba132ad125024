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

/* What smaps says beyond that. */
enum crn_map_detail_flags {
    CRN_MAP_SERVED_MISSING = 1, /* userfaultfd serves pages that are not there */
    CRN_MAP_SERVED_MINOR = 2,   /* and pages of a file that this mapping did not touch yet */
    CRN_MAP_DEVICE = 4,         /* no memory of the kernel's stands behind it */
};

struct crn_map_details {
    uint64_t resident_bytes, private_bytes, swapped_bytes; /* pages here; of them, anonymous ones */
    unsigned flags; /* enum crn_map_detail_flags */
};

struct crn_map_entry {
    uintptr_t start, end;
    unsigned flags;     /* enum crn_map_flags */
    uint64_t offset;    /* in the file */
    uint64_t device;    /* as stat(2) has it, but on file systems that hide it */
    uint64_t inode;
    const char *path;   /* "", "[stack]", "/dev/shm/x", …; cut at 4 KiB */
    const struct crn_map_details *details; /* NULL: not asked for */
};

/*
 * Calls `visit` for each mapping in ascending order until it answers false; `path` is good during
 * the call.  Needs 8 KiB of stack.  Answers false when the map could not be read.
 */
bool crn_maps_for_each(bool (*visit)(const struct crn_map_entry *entry, void *user), void *user);

/*
 * The same with details.  The kernel counts pages for it, 5 ms for a gigabyte, and it needs 16 KiB
 * of stack.
 */
bool crn_maps_for_each_detailed(bool (*visit)(const struct crn_map_entry *entry, void *user),
                                void *user);

/*
 * The mapping that holds `address` (without a path).  Needs 8 KiB of stack; on a small stack call
 * it through crn_stack_call (base/switch.h).
 */
bool crn_maps_find(uintptr_t address, struct crn_map_entry *found);

#endif
