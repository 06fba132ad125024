/*
 * The heap of this process.  See heap.h.
 */
#include "heap/heap.h"
#include "base/sys.h"

struct crn_heap crn_heap;
void (*crn_heap_alarm)(int64_t live_bytes);

bool crn_heap_init(struct crn_heap *heap)
{
    heap->started_ns = crn_now_ns();
    crn_births_init(heap);
    size_t span = crn_region_init(&heap->region) ? heap->region.end - heap->region.base : 0;
    return crn_index_init(&heap->index, heap->region.base, span) == CRN_OK;
}

void crn_heap_counts_flush(struct crn_heap *heap, struct crn_heap_counts *counts)
{
    heap->allocations += counts->allocations;
    heap->frees += counts->frees;
    int64_t live = atomic_fetch_add(&heap->live_bytes, counts->live_bytes) + counts->live_bytes;
    int64_t peak = heap->peak_bytes;
    while (live > peak &&
           !atomic_compare_exchange_weak_explicit(&heap->peak_bytes, &peak, live,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
    *counts = (struct crn_heap_counts){0, 0, 0};
    if (CRN_UNLIKELY(heap->alarm_bytes != 0) && live > heap->alarm_bytes)
        crn_heap_alarm(live);
    crn_births_tick(heap);
}

void crn_heap_after_fork(struct crn_heap *heap)
{
    crn_index_after_fork(&heap->index);
    crn_outside_after_fork(&heap->outside);
    crn_extents_after_fork(&heap->extents);
    if (heap->region.lock.word != 0)
        heap->region.gap_count = 0; /* it may be half changed; the addresses are lost */
    crn_lock_init(&heap->region.lock);
    crn_births_after_fork(heap);
    heap->birth_line = crn_heap_line_draw(heap);
    crn_young_open(&heap->young);
    heap->allocations = heap->frees = heap->bad_frees = 0;
    heap->peak_bytes = heap->live_bytes = 0;
}
