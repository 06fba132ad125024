/*
 * Blocks without a record.  See foreign.h.
 *
 * jemalloc's lie in the region.  Those outside it stand in a table, which goes on being kept after
 * Coroner has stood down, for they cannot be told from libc's by looking at them.  libc's come from
 * a library that binds to itself first, or from before malloc existed.
 */
#include "shim/foreign.h"
#include "shim/state.h"
#include "base/sys.h"

#include <errno.h>
#include <jemalloc/jemalloc.h>

/* There was no memory to note a block: from then on what is in no table may be jemalloc's. */
static _Atomic bool has_missed;

static bool is_in_region(const void *block)
{
    const struct crn_region *region = &crn_heap.region;
    return (uintptr_t)block - region->base < region->end - region->base;
}

/* Without a region and without a table, all there is comes from jemalloc. */
static bool is_jemallocs_alone(void)
{
    return crn_heap.region.base == 0 && !crn_heap.outside.used;
}

static int tid_get(void)
{
    return crn_self != NULL ? crn_self->tid : crn_sys_gettid();
}

static bool is_jemallocs(const void *block)
{
    struct crn_outside_block found;
    return is_in_region(block) || is_jemallocs_alone() || has_missed ||
           crn_outside_find(&crn_heap.outside, (uintptr_t)block, &found, tid_get());
}

/* libc's chunk header tells its blocks from what is none, as far as can be. */
static bool is_libcs(const void *block, size_t *header)
{
    if (((uintptr_t)block & 15) != 0 ||
        !crn_memory_read(header, (uintptr_t)block - sizeof *header, sizeof *header))
        return false;
    return (*header & ~(size_t)7) >= 32 && *header < (size_t)1 << 46;
}

void crn_foreign_note(void *block)
{
    struct crn_outside_block row = {.start = (uintptr_t)block};
    if (!is_in_region(block) && !is_jemallocs_alone() &&
        !crn_outside_add(&crn_heap.outside, row, tid_get()))
        has_missed = true;
}

bool crn_foreign_is_nobodys(const void *block)
{
    size_t header;
    return !is_jemallocs(block) && crn_shim.real.libc_free != NULL && !is_libcs(block, &header);
}

bool crn_foreign_free(void *block, int flags)
{
    struct crn_outside_block removed;
    size_t header;
    if (is_jemallocs(block)) {
        crn_outside_remove(&crn_heap.outside, (uintptr_t)block, &removed, tid_get());
        crn_shim.real.je_dallocx(block, flags);
    } else if (crn_shim.real.libc_free != NULL && is_libcs(block, &header)) {
        crn_shim.real.libc_free(block);
    } else {
        return false;
    }
    return true;
}

void *crn_foreign_realloc(void *block, size_t bytes, int flags)
{
    struct crn_outside_block removed;
    size_t header;
    void *moved = NULL;
    if (is_jemallocs(block)) {
        moved = crn_shim.real.je_rallocx(block, bytes < 16 ? 16 : bytes, flags);
        if (moved != NULL && moved != block) {
            crn_outside_remove(&crn_heap.outside, (uintptr_t)block, &removed, tid_get());
            crn_foreign_note(moved);
        }
    } else if (crn_shim.real.libc_realloc != NULL && is_libcs(block, &header)) {
        return crn_shim.real.libc_realloc(block, bytes);
    }
    if (moved == NULL)
        errno = ENOMEM;
    return moved;
}

size_t crn_foreign_usable(const void *block)
{
    size_t header;
    if (is_jemallocs(block))
        return sallocx(block, 0);
    if (!is_libcs(block, &header))
        return 0;
    return (header & ~(size_t)7) - ((header & 2) != 0 ? 16 : 8); /* 2: it was mapped */
}
