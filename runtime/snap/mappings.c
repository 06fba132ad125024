/*
 * Roots from the memory map: variables of modules, and other memory the program mapped.
 *
 * A mapping of a file is a module's or a mapped file's; the anonymous one that touches the end of
 * a module's writable mapping is its .bss.  What is private and not writable counts only where a
 * page was written (RELRO, code made by a JIT in anonymous memory counts wholly).  Stacks of
 * threads are left to threads.c, our own memory and our allocator's to nobody.
 */
#include "snap/build.h"
#include "base/maps.h"

#include <string.h>

enum { EXCLUDED_MAX = 8 };
static uintptr_t excluded_addresses[EXCLUDED_MAX];

void crn_snap_exclude_module(const void *address_in_it)
{
    for (unsigned i = 0; i < EXCLUDED_MAX; i++) {
        if (excluded_addresses[i] == 0) {
            excluded_addresses[i] = (uintptr_t)address_in_it;
            return;
        }
    }
}

struct mapping_walk {
    struct crn_snap_builder *builder;
    uint64_t excluded_inodes[EXCLUDED_MAX];
    unsigned excluded_count;
    uintptr_t module_end;     /* where the last module mapping ended: .bss may follow */
    bool module_is_excluded;
};

static bool inode_visit(const struct crn_map_entry *entry, void *user)
{
    struct mapping_walk *walk = user;
    for (unsigned i = 0; i < EXCLUDED_MAX; i++)
        if (excluded_addresses[i] - entry->start < entry->end - entry->start &&
            (entry->flags & CRN_MAP_FILE) != 0)
            walk->excluded_inodes[walk->excluded_count++] = entry->inode;
    return true;
}

static bool is_excluded(const struct mapping_walk *walk, uint64_t inode)
{
    for (unsigned i = 0; i < walk->excluded_count; i++)
        if (walk->excluded_inodes[i] == inode)
            return true;
    return false;
}

/* Adds [start, end) without what lies in our own ranges and in thread stacks. */
static void mapping_add(struct crn_snap_builder *builder, struct crn_root root)
{
    enum { SPARSE_FROM_BYTES = 64 * 1024 };
    for (size_t i = 0; i < builder->own_count && root.start < root.end; i++) {
        const struct crn_range *own = &builder->own[i];
        if (own->end <= root.start)
            continue;
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
    return strncmp(path, "/dev/", 5) == 0 && strncmp(path, "/dev/shm/", 9) != 0 &&
           strncmp(path, "/dev/zero", 9) != 0;
}

static bool root_visit(const struct crn_map_entry *entry, void *user)
{
    struct mapping_walk *walk = user;
    struct crn_snap_builder *builder = walk->builder;

    if ((entry->flags & CRN_MAP_READ) == 0) {
        crn_build_unreadable(builder, (struct crn_range){entry->start, entry->end});
        return true;
    }
    bool is_file = (entry->flags & CRN_MAP_FILE) != 0 && entry->path[0] == '/';
    bool is_bss = !is_file && entry->start == walk->module_end && entry->path[0] == 0;
    if (is_file) {
        walk->module_end = entry->end;
        walk->module_is_excluded = is_excluded(walk, entry->inode);
    }
    if (((is_file || is_bss) && walk->module_is_excluded) || is_device(entry->path) ||
        strncmp(entry->path, "[v", 2) == 0) /* [vdso], [vvar], [vsyscall] */
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
    if (!crn_maps_for_each(inode_visit, &walk) || !crn_maps_for_each(root_visit, &walk))
        return CRN_ERR_SYSTEM;
    return CRN_OK;
}
