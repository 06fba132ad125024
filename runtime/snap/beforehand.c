/*
 * Saves what a copy of the process does not show as it was.  See beforehand.h.
 */
#include "snap/beforehand.h"
#include "snap/backing.h"
#include "snap/borrow.h"
#include "snap/kernel.h"
#include "base/maps.h"
#include "base/pages.h"
#include "base/sys.h"

#include <string.h>
#include <sys/mman.h>

enum { RANGES_MAX = 256, RUNS_MAX = 4096, SAVED_BYTES = 16 << 20, UNFORKED_MAX = 64 };

/* Memory to be saved, and one run of its pages. */
struct apart {
    uintptr_t start, end;
    bool is_shared;
};
struct saved_run {
    uintptr_t start;
    size_t bytes, at; /* in `saved` */
};

struct crn_beforehand {
    struct crn_snap snap; /* roots, names and the unknown holder only */
    struct crn_snap_builder builder;
    struct apart ranges[RANGES_MAX];
    unsigned range_count;
    struct saved_run runs[RUNS_MAX];
    unsigned run_count;
    char *saved;
    size_t saved_bytes;
};

/* Ranges that a fork does not have, each as a whole; `start` 0: free. */
static struct {
    _Atomic uintptr_t start, end;
} unforked[UNFORKED_MAX];
static _Atomic bool has_more_unforked;

void crn_unforked_note(uintptr_t start, size_t bytes, bool is_unforked)
{
    uintptr_t end = start + bytes;
    for (unsigned i = 0; i < UNFORKED_MAX && !is_unforked; i++)
        if (unforked[i].start >= start && unforked[i].end <= end)
            unforked[i].start = unforked[i].end = 0;
    for (unsigned i = 0; i < UNFORKED_MAX && is_unforked; i++) {
        uintptr_t expected = 0;
        if (unforked[i].start == start && unforked[i].end == end)
            return;
        if (atomic_compare_exchange_strong(&unforked[i].start, &expected, start)) {
            unforked[i].end = end;
            return;
        }
    }
    has_more_unforked |= is_unforked;
}

static void range_note(struct crn_beforehand *beforehand, struct apart range)
{
    if (beforehand->range_count == RANGES_MAX)
        crn_build_unknown_holder(&beforehand->builder, "shared memory");
    else
        beforehand->ranges[beforehand->range_count++] = range;
}

static bool entry_visit(const struct crn_map_entry *entry, void *user)
{
    struct crn_beforehand *beforehand = user;
    if (crn_vm_touches_window(entry->start, entry->end - entry->start))
        return true;
    if ((entry->flags & CRN_MAP_READ) != 0 && crn_ring_is_mapping(entry))
        crn_rings_note(&beforehand->builder, entry);
    else if (crn_backing_is_shared_memory(entry))
        range_note(beforehand, (struct apart){entry->start, entry->end, true});
    return true;
}

struct crn_beforehand *crn_beforehand_look(void)
{
    struct crn_beforehand *beforehand = crn_vm_map(sizeof *beforehand);
    if (beforehand == NULL)
        return NULL;
    beforehand->builder.snap = &beforehand->snap;
    crn_build_name(&beforehand->builder, "%s", "");
    if (!crn_maps_for_each(entry_visit, beforehand))
        crn_build_unknown_holder(&beforehand->builder, "shared memory");
    for (unsigned i = 0; i < UNFORKED_MAX; i++)
        if (unforked[i].start != 0 && unforked[i].end > unforked[i].start)
            range_note(beforehand, (struct apart){unforked[i].start, unforked[i].end, false});
    if (has_more_unforked)
        crn_build_unknown_holder(&beforehand->builder, "memory that a fork does not have");
    if (beforehand->range_count > 0)
        beforehand->saved = crn_vm_map(SAVED_BYTES);
    return beforehand;
}

static void run_save(uintptr_t start, uintptr_t end, unsigned flags, void *user)
{
    struct crn_beforehand *beforehand = user;
    size_t bytes = end - start;
    (void)flags;
    if (beforehand->saved == NULL || beforehand->run_count == RUNS_MAX ||
        bytes > SAVED_BYTES - beforehand->saved_bytes) {
        crn_build_unknown_holder(&beforehand->builder, "shared memory that is too large to be saved");
        return;
    }
    struct saved_run *run = &beforehand->runs[beforehand->run_count++];
    *run = (struct saved_run){start, bytes, beforehand->saved_bytes};
    if (crn_pages_copy(beforehand->saved + run->at, start, bytes, true) != (long)bytes)
        crn_build_unknown_holder(&beforehand->builder, "shared memory");
    beforehand->saved_bytes += bytes;
}

static void ranges_save(struct crn_beforehand *beforehand)
{
    crn_pages_open();
    for (unsigned i = 0; i < beforehand->range_count; i++) {
        const struct apart *range = &beforehand->ranges[i];
        if (!range->is_shared)
            crn_pages_runs(range->start, range->end, run_save, beforehand);
        else if (!crn_pages_cached(range->start, range->end, run_save, beforehand))
            crn_build_unknown_holder(&beforehand->builder, "shared memory");
    }
    crn_pages_close();
}

void crn_beforehand_take(struct crn_beforehand *beforehand)
{
    struct crn_snap_builder *builder = &beforehand->builder;
    crn_build_kernel(builder);
    if (!crn_borrows())
        crn_build_unknown_holder(builder, "one of its descriptors");
    if (builder->has_userfaultfd && beforehand->range_count > 0)
        crn_build_unknown_holder(builder, "shared memory that userfaultfd may serve");
    else
        ranges_save(beforehand);
    crn_build_rings(builder);
}

void crn_beforehand_settle(struct crn_beforehand *beforehand)
{
    for (unsigned i = 0; i < beforehand->run_count; i++) {
        const struct saved_run *run = &beforehand->runs[i];
        long start = crn_syscall6(SYS_mmap, run->start, run->bytes, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (start == (long)run->start)
            memcpy((void *)start, beforehand->saved + run->at, run->bytes);
        else
            crn_build_unknown_holder(&beforehand->builder, "shared memory");
    }
}

void crn_beforehand_apply(struct crn_snap_builder *builder,
                          const struct crn_beforehand *beforehand)
{
    const struct crn_snap *snap = &beforehand->snap;
    builder->beforehand = beforehand;
    builder->has_userfaultfd = beforehand->builder.has_userfaultfd;
    if (snap->unknown_holder != NULL)
        crn_build_unknown_holder(builder, snap->unknown_holder);
    if (snap->arena.exhausted)
        crn_build_unknown_holder(builder, "what the kernel holds");
    for (size_t i = 0; i < snap->root_count; i++) {
        struct crn_root root = snap->roots[i];
        if (root.name != 0)
            root.name = crn_build_name(builder, "%s", snap->names + root.name);
        crn_build_root(builder, root);
    }
}

bool crn_beforehand_knows(const struct crn_beforehand *beforehand,
                          const struct crn_map_entry *entry)
{
    const struct crn_rings *rings = &beforehand->builder.rings;
    for (unsigned i = 0; i < beforehand->range_count; i++)
        if (beforehand->ranges[i].start <= entry->start && beforehand->ranges[i].end >= entry->end)
            return true;
    for (unsigned i = 0; i < rings->count; i++)
        if (rings->pieces[i].start <= entry->start && rings->pieces[i].end >= entry->end)
            return true;
    return false;
}

void crn_beforehand_free(struct crn_beforehand *beforehand)
{
    if (beforehand == NULL)
        return;
    crn_arena_free_all(&beforehand->snap.arena);
    if (beforehand->saved != NULL)
        crn_vm_unmap(beforehand->saved, SAVED_BYTES);
    crn_vm_unmap(beforehand, sizeof *beforehand);
}
