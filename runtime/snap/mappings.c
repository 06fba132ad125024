/*
 * Roots from the memory map: variables of modules, and other memory the program mapped.
 *
 * A mapping of a file is a module's or a mapped file's; the anonymous one that touches the end of
 * a module's writable mapping is its .bss.  What is private and not writable counts only where a
 * page was written (RELRO, code made by a JIT in anonymous memory counts wholly).  Stacks of
 * threads are left to threads.c, our own memory and our allocator's to nobody.
 */
#include "snap/kernel.h"
#include "base/maps.h"

#include <dlfcn.h>
#include <string.h>

static struct crn_range excluded[CRN_EXCLUDED_MAX];

void crn_snap_exclude_module(const void *address_in_it)
{
    struct dl_find_object module;
    if (_dl_find_object((void *)address_in_it, &module) != 0)
        return;
    for (unsigned i = 0; i < CRN_EXCLUDED_MAX; i++) {
        if (excluded[i].start == 0) {
            /* By addresses: the kernel joins the .bss with what the program maps behind it. */
            excluded[i].start = (uintptr_t)module.dlfo_map_start;
            excluded[i].end = crn_align_up((uintptr_t)module.dlfo_map_end, CRN_PAGE_BYTES);
            return;
        }
    }
}

size_t crn_snap_excluded_ranges(struct crn_range out[CRN_EXCLUDED_MAX])
{
    size_t count = 0;
    while (count < CRN_EXCLUDED_MAX && excluded[count].start != 0) {
        out[count] = excluded[count];
        count++;
    }
    return count;
}

struct mapping_walk {
    struct crn_snap_builder *builder;
    uintptr_t module_end;     /* where the last module mapping ended: .bss may follow */
};

/* The first of our own ranges that ends above an address. */
static size_t own_above(const struct crn_snap_builder *builder, uintptr_t address)
{
    size_t low = 0, high = builder->own_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (builder->own[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Adds [start, end) without what lies in our own ranges and in thread stacks. */
static void mapping_add(struct crn_snap_builder *builder, struct crn_root root)
{
    enum { SPARSE_FROM_BYTES = 16 * 1024 }; /* asking costs as much as to touch one page */
    for (size_t i = own_above(builder, root.start); i < builder->own_count && root.start < root.end;
         i++) {
        const struct crn_range *own = &builder->own[i];
        if (own->start >= root.end)
            break;
        struct crn_root below = root;
        below.end = own->start > root.start ? own->start : root.start;
        below.must_be_sparse |= below.end - below.start > SPARSE_FROM_BYTES;
        crn_build_root(builder, below);
        root.start = own->end;
    }
    if (root.start < root.end) {
        root.must_be_sparse |= root.end - root.start > SPARSE_FROM_BYTES;
        crn_build_root(builder, root);
    }
}

static bool is_device(const char *path)
{
    static const char *const memory[] = {"/dev/shm/", "/dev/zero", "/dev/hugepages"};
    for (unsigned i = 0; i < CRN_COUNT_OF(memory); i++)
        if (strncmp(path, memory[i], strlen(memory[i])) == 0)
            return false;
    return strncmp(path, "/dev/", 5) == 0;
}

static bool root_visit(const struct crn_map_entry *entry, void *user)
{
    struct mapping_walk *walk = user;
    struct crn_snap_builder *builder = walk->builder;

    if ((entry->flags & CRN_MAP_READ) == 0) {
        crn_build_unreadable(builder, (struct crn_range){entry->start, entry->end});
        return true;
    }
    /* Some map their stacks executable (perl's Coro): what can be written and is no file is data. */
    if ((entry->flags & CRN_MAP_EXECUTE) != 0 && entry->path[0] != '[' &&
        (entry->flags & (CRN_MAP_WRITE | CRN_MAP_FILE)) != CRN_MAP_WRITE)
        crn_build_code(builder, (struct crn_range){entry->start, entry->end});
    bool is_file = (entry->flags & CRN_MAP_FILE) != 0 && entry->path[0] == '/';
    bool is_bss = !is_file && entry->start == walk->module_end && entry->path[0] == 0;
    if (is_file)
        walk->module_end = entry->end;
    if (crn_ring_is_mapping(entry)) {
        crn_rings_note(builder, entry); /* uring.c knows what of it counts */
        return true;
    }
    if (is_device(entry->path) || strncmp(entry->path, "[v", 2) == 0) /* [vdso], [vvar], [vsyscall] */
        return true;
    bool is_global = (is_file && (entry->flags & CRN_MAP_SHARED) == 0) || is_bss;
    mapping_add(builder, (struct crn_root){
                             .start = entry->start,
                             .end = entry->end,
                             .kind = is_global ? CRN_ROOT_GLOBAL : CRN_ROOT_MAPPING,
                             .step = 8,
                             .is_copy_only = is_file && (entry->flags & CRN_MAP_WRITE) == 0,
                             .must_be_sparse = is_file, /* a page behind its end would fault */
                         });
    return true;
}

enum crn_status crn_build_mappings(struct crn_snap_builder *builder)
{
    struct mapping_walk walk = {.builder = builder};
    if (!crn_maps_for_each(root_visit, &walk))
        return CRN_ERR_SYSTEM;
    return CRN_OK;
}
