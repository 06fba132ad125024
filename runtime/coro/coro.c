/*
 * The registry of coroutines.  See coro.h.
 */
#include "coro/coro.h"
#include "coro/scope.h"
#include "coro/announced.h"
#include "base/maps.h"

#include <signal.h>
#include <string.h>

struct crn_coros crn_coros;

enum { COROS_MAX = 1 << 24 };

bool crn_coros_init(void)
{
    crn_coros.records_made = 1;
    /* Record 0 stands for those that the registry does not know. */
    crn_coros.is_ready = crn_span_init(&crn_coros.records, COROS_MAX * sizeof(struct crn_coro)) &&
                         crn_span_ensure(&crn_coros.records, sizeof(struct crn_coro)) &&
                         crn_ranges_init(&crn_coros.stacks, COROS_MAX) &&
                         crn_ranges_init(&crn_coros.mapped, COROS_MAX) &&
                         crn_ranges_init(&crn_coros.slabs, COROS_MAX);
    return crn_coros.is_ready;
}

uint32_t crn_coro_find_locked(uintptr_t address)
{
    struct crn_ranges_item *item = crn_ranges_find(&crn_coros.stacks, address);
    return item != NULL ? (uint32_t)item->value : 0;
}

/* Takes a coroutine off the map and frees its record, oldest first to be used again. */
static void destroy_locked(uint32_t id)
{
    struct crn_coro *coro = crn_coro_at(id);
    crn_ranges_remove(&crn_coros.stacks, coro->stack_start);
    coro->state = CRN_CORO_DESTROYED;
    coro->next_free = 0;
    crn_coros.destroyed++;
    if (crn_coros.free_last != 0)
        crn_coro_at(crn_coros.free_last)->next_free = id;
    else
        crn_coros.free_first = id;
    crn_coros.free_last = id;
}

static void destroy_overlapping_locked(uintptr_t start, uintptr_t end)
{
    struct crn_ranges_item *item;
    while ((item = crn_ranges_first_above(&crn_coros.stacks, start)) != NULL && item->start < end)
        destroy_locked((uint32_t)item->value);
}

static uint32_t record_take_locked(void)
{
    enum { REST = 4096 }; /* let numbers rest, so that a stale one is not somebody else's at once */
    uint32_t id = crn_coros.free_first;
    if (id != 0 && crn_coros.records_made > REST) {
        crn_coros.free_first = crn_coro_at(id)->next_free;
        if (crn_coros.free_first == 0)
            crn_coros.free_last = 0;
        return id;
    }
    id = crn_coros.records_made;
    if (!crn_span_ensure(&crn_coros.records, ((size_t)id + 1) * sizeof(struct crn_coro)))
        return 0;
    crn_coros.records_made = id + 1;
    return id;
}

/*
 * A block that many stacks are carved from has a row, so that it is looked up once: to walk back to
 * its start for each of them would take time that grows with both.  The flag tells when the block
 * is freed, and then its row goes; one that was resized in place says so by its exact size.
 */
static bool is_in_known_slab(uintptr_t address)
{
    const struct crn_ranges_item *slab = crn_ranges_find(&crn_coros.slabs, address);
    if (slab == NULL)
        return false;
    const struct crn_record *record = (const struct crn_record *)(uintptr_t)slab->value;
    uint64_t meta = __atomic_load_n(&record->meta, __ATOMIC_RELAXED);
    return (~meta & (CRN_META_LIVE | CRN_META_SPECIAL)) == 0 &&
           address - slab->start < (meta & CRN_META_SIZE_MASK);
}

static void slab_note(const struct crn_block *block)
{
    struct crn_ranges_item *old;
    while ((old = crn_ranges_first_above(&crn_coros.slabs, block->start)) != NULL &&
           old->start < block->start + block->usable)
        crn_ranges_remove(&crn_coros.slabs, old->start);
    crn_ranges_insert(&crn_coros.slabs, block->start, block->start + block->usable,
                      (uintptr_t)block->record);
}

static void slabs_forget(uintptr_t start, uintptr_t end)
{
    struct crn_ranges_item *item;
    for (uintptr_t at = start;
         (item = crn_ranges_first_above(&crn_coros.slabs, at)) != NULL && item->start < end;) {
        at = item->end;
        if (item->start >= start)
            crn_ranges_remove(&crn_coros.slabs, item->start);
    }
}

/* So that freeing the block in which [start, end) lies is noticed. */
static void block_flag_locked(uintptr_t start, uintptr_t end)
{
    enum { SLAB_BYTES = 256 * 1024 }; /* below, the way back to its start is short */
    struct crn_block block;
    if (is_in_known_slab(start) || !crn_index_find(&crn_heap.index, start, &block) ||
        crn_record_make_special(block.record) == 0)
        return;
    if (block.usable >= SLAB_BYTES && block.usable / 2 >= end - start)
        slab_note(&block);
}

uint32_t crn_coro_create_locked(const struct crn_announced_kind *kind, uintptr_t start,
                                uintptr_t end, enum crn_coro_state state)
{
    destroy_overlapping_locked(start, end);
    uint32_t id = record_take_locked();
    if (id == 0 || !crn_ranges_insert(&crn_coros.stacks, start, end, id))
        return 0;
    struct crn_coro *coro = crn_coro_at(id);
    uint32_t generation = coro->generation + 1;
    memset(coro, 0, sizeof *coro);
    coro->mechanism = kind->mechanism;
    coro->kind = kind;
    coro->state = (uint8_t)state;
    coro->stack_start = start;
    coro->stack_end = end;
    coro->generation = generation;
    coro->born = crn_heap.birth_now;
    coro->scope = crn_self != NULL ? crn_scope_current(crn_self) : 0;
    crn_coros.seen++;
    crn_coros.is_used = 1;
    block_flag_locked(start, end);
    return id;
}

/* The scope goes with the stack, except that an announced coroutine takes its own along. */
static void scope_switch(struct crn_thread *thread, uint32_t to)
{
    if (CRN_LIKELY_TRUE(thread->task.probe != 0 || thread->coro == to))
        return;
    uint32_t *left = thread->coro == 0 ? &thread->task.own_scope : &crn_coro_at(thread->coro)->scope;
    uint32_t now = to == 0 ? thread->task.own_scope : crn_coro_at(to)->scope;
    *left = thread->task.scope;
    if (now != thread->task.scope)
        crn_scope_enter(thread, crn_scope_if_open(now));
}

void crn_coro_enter_locked(struct crn_thread *thread, uint32_t id)
{
    scope_switch(thread, id);
    if (id == 0) {
        crn_thread_enter(thread, thread->own_start, thread->own_end, 0);
        thread->is_away = false;
        return;
    }
    struct crn_coro *coro = crn_coro_at(id);
    if ((coro->flags & CRN_CORO_JUDGED_DEAD) != 0) {
        coro->flags = (uint8_t)((coro->flags & ~CRN_CORO_JUDGED_DEAD) | CRN_CORO_RESURRECTED);
        crn_coros.resurrected++;
    }
    coro->state = CRN_CORO_RUNNING;
    coro->flags &= (uint8_t)~CRN_CORO_LOOSE;
    crn_thread_enter(thread, coro->stack_start, coro->stack_end, id);
}

void crn_coro_leave_loose_locked(struct crn_thread *thread)
{
    struct crn_coro *left = crn_coro_at(thread->coro);
    if (thread->coro == 0 || left->state != CRN_CORO_RUNNING)
        return;
    left->state = CRN_CORO_SUSPENDED;
    left->flags |= CRN_CORO_LOOSE;
    left->saved.sp = 0;
}

/* The range of a stack nobody told us of: the heap block, else the mapping, that sp lies in. */
static bool unknown_stack_find(struct crn_thread *thread, uintptr_t sp, struct crn_range *range,
                               uint8_t *flags)
{
    struct crn_block block;
    const struct crn_ranges_item *mapped = crn_ranges_find(&crn_coros.mapped, sp);
    if (mapped != NULL && mapped->value == CRN_MAPPED_ONE_STACK) {
        *range = (struct crn_range){mapped->start, mapped->end};
        *flags = CRN_CORO_WHOLE;
        return true;
    }
    if (crn_index_find(&crn_heap.index, sp, &block)) {
        *range = (struct crn_range){block.start, block.start + block.usable};
        *flags = CRN_CORO_NO_MERGE;
        return true;
    }
    struct crn_map_entry entry;
    if (!crn_maps_find(sp, &entry))
        return false;
    *range = (struct crn_range){entry.start, entry.end};
    if (mapped != NULL) {
        range->start = mapped->start > range->start ? mapped->start : range->start;
        range->end = mapped->end < range->end ? mapped->end : range->end;
        *flags = CRN_CORO_NO_MERGE;
        return true;
    }
    if (entry.end == thread->own_end) {
        /* The main thread's stack, grown further than we thought it could. */
        thread->own_start = entry.start;
        return false;
    }
    return true;
}

static bool is_on_signal_stack(const struct crn_thread *thread, uintptr_t sp)
{
    stack_t current;
    if (sp - thread->program_signal_stack < thread->program_signal_bytes)
        return true; /* with SS_AUTODISARM the kernel says that there is none, meanwhile */
    memset(&current, 0, sizeof current);
    /* Not SS_ONSTACK: the kernel means the sp of this very call, on a stack of ours. */
    return crn_syscall2(SYS_sigaltstack, NULL, &current) == 0 &&
           (current.ss_flags & SS_DISABLE) == 0 && sp - (uintptr_t)current.ss_sp < current.ss_size;
}

void crn_coro_resolve(struct crn_thread *thread, uintptr_t sp)
{
    struct crn_range range = {0, 0};
    uint8_t flags = 0;
    bool is_own = sp >= thread->own_start && sp < thread->own_end;
    if (!crn_coros.is_ready)
        return;
    crn_lock_acquire(&crn_coros.lock, thread->tid);
    uint32_t id = crn_coro_find_locked(sp);
    uintptr_t signal_stack = thread->program_signal_stack; /* may be an array on the thread's own */
    bool may_be_signal_stack =
        id == 0 &&
        (!is_own || (signal_stack >= thread->own_start && signal_stack < thread->own_end));
    if (may_be_signal_stack && is_on_signal_stack(thread, sp)) {
        /* A handler on its own stack is no coroutine; it will be over soon. */
        crn_lock_release(&crn_coros.lock);
        return;
    }
    if (id != 0)
        is_own = false; /* a coroutine's stack may be an array on the thread's own */
    else if (!is_own && unknown_stack_find(thread, sp, &range, &flags))
        id =
            crn_coro_create_locked(&crn_announced_stack, range.start, range.end, CRN_CORO_RUNNING);
    if (id != 0)
        crn_coro_at(id)->flags |= flags;
    if (id == 0)
        is_own = true;
    if (id != thread->coro)
        crn_coro_leave_loose_locked(thread);
    if (id != thread->coro || sp - thread->stack_start >= thread->stack_span || is_own)
        crn_coro_enter_locked(thread, is_own ? 0 : id);
    crn_lock_release(&crn_coros.lock);
}

/* Cuts [start, end) out of what is mapped for stacks. */
static void unmapped_locked(uintptr_t start, uintptr_t end)
{
    struct crn_ranges_item *item;
    while ((item = crn_ranges_first_above(&crn_coros.mapped, start)) != NULL && item->start < end) {
        struct crn_ranges_item cut = *item;
        crn_ranges_remove(&crn_coros.mapped, cut.start);
        uint64_t kind = cut.value == CRN_MAPPED_ONE_STACK ? CRN_MAPPED_PLAIN : cut.value;
        if (cut.start < start)
            crn_ranges_insert(&crn_coros.mapped, cut.start, start, kind);
        if (cut.end > end)
            crn_ranges_insert(&crn_coros.mapped, end, cut.end, kind);
    }
}

void crn_coro_note_memory_gone(uintptr_t start, uintptr_t end, int tid)
{
    if (!crn_coros.is_used && !crn_coros.has_mapped)
        return;
    crn_lock_acquire(&crn_coros.lock, tid);
    destroy_overlapping_locked(start, end);
    unmapped_locked(start, end);
    slabs_forget(start, end);
    crn_lock_release(&crn_coros.lock);
}

void crn_coro_note_mapped(uintptr_t start, uintptr_t end, enum crn_mapped_kind kind, int tid)
{
    if (!crn_coros.is_ready || start >= end)
        return;
    crn_lock_acquire(&crn_coros.lock, tid);
    unmapped_locked(start, end);
    crn_ranges_insert(&crn_coros.mapped, start, end, kind);
    crn_coros.has_mapped = 1;
    block_flag_locked(start, end);
    crn_lock_release(&crn_coros.lock);
}

/* Cuts [start, end) out of a stack of a kind not known; what is left on each side is one. */
static void stack_cut_locked(uint32_t id, uintptr_t start, uintptr_t end)
{
    struct crn_coro old = *crn_coro_at(id);
    if (old.stack_start < start) {
        crn_ranges_remove(&crn_coros.stacks, old.stack_start);
        crn_ranges_insert(&crn_coros.stacks, old.stack_start, start, id);
        crn_coro_at(id)->stack_end = start;
    } else {
        destroy_locked(id);
    }
    if (old.stack_end > end) {
        uint32_t above =
            crn_coro_create_locked(old.kind, end, old.stack_end, CRN_CORO_SUSPENDED);
        if (above != 0) {
            crn_coro_at(above)->flags = old.flags;
            crn_coro_at(above)->born = old.born;
        }
    }
}

void crn_coro_note_guard(struct crn_thread *thread, uintptr_t start, uintptr_t end)
{
    struct crn_ranges_item *item;
    if (!crn_coros.is_used)
        return;
    crn_lock_acquire(&crn_coros.lock, thread->tid);
    for (uintptr_t at = start;
         (item = crn_ranges_first_above(&crn_coros.stacks, at)) != NULL && item->start < end;) {
        uint32_t id = (uint32_t)item->value;
        at = item->end;
        if (crn_coro_at(id)->mechanism == CRN_MECHANISM_STACK)
            stack_cut_locked(id, start, end);
    }
    if (thread->coro != 0 && thread->stack_start < end &&
        start < thread->stack_start + thread->stack_span)
        crn_thread_enter(thread, 0, 0, 0); /* where we are is looked up again */
    crn_lock_release(&crn_coros.lock);
}

void crn_coros_after_fork(void)
{
    /*
     * If another thread was changing the registry, the map may be torn: start it anew.  Records
     * stay, so that the counts do; their stacks count as ordinary memory of the parent's.
     */
    if (crn_coros.lock.word != 0) {
        crn_coros.stacks.chunk_count = 0;
        crn_coros.stacks.item_count = 0;
        crn_coros.mapped.chunk_count = 0;
        crn_coros.mapped.item_count = 0;
        crn_coros.slabs.chunk_count = 0;
        crn_coros.slabs.item_count = 0;
        crn_coros.free_first = crn_coros.free_last = 0;
    }
    crn_coros.seen = crn_coros.stacks.item_count;
    crn_coros.destroyed = crn_coros.resurrected = 0;
    crn_lock_init(&crn_coros.lock);
}
