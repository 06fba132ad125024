/*
 * What a forked child has made.  See young.h.
 */
#include "heap/heap.h"
#include "base/sort.h"

void crn_young_open(struct crn_young *young)
{
    young->count = young->has_grown = 0;
    young->is_open = 1;
}

static bool is_born_since(struct crn_heap *heap, uintptr_t start, uint64_t birth, int tid)
{
    struct crn_outside_block outside;
    unsigned class_index;
    if (!crn_index_is_inside(&heap->index, start))
        return crn_outside_find(&heap->outside, start, &outside, tid) &&
               crn_birth_of(heap, &outside.record) >= birth;
    const struct crn_record *record = crn_index_slot(&heap->index, start, &class_index);
    return record != NULL && crn_record_is_live(record) && crn_birth_of(heap, record) >= birth;
}

bool crn_young_any_since(struct crn_heap *heap, uint64_t birth, int tid)
{
    struct crn_young *young = &heap->young;
    uint32_t count = young->count;
    if (count > CRN_YOUNG_MAX)
        return true; /* it closes at this moment */
    for (uint32_t i = 0; i < count; i++)
        if (is_born_since(heap, young->starts[i], birth, tid))
            return true;
    return false;
}

static bool block_less(const void *a, const void *b)
{
    return ((const struct crn_block *)a)->start < ((const struct crn_block *)b)->start;
}

size_t crn_young_list(struct crn_heap *heap, uint64_t birth, struct crn_block *blocks)
{
    size_t count = 0, kept = 0;
    uint32_t noted = heap->young.count < CRN_YOUNG_MAX ? heap->young.count : CRN_YOUNG_MAX;
    for (uint32_t i = 0; i < noted; i++) {
        uintptr_t start = heap->young.starts[i];
        if (crn_index_is_inside(&heap->index, start) &&
            crn_index_find(&heap->index, start, &blocks[count]) && blocks[count].start == start &&
            crn_birth_of(heap, blocks[count].record) >= birth)
            count++;
    }
    crn_sort(blocks, count, sizeof *blocks, block_less);
    for (size_t i = 0; i < count; i++) /* an address may have been given out more than once */
        if (i == 0 || blocks[i].start != blocks[kept - 1].start)
            blocks[kept++] = blocks[i];
    return kept;
}
