/*
 * Narrow pictures.  See narrow.h.
 */
#include "snap/narrow.h"
#include "snap/build.h"
#include "base/pages.h"
#include "base/written.h"
#include "heap/heap.h"

bool crn_narrow_is_possible(uint64_t birth_from)
{
    return crn_heap.young.is_open && !crn_heap.young.has_grown && crn_heap.outside.count == 0 &&
           crn_heap.birth_line <= birth_from && crn_written_is_told();
}

bool crn_narrow_is_enough(const struct crn_snap *snap)
{
    return snap->coro_count == 0 && snap->frame_count == 0 && snap->local_count == 0 &&
           snap->watch_count == 0 && !snap->has_ignored && snap->outside_count == 0 &&
           snap->unseen_threads == 0 && !snap->is_torn;
}

void crn_snap_blocks_each(const struct crn_snap *snap,
                          bool (*visit)(const struct crn_block *block, void *user), void *user)
{
    if (!snap->is_narrow) {
        crn_index_for_each(&snap->heap->index, snap->heap_end, visit, user);
        return;
    }
    for (size_t i = 0; i < snap->only_count && visit(&snap->only[i], user); i++)
        ;
}

bool crn_build_only(struct crn_snap_builder *builder)
{
    struct crn_snap *snap = builder->snap;
    if (!snap->is_narrow)
        return true;
    snap->only = crn_arena_alloc(&snap->arena, CRN_YOUNG_MAX * sizeof *snap->only);
    if (snap->only == NULL)
        return false;
    snap->only_count = crn_young_list(snap->heap, snap->birth_from, snap->only);
    return true;
}

/* The walk over pages that were written, ascending. */
struct inherited {
    struct crn_snap_builder *builder;
    uintptr_t looked; /* below here every block was looked at, */
    struct {
        const struct crn_record *record;
        uintptr_t start, end;
    } last;                 /* and this is the last one alive that begins there; end 0: none */
    struct crn_range piece; /* of blocks side by side */
};

static void piece_end(struct inherited *inherited)
{
    crn_build_root(inherited->builder, (struct crn_root){.start = inherited->piece.start,
                                                         .end = inherited->piece.end,
                                                         .kind = CRN_ROOT_MAPPING,
                                                         .step = 8,
                                                         .is_written = true});
    inherited->piece = (struct crn_range){0, 0};
}

/* Adds what of a live block lies in a page, unless it is one of the child's own. */
static void block_add(struct inherited *inherited, const struct crn_record *record, uintptr_t start,
                      size_t bytes, uintptr_t page)
{
    const struct crn_snap *snap = inherited->builder->snap;
    uintptr_t end = start + bytes < page + CRN_PAGE_BYTES ? start + bytes : page + CRN_PAGE_BYTES;
    start = start > page ? start : page;
    if (start >= end || crn_birth_of(snap->heap, record) >= snap->birth_from)
        return;
    if (inherited->piece.end != start) {
        piece_end(inherited);
        inherited->piece.start = start;
    }
    inherited->piece.end = end;
}

/* Visits the blocks that begin in a page; `is_added`: it was written. */
static void page_look(struct inherited *inherited, uintptr_t page, bool is_added)
{
    const struct crn_index *index = &inherited->builder->snap->heap->index;
    uint64_t row = index->pages[(page - index->base) >> CRN_PAGE_SHIFT];
    if ((row & 0xff) == 0) /* no class: none begins here */
        return;
    size_t bytes = crn_classes[crn_page_class(row)].bytes;
    uintptr_t start = page + crn_page_phase(row);
    for (unsigned i = 0; i < crn_page_slots(row); i++, start += bytes) {
        const struct crn_record *record = &index->records[crn_page_first(row) + i];
        if (!crn_record_is_live(record))
            continue;
        if (is_added)
            block_add(inherited, record, start, bytes, page);
        inherited->last.record = record;
        inherited->last.start = start;
        inherited->last.end = start + bytes;
    }
}

/*
 * Finds the last block alive that begins below a page, which may cover its first bytes.  Looks no
 * further back than to the page before it that was looked at, so that all together look at each
 * page once.
 */
static void last_find(struct inherited *inherited, uintptr_t page)
{
    uintptr_t start_before = inherited->last.start;
    for (uintptr_t at = page; at > inherited->looked;) {
        at -= CRN_PAGE_BYTES;
        page_look(inherited, at, false);
        if (inherited->last.start != start_before)
            break;
    }
    inherited->looked = page + CRN_PAGE_BYTES;
}

static void page_add(struct inherited *inherited, uintptr_t page)
{
    last_find(inherited, page);
    if (inherited->last.end > page)
        block_add(inherited, inherited->last.record, inherited->last.start,
                  inherited->last.end - inherited->last.start, page);
    page_look(inherited, page, true);
}

static void run_visit(uintptr_t start, uintptr_t end, void *user)
{
    for (uintptr_t page = start; page < end; page += CRN_PAGE_BYTES)
        page_add(user, page);
}

bool crn_build_inherited(struct crn_snap_builder *builder)
{
    const struct crn_snap *snap = builder->snap;
    struct inherited inherited = {.builder = builder, .looked = snap->heap->index.base};
    if (!snap->is_narrow)
        return true;
    if (!crn_pages_leave_out_inherited(true))
        return false;
    crn_pages_for_each(inherited.looked, snap->heap_end, false, run_visit, &inherited);
    piece_end(&inherited);
    return true;
}
