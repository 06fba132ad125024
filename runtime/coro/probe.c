/*
 * Announced coroutines.  See probe.h.
 */
#include "coro/probe.h"
#include "base/sys.h"

#include <string.h>

enum { PROBES_MAX = 1 << 26, LOCALS_MAX = 1 << 26, WATCHES_MAX = 1 << 20, SWALLOWERS_MAX = 1 << 16 };

struct crn_probes crn_probes;

bool crn_probes_init(void)
{
    crn_probes.made = crn_probes.locals_made = 1;
    return crn_span_init(&crn_probes.rows, PROBES_MAX * sizeof(struct crn_probe)) &&
           crn_span_init(&crn_probes.locals, LOCALS_MAX * sizeof(struct crn_local)) &&
           crn_span_init(&crn_probes.swallowers, SWALLOWERS_MAX * sizeof(struct crn_swallower)) &&
           crn_span_init(&crn_probes.watches, WATCHES_MAX * sizeof(struct crn_watch));
}

static uint32_t probe_take_locked(void)
{
    uint32_t number = crn_probes.free_first;
    if (number != 0) {
        crn_probes.free_first = crn_probe_at(number)->next_free;
        return number;
    }
    number = crn_probes.made;
    if (!crn_span_ensure(&crn_probes.rows, ((size_t)number + 1) * sizeof(struct crn_probe)))
        return 0;
    crn_probes.made = number + 1;
    return number;
}

static void scope_count(const struct crn_probe *probe, int by)
{
    if (probe->scope != 0)
        atomic_fetch_add_explicit(&crn_scope_at(probe->scope)->live_coros, by,
                                  memory_order_relaxed);
}

static bool is_alive(const struct crn_probe *probe)
{
    return probe->state != CRN_CORO_COMPLETED && (probe->generation & 1) != 0;
}

uint64_t crn_probe_begin(struct crn_thread *thread, uint32_t scope, const char *name,
                         struct crn_range memory, enum crn_probe_kind kind, uint32_t created_node)
{
    if (crn_probes.rows.base == NULL)
        return 0;
    crn_lock_acquire(&crn_probes.lock, thread->tid);
    uint32_t number = probe_take_locked();
    crn_lock_release(&crn_probes.lock);
    if (number == 0)
        return 0;
    struct crn_probe *probe = crn_probe_at(number);
    uint32_t generation = probe->generation + 1;
    memset(probe, 0, sizeof *probe);
    probe->start = memory.start;
    probe->end = memory.end;
    probe->name = name;
    probe->scope = scope;
    probe->scope_handle = crn_scope_handle(scope);
    probe->created_node = created_node;
    probe->born = crn_heap.birth_now;
    probe->state = CRN_CORO_CREATED;
    probe->flags = kind == CRN_PROBE_OF_STACK ? CRN_PROBE_STACK : 0;
    probe->keeps_result = kind == CRN_PROBE_OF_RESULT;
    __atomic_store_n(&probe->generation, generation, __ATOMIC_RELEASE);
    scope_count(probe, 1);
    probe->order = (uint32_t)crn_probes.seen++;
    return (uint64_t)generation << 32 | number;
}

static uint32_t number_of(const struct crn_probe *probe)
{
    return (uint32_t)(probe - (struct crn_probe *)crn_probes.rows.base);
}

struct crn_probe *crn_probe_current(const struct crn_thread *thread)
{
    struct crn_probe *probe = thread->task.probe != 0 ? crn_probe_at(thread->task.probe) : NULL;
    return probe != NULL && probe->state == CRN_CORO_RUNNING && probe->tid == thread->tid ? probe
                                                                                         : NULL;
}

void crn_probe_resume(struct crn_thread *thread, struct crn_probe *probe)
{
    if (CRN_UNLIKELY((probe->flags & CRN_PROBE_JUDGED_DEAD) != 0)) {
        probe->flags &= (uint8_t)~CRN_PROBE_JUDGED_DEAD;
        crn_probes.resurrected++;
    }
    probe->previous = crn_probe_current(thread) != NULL ? thread->task.probe : 0;
    probe->previous_scope = crn_scope_enter(thread, crn_scope_if_open(probe->scope));
    probe->tid = thread->tid;
    probe->state = CRN_CORO_RUNNING;
    if (CRN_UNLIKELY(probe->is_cancelled))
        probe->cancelled_ns = crn_now_ns(); /* its time to end begins when it can */
    probe->flags &= (uint8_t)~(CRN_PROBE_HAS_HOOK | CRN_PROBE_NO_HOOK);
    thread->task.probe = number_of(probe);
}

/* It does not run any more: whoever it interrupted does. */
static void running_leave(struct crn_thread *thread, struct crn_probe *probe)
{
    if (CRN_LIKELY_TRUE(thread->task.probe == number_of(probe))) {
        thread->task.probe = probe->previous;
        crn_scope_enter(thread, crn_scope_number(probe->previous_scope));
    }
    probe->tid = 0;
}

void crn_probe_suspend(struct crn_thread *thread, struct crn_probe *probe, uintptr_t sp,
                       unsigned hook_flags)
{
    probe->sp = sp;
    if ((probe->flags & CRN_PROBE_CANCEL_SEEN) != 0)
        probe->swallowed++;
    probe->flags |= (uint8_t)hook_flags;
    running_leave(thread, probe);
    __atomic_store_n(&probe->state, CRN_CORO_SUSPENDED, __ATOMIC_RELEASE);
}

/* Keeps what is to be said of one that ends. */
static void swallower_keep(struct crn_thread *thread, struct crn_probe *probe)
{
    if (CRN_LIKELY_TRUE(probe->swallowed == 0))
        return;
    crn_lock_acquire(&crn_probes.lock, thread->tid);
    uint32_t at = crn_probes.swallower_count;
    if (crn_span_ensure(&crn_probes.swallowers, (at + 1) * sizeof(struct crn_swallower))) {
        ((struct crn_swallower *)crn_probes.swallowers.base)[at] = (struct crn_swallower){
            probe->name, probe->scope != 0 ? crn_scope_at(probe->scope)->name : NULL,
            probe->swallowed};
        crn_probes.swallower_count = at + 1;
    }
    crn_lock_release(&crn_probes.lock);
    probe->swallowed = 0;
}

void crn_probe_complete(struct crn_thread *thread, struct crn_probe *probe)
{
    swallower_keep(thread, probe);
    if (probe->state == CRN_CORO_RUNNING)
        running_leave(thread, probe);
    scope_count(probe, -1);
    probe->state = CRN_CORO_COMPLETED;
}

static void locals_free_locked(struct crn_probe *probe)
{
    while (probe->first_local != 0) {
        uint32_t local = probe->first_local;
        probe->first_local = crn_local_at(local)->next;
        crn_local_at(local)->slot = 0;
        crn_local_at(local)->next = crn_probes.locals_free;
        crn_probes.locals_free = local;
    }
}

static void destroy_locked(struct crn_probe *probe)
{
    if (is_alive(probe))
        scope_count(probe, -1);
    locals_free_locked(probe);
    probe->generation++;
    probe->state = CRN_CORO_DESTROYED;
    probe->next_free = crn_probes.free_first;
    crn_probes.free_first = number_of(probe);
    crn_probes.destroyed++;
}

void crn_probe_destroy(struct crn_thread *thread, struct crn_probe *probe)
{
    swallower_keep(thread, probe);
    if (probe->state == CRN_CORO_RUNNING)
        running_leave(thread, probe);
    crn_lock_acquire(&crn_probes.lock, thread->tid);
    destroy_locked(probe);
    crn_lock_release(&crn_probes.lock);
}

struct crn_probes_gone crn_probes_bury_locked(void)
{
    struct crn_probes_gone gone = {0, 0, NULL, NULL};
    for (uint32_t i = 1; i < crn_probes.made && crn_probes.gone_count > 0; i++) {
        struct crn_probe *probe = crn_probe_at(i);
        if ((probe->generation & 1) == 0 || probe->fate < CRN_PROBE_IS_GONE)
            continue;
        if (probe->fate == CRN_PROBE_IS_GONE && gone.freed_count++ == 0)
            gone.freed_name = probe->name;
        if (probe->fate == CRN_PROBE_IS_REPLACED && gone.replaced_count++ == 0)
            gone.replaced_name = probe->name;
        destroy_locked(probe);
    }
    crn_probes.gone_count = 0;
    return gone;
}

void crn_probe_move(struct crn_thread *thread, struct crn_probe *probe, uint32_t scope)
{
    if (is_alive(probe))
        scope_count(probe, -1);
    probe->scope = scope;
    probe->scope_handle = crn_scope_handle(scope);
    if (scope == 0)
        probe->flags |= CRN_PROBE_IS_DETACHED;
    if (is_alive(probe))
        scope_count(probe, 1);
    if (crn_probe_current(thread) == probe)
        crn_scope_enter(thread, scope);
}

bool crn_probe_local(struct crn_thread *thread, struct crn_probe *probe, const char *name,
                     uintptr_t slot)
{
    bool is_new = true;
    crn_lock_acquire(&crn_probes.lock, thread->tid);
    uint32_t number = probe->first_local;
    while (number != 0 && crn_local_at(number)->slot != slot)
        number = crn_local_at(number)->next;
    if (number != 0) {
        is_new = crn_local_at(number)->is_done != 0;
        crn_local_at(number)->is_done = 0;
        crn_local_at(number)->name = name;
        crn_lock_release(&crn_probes.lock);
        return is_new;
    }
    number = crn_probes.locals_free;
    if (number != 0) {
        crn_probes.locals_free = crn_local_at(number)->next;
    } else if (crn_span_ensure(&crn_probes.locals, ((size_t)crn_probes.locals_made + 1) *
                                                       sizeof(struct crn_local))) {
        number = crn_probes.locals_made++;
    }
    if (number != 0) {
        *crn_local_at(number) =
            (struct crn_local){slot, name, number_of(probe), probe->first_local, 0};
        probe->first_local = number;
    }
    crn_lock_release(&crn_probes.lock);
    return true;
}

bool crn_probe_local_done(struct crn_thread *thread, struct crn_probe *probe, uintptr_t slot)
{
    crn_lock_acquire(&crn_probes.lock, thread->tid);
    uint32_t number = probe->first_local;
    while (number != 0 && crn_local_at(number)->slot != slot)
        number = crn_local_at(number)->next;
    if (number != 0)
        crn_local_at(number)->is_done = 1;
    crn_lock_release(&crn_probes.lock);
    return number != 0;
}

/* The row of a watch that has been reported, or whose object is gone; else a new one. */
static struct crn_watch *watch_take_locked(uintptr_t object)
{
    struct crn_watch *rows = (struct crn_watch *)crn_probes.watches.base;
    for (uint32_t i = 0; i < crn_probes.watch_count; i++)
        if (rows[i].object == object || rows[i].object == 0)
            return &rows[i];
    if (!crn_span_ensure(&crn_probes.watches,
                         ((size_t)crn_probes.watch_count + 1) * sizeof *rows))
        return NULL;
    return &rows[crn_probes.watch_count++];
}

void crn_probe_watch(struct crn_thread *thread, uintptr_t object, const char *why)
{
    crn_lock_acquire(&crn_probes.lock, thread->tid);
    struct crn_watch *watch = watch_take_locked(object);
    struct crn_block block;
    if (crn_index_find(&crn_heap.index, object, &block)) /* so that freeing it is noticed */
        crn_record_make_special(block.record);
    if (watch != NULL)
        *watch = (struct crn_watch){object, why, crn_scope_current(thread), crn_heap.birth_now, 0};
    crn_lock_release(&crn_probes.lock);
}

void crn_watches_note_gone(uintptr_t start, uintptr_t end, int tid)
{
    struct crn_watch *rows = (struct crn_watch *)crn_probes.watches.base;
    if (CRN_LIKELY_TRUE(crn_probes.watch_count == 0))
        return;
    crn_lock_acquire(&crn_probes.lock, tid);
    for (uint32_t i = 0; i < crn_probes.watch_count; i++)
        if (rows[i].object - start < end - start)
            rows[i].object = 0;
    crn_lock_release(&crn_probes.lock);
}

void crn_probes_after_fork(void)
{
    struct crn_thread *self = crn_self;
    if (crn_probes.lock.word == 0)
        crn_probes_bury_locked(); /* the parent tells of these, */
    crn_lock_init(&crn_probes.lock);
    crn_probes.swallower_count = crn_probes.gone_count = 0; /* and of those */
    crn_probes.destroyed = crn_probes.resurrected = 0;
    uint32_t number = self != NULL ? self->task.probe : 0;
    for (unsigned left = 64; number != 0 && left > 0; left--) {
        struct crn_probe *probe = crn_probe_at(number);
        if (probe->state != CRN_CORO_RUNNING || probe->tid != self->tid)
            break;
        probe->tid = crn_sys_gettid(); /* it goes on in the child */
        number = probe->previous;
    }
}
