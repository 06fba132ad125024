/*
 * Roots from the memory map: variables of modules, and other memory the program mapped.
 *
 * A mapping of a file is a module's or a mapped file's; the anonymous one that touches the end of
 * a module's writable mapping is its .bss.  What is private and not writable counts only where a
 * page was written (RELRO, code made by a JIT in anonymous memory counts wholly).  Stacks of
 * threads are left to threads.c, our own memory and our allocator's to nobody.
 */
#include "snap/backing.h"
#include "snap/beforehand.h"
#include "snap/kernel.h"
#include "snap/readable.h"
#include "base/maps.h"
#include "base/pages.h"
#include "base/sys.h"

#include <dlfcn.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

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
    uintptr_t module_end; /* where the last module mapping ended: .bss may follow */
    uintptr_t last_end;   /* where the last mapping of any kind ended */
    bool has_large;
};

enum { LARGE_BYTES = 64 << 20 };

/* When this program began, in seconds since 1970. */
static uint64_t began_s;

void crn_snap_begin(void)
{
    began_s = crn_unix_now_ns() / 1000000000u;
}

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

/* What the kernel keeps in a file system may change without a word about when. */
static bool is_in_memory(long type)
{
    return type == TMPFS_MAGIC || type == RAMFS_MAGIC || type == HUGETLBFS_MAGIC;
}

/* On a disk of this machine; elsewhere reading waits for another machine, or for this process. */
static bool is_local(long type)
{
    static const long local[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
                                 F2FS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC};
    for (unsigned i = 0; i < CRN_COUNT_OF(local); i++)
        if (type == local[i])
            return true;
    return false;
}

static void system_ask(const char *path, struct crn_shared *shared)
{
    struct statfs system;
    if (crn_syscall2(SYS_statfs, path, &system) != 0)
        return;
    shared->is_file = !is_in_memory(system.f_type);
    shared->is_slow = shared->is_file && !is_local(system.f_type);
}

/* Of a file that has no name any more: its folder may still be there. */
static void folder_ask(const struct crn_map_entry *entry, struct crn_shared *shared)
{
    char folder[4096];
    struct stat status;
    const char *end = strrchr(entry->path, '/');
    if (end == NULL || end == entry->path || (size_t)(end - entry->path) >= sizeof folder)
        return;
    memcpy(folder, entry->path, (size_t)(end - entry->path));
    folder[end - entry->path] = 0;
    if (crn_syscall2(SYS_stat, folder, &status) == 0 && status.st_dev == entry->device)
        system_ask(folder, shared);
}

/*
 * Whether a file may hold an address of ours: what nobody wrote since we began holds none.  Then
 * *shared says where it ends and what to expect of pages that are not in memory.
 */
static bool file_may_hold(const struct crn_map_entry *entry, struct crn_shared *shared)
{
    enum { CLOCKS_DIFFER_S = 10 }; /* the file's server may have another clock */
    struct stat status;
    shared->is_file = true;
    if (crn_syscall2(SYS_stat, entry->path, &status) != 0 || status.st_ino != entry->inode) {
        folder_ask(entry, shared);
        return true; /* deleted, or of another root: when it was written is not known */
    }
    system_ask(entry->path, shared);
    uintptr_t end = entry->start - entry->offset + (uintptr_t)status.st_size;
    if (entry->offset >= (uint64_t)status.st_size)
        shared->contents_end = entry->start;
    else if (end < entry->end)
        shared->contents_end = crn_align_up(end, CRN_PAGE_BYTES);
    return !shared->is_file || (uint64_t)status.st_mtim.tv_sec + CLOCKS_DIFFER_S >= began_s;
}

/*
 * What faulted in earlier attempts to take this picture is not touched any more, nor what lies
 * above it in its mapping; when that was not enough, nothing is touched that the map names.
 */
static struct {
    uintptr_t faults[CRN_EVADED_MAX];
    unsigned count;
    bool is_all;
} evaded;

void crn_snap_evade_nothing(void)
{
    evaded.count = 0;
    evaded.is_all = false;
}

bool crn_snap_evade(uintptr_t fault)
{
    uintptr_t page = crn_align_down(fault, CRN_PAGE_BYTES);
    if (evaded.is_all)
        return false;
    for (unsigned i = 0; i < evaded.count; i++)
        evaded.is_all |= evaded.faults[i] == page; /* it was read all the same */
    if (evaded.count == CRN_COUNT_OF(evaded.faults))
        evaded.is_all = true;
    else
        evaded.faults[evaded.count++] = page;
    return true;
}

/* The lowest fault in [start, end); `end`: there was none. */
static uintptr_t evaded_from(uintptr_t start, uintptr_t end)
{
    uintptr_t from = evaded.is_all ? start : end;
    for (unsigned i = 0; i < evaded.count; i++)
        if (evaded.faults[i] >= start && evaded.faults[i] < from)
            from = evaded.faults[i];
    return from;
}

/* Rows of `unreadable` for a range: one for each run of pages with contents, others between. */
struct closing {
    struct crn_snap_builder *builder;
    uintptr_t at;
    uint8_t how;        /* of pages with contents */
    bool is_accessible; /* all of them */
    bool is_copy_only;  /* pages of the file count as nothing */
    bool has_contents;
};

static void closed_row(struct closing *closing, uintptr_t start, uintptr_t end, uint8_t how)
{
    crn_build_unreadable(closing->builder,
                         (struct crn_unreadable){start, end, how, closing->is_accessible});
}

static void closed_run(uintptr_t start, uintptr_t end, unsigned flags, void *user)
{
    struct closing *closing = user;
    if (closing->is_copy_only && (flags & CRN_PAGES_OF_FILE) != 0)
        return;
    closed_row(closing, closing->at, start, CRN_HOLDS_NOTHING);
    closed_row(closing, start, end, closing->how);
    closing->at = end;
    closing->has_contents = true;
}

static bool is_known_empty(const struct crn_map_entry *entry)
{
    return entry->details != NULL && entry->details->resident_bytes == 0 &&
           entry->details->swapped_bytes == 0;
}

/* Our own reservations are large, and nothing is in them. */
static bool is_large_and_ours(const struct mapping_walk *walk, const struct crn_map_entry *entry)
{
    const struct crn_snap_builder *builder = walk->builder;
    size_t at = own_above(builder, entry->start);
    return at < builder->own_count && builder->own[at].start <= entry->start &&
           builder->own[at].end >= entry->end && entry->end - entry->start >= LARGE_BYTES;
}

/* Closes [from, entry->end); answers whether something is in it. */
static bool entry_close(const struct mapping_walk *walk, const struct crn_map_entry *entry,
                        enum crn_backing backing, uintptr_t from)
{
    bool is_shared = (entry->flags & CRN_MAP_SHARED) != 0 || backing == CRN_BACKED_BY_MEMORY;
    struct closing closing = {
        .builder = walk->builder,
        .at = from,
        .how = CRN_READ_FORCED,
        .is_accessible = (entry->flags & CRN_MAP_READ) != 0,
        .is_copy_only =
            !is_shared && backing == CRN_BACKED_BY_FILE && (entry->flags & CRN_MAP_WRITE) == 0,
    };
    if (is_shared)
        crn_pages_cached(from, entry->end, closed_run, &closing);
    else if (!is_known_empty(entry) && !is_large_and_ours(walk, entry))
        crn_pages_runs(from, entry->end, closed_run, &closing);
    closed_row(&closing, closing.at, entry->end, CRN_HOLDS_NOTHING);
    return closing.has_contents;
}

/* Private pages that userfaultfd would serve: whoever touches them waits. */
static void served_run(uintptr_t start, uintptr_t end, unsigned flags, void *user)
{
    struct closing *closing = user;
    (void)flags;
    closed_row(closing, closing->at, start, CRN_HOLDS_NOTHING);
    closing->has_contents |= start > closing->at;
    closing->at = end;
}

static void served_close(const struct mapping_walk *walk, const struct crn_map_entry *entry)
{
    struct closing closing = {.builder = walk->builder, .at = entry->start, .is_accessible = true};
    crn_pages_runs(entry->start, entry->end, served_run, &closing);
    served_run(entry->end, entry->end, 0, &closing);
    if (closing.has_contents)
        crn_build_unknown_holder(walk->builder, "a page that userfaultfd serves");
}

static bool is_served(const struct crn_map_entry *entry, unsigned flag)
{
    return entry->details != NULL && (entry->details->flags & flag) != 0;
}

/* Notes a mapping whose contents may be the kernel's alone; answers whether it is one. */
static bool shared_note(const struct mapping_walk *walk, const struct crn_map_entry *entry,
                        enum crn_backing backing)
{
    struct crn_shared shared = {
        .start = entry->start,
        .end = entry->end,
        .contents_end = UINTPTR_MAX,
        .is_served_missing = is_served(entry, CRN_MAP_SERVED_MISSING),
        .is_served_minor = is_served(entry, CRN_MAP_SERVED_MINOR),
    };
    bool is_private = (entry->flags & CRN_MAP_SHARED) == 0;
    if (backing != CRN_BACKED_BY_MEMORY && backing != CRN_BACKED_BY_FILE)
        return false;
    if (is_private && ((entry->flags & CRN_MAP_EXECUTE) != 0 ||
                       (backing == CRN_BACKED_BY_FILE && (entry->flags & CRN_MAP_WRITE) == 0)))
        return false;
    if (backing == CRN_BACKED_BY_FILE && !file_may_hold(entry, &shared))
        return false;
    crn_build_shared(walk->builder, shared);
    return true;
}

/* What the map does not name and faulted: a hole in what was thought to be a stack. */
static void hole_close(struct mapping_walk *walk, uintptr_t until)
{
    uintptr_t from = evaded_from(walk->last_end, until);
    if (from < until)
        crn_build_unreadable(walk->builder,
                             (struct crn_unreadable){from, until, CRN_HOLDS_NOTHING, true});
}

static bool root_visit(const struct crn_map_entry *entry, void *user)
{
    struct mapping_walk *walk = user;
    struct crn_snap_builder *builder = walk->builder;
    enum crn_backing backing = crn_backing_of(entry);
    bool is_readable = (entry->flags & CRN_MAP_READ) != 0;

    hole_close(walk, entry->start);
    walk->last_end = entry->end;
    /* Some map their stacks executable (perl's Coro): what can be written, no file, is data. */
    if (is_readable && (entry->flags & CRN_MAP_EXECUTE) != 0 && entry->path[0] != '[' &&
        (entry->flags & (CRN_MAP_WRITE | CRN_MAP_FILE)) != CRN_MAP_WRITE)
        crn_build_code(builder, (struct crn_range){entry->start, entry->end});
    bool is_file = (entry->flags & CRN_MAP_FILE) != 0 && entry->path[0] == '/';
    bool is_bss = !is_file && entry->start == walk->module_end && entry->path[0] == 0;
    if (is_file)
        walk->module_end = entry->end;
    if (builder->beforehand != NULL &&
        (crn_ring_is_mapping(entry) || crn_backing_is_shared_memory(entry)) &&
        !crn_beforehand_knows(builder->beforehand, entry) &&
        !crn_vm_touches_window(entry->start, entry->end - entry->start))
        crn_build_unknown_holder(builder, "shared memory that has just been mapped");
    if (is_readable && crn_ring_is_mapping(entry)) {
        crn_rings_note(builder, entry); /* uring.c knows what of it counts */
        return true;
    }
    if (strncmp(entry->path, "[v", 2) == 0) /* [vdso], [vvar], [vsyscall] */
        return true;
    if (backing == CRN_BACKED_BY_DEVICE || backing == CRN_BACKED_BY_OTHER) {
        crn_build_unreadable(builder, (struct crn_unreadable){entry->start, entry->end,
                                                              CRN_HOLDS_NOTHING, is_readable});
        if (backing == CRN_BACKED_BY_DEVICE)
            crn_build_unknown_holder(builder, "a device's memory");
        return true;
    }
    if (is_readable && backing == CRN_BACKED_BY_NOTHING && is_known_empty(entry) &&
        !is_served(entry, CRN_MAP_SERVED_MISSING))
        return true; /* nor need its pages be asked for, where each costs */
    uintptr_t closed_from = is_readable ? evaded_from(entry->start, entry->end) : entry->start;
    /* Where copies of a file's pages are not told from others, all of them count. */
    bool has_unknown_copies = is_file && !crn_pages_are_known() && entry->details != NULL &&
                              entry->details->private_bytes != 0;
    if (has_unknown_copies && (entry->flags & CRN_MAP_WRITE) == 0)
        closed_from = entry->start;
    bool has_contents = true, is_shared = false;
    if (closed_from < entry->end)
        has_contents = entry_close(walk, entry, backing, closed_from);
    else if (is_served(entry, CRN_MAP_SERVED_MISSING) && backing == CRN_BACKED_BY_NOTHING)
        served_close(walk, entry);
    if (is_readable)
        is_shared = shared_note(walk, entry, backing);
    else if (!has_contents)
        return true;
    bool is_private_file = is_file && (entry->flags & CRN_MAP_SHARED) == 0;
    bool is_global = is_private_file || is_bss;
    mapping_add(builder, (struct crn_root){
                             .start = entry->start,
                             .end = entry->end,
                             .kind = is_global ? CRN_ROOT_GLOBAL : CRN_ROOT_MAPPING,
                             .step = 8,
                             .is_copy_only = is_file && (entry->flags & CRN_MAP_WRITE) == 0 &&
                                             is_readable && !is_shared && !has_unknown_copies,
                             /* a page behind its end would fault, one that is served would wait */
                             .must_be_sparse = is_file || builder->has_userfaultfd,
                             .is_shared = is_shared,
                         });
    return true;
}

/* Looks for a reservation so large that asking for each of its pages takes long. */
static bool large_visit(const struct crn_map_entry *entry, void *user)
{
    struct mapping_walk *walk = user;
    walk->has_large |= (entry->flags & CRN_MAP_READ) == 0 &&
                       entry->end - entry->start >= LARGE_BYTES && !is_large_and_ours(walk, entry);
    return !walk->has_large;
}

enum crn_status crn_build_mappings(struct crn_snap_builder *builder)
{
    struct mapping_walk walk = {.builder = builder};
    bool is_known = crn_pages_are_known();
    builder->snap->window = crn_window_create(&builder->snap->arena);
    if (builder->snap->window == NULL)
        return CRN_ERR_NO_MEMORY;
    if (!crn_pages_skip_quickly())
        crn_maps_for_each(large_visit, &walk);
    bool is_detailed = builder->has_userfaultfd || !is_known || walk.has_large;
    if (!(is_detailed && crn_maps_for_each_detailed(root_visit, &walk)) &&
        !crn_maps_for_each(root_visit, &walk))
        return CRN_ERR_SYSTEM;
    hole_close(&walk, UINTPTR_MAX);
    return CRN_OK;
}
