/*
 * What programs that use the probe API find here: the other side of coroner/coroner.h.
 *
 * A handle that is not valid, or an event that cannot be, costs one line and changes nothing.
 */
#include "shim/decoder.h"
#include "shim/enter.h"
#include "shim/state.h"
#include "shim/triggers.h"
#include "coroner/coroner.h"
#include "base/sys.h"
#include "check/demand.h"
#include "coro/probe.h"

#include <stdlib.h>

/* One line for the program's mistake; after some of them, silence. */
#define MISUSE(...)                                                 \
    do {                                                            \
        enum { LINES_MAX = 20 };                                    \
        static _Atomic uint32_t said;                               \
        static _Atomic int said_by; /* a forked child has its own */\
        if (said_by != crn_shim.process.pid) {                      \
            said_by = crn_shim.process.pid;                         \
            said = 0;                                               \
        }                                                           \
        if (said < LINES_MAX && said++ < LINES_MAX)                 \
            crn_log(__VA_ARGS__);                                   \
    } while (0)

/* The pid of who asked: a forked child did not; 0: nobody. */
static _Atomic int is_check_requested;

CRN_EXPORT CRN_REALIGNED int coroner_active(void)
{
    return crn_shim.phase == CRN_SHIM_ON;
}

/* The thread, when there is something to do for it; a check that was asked for comes first. */
static struct crn_thread *probe_begin(void)
{
    if (CRN_UNLIKELY(crn_shim.phase != CRN_SHIM_ON))
        return NULL;
    struct crn_thread *self = crn_shim_thread();
    if (CRN_UNLIKELY(self == NULL || self->is_busy))
        return NULL;
    if (CRN_UNLIKELY(is_check_requested != 0) &&
        atomic_exchange_explicit(&is_check_requested, 0, memory_order_relaxed) ==
            crn_shim.process.pid)
        crn_check_on_demand((struct crn_occasion){.scope = 0}, CRN_REPORT_ANY, NULL, NULL);
    return self;
}

/* 0 and "global" mean what they say; a handle that has ended means none. */
static uint32_t scope_of(const struct crn_thread *self, uint64_t handle, const char *what)
{
    if (handle == 0)
        return crn_scope_current(self);
    if (handle == UINT64_MAX)
        return 0;
    uint32_t number = crn_scope_number(handle);
    if (number == 0)
        MISUSE("%s: the scope has ended; none is used", what);
    return number;
}

CRN_EXPORT CRN_REALIGNED uint64_t coroner_v1_scope_begin(uint64_t parent, const char *name,
                                                         int enters)
{
    struct crn_thread *self = probe_begin();
    if (self == NULL)
        return 0;
    crn_busy_begin(self);
    uint32_t number =
        crn_scope_begin(scope_of(self, parent, "coroner_scope_make"), name, self->tid);
    if (number != 0 && enters)
        crn_scope_enter(self, number);
    crn_busy_end(self);
    return crn_scope_handle(number);
}

static bool is_watched(uint32_t scope)
{
    const struct crn_watch *rows = (const struct crn_watch *)crn_probes.watches.base;
    for (uint32_t i = 0; i < crn_probes.watch_count; i++)
        if (rows[i].object != 0 && crn_scope_is_inside(rows[i].scope, scope))
            return true;
    return false;
}

/* Whether anything may be left of a scope, or of those inside it. */
static bool has_left(uint32_t number)
{
    const struct crn_scope *scope = crn_scope_at(number);
    return scope->live_blocks > 0 || scope->live_coros > 0 || scope->children > 0 ||
           crn_probes.swallower_count > 0 || (crn_probes.watch_count > 0 && is_watched(number));
}

/* A check as enum coroner_check_flags wants it.  Aborts when they say so and something is proven. */
static size_t check_ask(struct crn_occasion occasion, unsigned flags,
                        struct coroner_summary *answer, const struct crn_saved_registers *from)
{
    struct crn_demand_summary summary;
    crn_decoder_load();
    size_t count = crn_check_on_demand(occasion,
                                       (flags & CORONER_REPORT) != 0  ? CRN_REPORT_ANY
                                       : (flags & CORONER_ABORT) != 0 ? CRN_REPORT_PROVEN
                                                                      : CRN_REPORT_NEVER,
                                       &summary, from);
    if (answer != NULL)
        *answer = (struct coroner_summary){.findings = summary.entries,
                                           .leaked_blocks = summary.leaked_blocks,
                                           .leaked_bytes = summary.leaked_bytes,
                                           .likely_blocks = summary.likely_blocks,
                                           .likely_bytes = summary.likely_bytes,
                                           .pause_ns = summary.pause_ns};
    if ((flags & CORONER_ABORT) != 0 && summary.proven > 0)
        abort();
    return count;
}

/* coroner_v1_scope_end */
CRN_REALIGNED size_t crn_probe_scope_end(uint64_t handle, unsigned flags,
                                         const struct crn_saved_registers *from)
{
    struct crn_thread *self = probe_begin();
    if (self == NULL)
        return 0;
    uint32_t number = handle == 0 ? crn_scope_current(self) : crn_scope_number(handle);
    if (number == 0) {
        MISUSE("coroner_scope_end: this scope is not open: ended twice, or never begun");
        return 0;
    }
    handle = crn_scope_handle(number);
    struct crn_scope *scope = crn_scope_at(number);
    uint32_t parent = scope->parent;
    const char *name = scope->name;
    crn_demand_forget(self);
    /* It is over: what is allocated from here on is not for it. */
    if (crn_scope_current(self) == number)
        crn_scope_enter(self, crn_scope_if_open(parent));
    size_t count = 0;
    if (has_left(number) && (flags & CORONER_LATER) == 0)
        count = check_ask((struct crn_occasion){.scope = number, .is_scope_end = true}, flags,
                          NULL, from);
    uint32_t orphans;
    crn_busy_begin(self);
    bool is_ended = crn_scope_end(handle, self->tid, &orphans);
    crn_busy_end(self);
    if (!is_ended)
        MISUSE("coroner_scope_end: two threads end \"%s\"", name != NULL ? name : "?");
    if (orphans > 0)
        MISUSE("coroner_scope_end: \"%s\" ended before %u inside it, which go on in its parent",
               name != NULL ? name : "?", orphans);
    return count;
}

CRN_EXPORT CRN_REALIGNED uint64_t coroner_v1_scope_enter(uint64_t handle)
{
    struct crn_thread *self = probe_begin();
    if (self == NULL)
        return 0;
    uint32_t previous = crn_scope_current(self);
    crn_scope_enter(self, handle == 0 ? 0 : scope_of(self, handle, "coroner_scope_enter"));
    return previous != 0 ? crn_scope_handle(previous) : UINT64_MAX;
}

CRN_EXPORT CRN_REALIGNED uint64_t coroner_v1_scope_current(void)
{
    struct crn_thread *self = probe_begin();
    uint32_t current = self != NULL ? crn_scope_current(self) : 0;
    return current == 0 ? UINT64_MAX : crn_scope_handle(current);
}

/* `here`: the frame of the function that the program called. */
static CRN_REALIGNED CRN_NOINLINE uint64_t co_begin(uint64_t scope, const char *name,
                                                    const void *frame, size_t bytes, int kind,
                                                    const uintptr_t *here)
{
    struct crn_thread *self = probe_begin();
    struct crn_block block;
    if (self == NULL)
        return 0;
    if (frame == NULL) {
        MISUSE("coroner_co_begin: \"%s\" has no frame; it is not tracked", name != NULL ? name : "?");
        return 0;
    }
    struct crn_range memory = {(uintptr_t)frame, (uintptr_t)frame + bytes};
    if (bytes == 0 && crn_index_find(&crn_heap.index, memory.start, &block))
        memory.end = block.start + block.size;
    bool has_room = crn_thread_has_room(self, (uintptr_t)here);
    uint32_t node = has_room && crn_shim.takes_stacks ? crn_shim_capture(self, here) : 0;
    uint32_t number = scope_of(self, scope, "coroner_co_begin");
    crn_busy_begin(self);
    uint64_t handle =
        crn_probe_begin(self, number, name, memory, (enum crn_probe_kind)kind, node);
    crn_busy_end(self);
    return handle;
}

CRN_EXPORT uint64_t coroner_v1_co_begin(uint64_t scope, const char *name, const void *frame,
                                        size_t bytes, int kind)
{
    return co_begin(scope, name, frame, bytes, kind, __builtin_frame_address(0));
}

static const char *const event_names[] = {
    [CORONER_CO_SUSPENDED] = "coroner_co_suspend",
    [CORONER_CO_SUSPENDED_WITH_HOOK] = "coroner_co_suspend_cancellable",
    [CORONER_CO_SUSPENDED_WITHOUT_HOOK] = "coroner_co_suspend_cancellable",
    [CORONER_CO_RESUMED] = "coroner_co_resume",
    [CORONER_CO_COMPLETED] = "coroner_co_complete",
    [CORONER_CO_DESTROYED] = "coroner_co_destroy",
    [CORONER_CO_CANCEL_REQUESTED] = "coroner_co_cancel",
    [CORONER_CO_CANCEL_SEEN] = "coroner_co_cancel_seen",
    [CORONER_CO_RETIRED] = "coroner_co_retire",
};

static void cancel_request(struct crn_probe *probe)
{
    if (probe->is_cancelled || probe->state == CRN_CORO_COMPLETED)
        return; /* once is enough, and too late is no mistake: somebody else was faster */
    probe->cancelled_ns = crn_now_ns();
    atomic_store_explicit(&probe->is_cancelled, 1, memory_order_release);
}

static CRN_COLD void event_refuse(const struct crn_probe *probe, uint64_t handle, int event)
{
    if (handle == 0 || (unsigned)event >= CRN_COUNT_OF(event_names))
        return; /* it was never tracked: a NULL of its kind */
    if (probe == NULL)
        MISUSE("%s: this coroutine was destroyed, or has already ended", event_names[event]);
    else
        MISUSE("%s: coroutine \"%s\" %s", event_names[event],
               probe->name != NULL ? probe->name : "?",
               probe->state == CRN_CORO_COMPLETED   ? "has ended already"
               : probe->state == CRN_CORO_SUSPENDED ? "is suspended already"
                                                    : "runs already");
}

/* Whether an event can follow on what was told before. */
static bool is_possible(const struct crn_probe *probe, int event)
{
    switch (probe->state) {
    case CRN_CORO_COMPLETED:
        return event == CORONER_CO_DESTROYED || event == CORONER_CO_RETIRED ||
               event == CORONER_CO_CANCEL_REQUESTED;
    case CRN_CORO_SUSPENDED:
        return event != CORONER_CO_SUSPENDED && event != CORONER_CO_SUSPENDED_WITH_HOOK &&
               event != CORONER_CO_SUSPENDED_WITHOUT_HOOK;
    case CRN_CORO_RUNNING:
        return event != CORONER_CO_RESUMED;
    default:
        return true;
    }
}

/* Whether its switches were seen, so that it is in the registry as well. */
static bool is_known_anyhow(struct crn_thread *self, const struct crn_probe *probe)
{
    crn_busy_begin(self);
    crn_lock_acquire(&crn_coros.lock, self->tid);
    bool is_known = crn_coro_find_locked(probe->start) != 0;
    crn_lock_release(&crn_coros.lock);
    crn_busy_end(self);
    return is_known;
}

static void event_note(struct crn_thread *self, struct crn_probe *probe, uint64_t handle, int event)
{
    if (CRN_UNLIKELY(!is_possible(probe, event))) {
        event_refuse(probe, handle, event);
        return;
    }
    uintptr_t sp = (probe->flags & CRN_PROBE_STACK) != 0 ? (uintptr_t)__builtin_frame_address(0) : 0;
    switch (event) {
    case CORONER_CO_SUSPENDED:
        crn_probe_suspend(self, probe, sp, 0);
        break;
    case CORONER_CO_SUSPENDED_WITH_HOOK:
        crn_probe_suspend(self, probe, sp, CRN_PROBE_HAS_HOOK);
        break;
    case CORONER_CO_SUSPENDED_WITHOUT_HOOK:
        crn_probe_suspend(self, probe, sp, CRN_PROBE_NO_HOOK);
        break;
    case CORONER_CO_RESUMED:
        crn_probe_resume(self, probe);
        break;
    case CORONER_CO_COMPLETED:
        crn_probe_complete(self, probe);
        break;
    case CORONER_CO_DESTROYED:
        if ((probe->flags & CRN_PROBE_STACK) != 0 && is_known_anyhow(self, probe))
            crn_probes.destroyed--; /* it is counted where it is known, too */
        crn_probe_destroy(self, probe);
        break;
    case CORONER_CO_CANCEL_REQUESTED:
        cancel_request(probe);
        break;
    case CORONER_CO_CANCEL_SEEN:
        probe->flags |= CRN_PROBE_CANCEL_SEEN;
        break;
    case CORONER_CO_RETIRED:
        probe->flags |= CRN_PROBE_RETIRED;
        break;
    default:
        break;
    }
}

CRN_EXPORT CRN_REALIGNED void coroner_v1_co_note(uint64_t handle, int event)
{
    struct crn_thread *self = probe_begin();
    if (CRN_UNLIKELY(self == NULL))
        return;
    struct crn_probe *probe = crn_probe_find(handle);
    if (CRN_UNLIKELY(probe == NULL)) {
        event_refuse(NULL, handle, event);
        return;
    }
    event_note(self, probe, handle, event);
}

CRN_EXPORT CRN_REALIGNED void coroner_v1_co_move(uint64_t handle, uint64_t scope)
{
    struct crn_thread *self = probe_begin();
    struct crn_probe *probe = self != NULL ? crn_probe_find(handle) : NULL;
    if (probe != NULL)
        crn_probe_move(self, probe, scope_of(self, scope, "coroner_co_move"));
    else if (self != NULL && handle != 0)
        MISUSE("coroner_co_move: this coroutine was destroyed");
}

CRN_EXPORT CRN_REALIGNED uint64_t coroner_v1_co_current(void)
{
    struct crn_thread *self = probe_begin();
    struct crn_probe *probe = self != NULL ? crn_probe_current(self) : NULL;
    return probe != NULL ? (uint64_t)probe->generation << 32 | self->task.probe : 0;
}

/* `frame->bitmap` is the local "bitmap". */
static const char *last_part(const char *name)
{
    const char *last = name;
    for (const char *at = name; at != NULL && *at != 0; at++)
        if (*at == '.' || (at[0] == '-' && at[1] == '>'))
            last = at + (*at == '.' ? 1 : 2);
    return last;
}

CRN_EXPORT CRN_REALIGNED void coroner_v1_local(uint64_t handle, const char *name, const void *slot,
                                               size_t bytes)
{
    struct crn_thread *self = probe_begin();
    struct crn_probe *probe = self != NULL ? crn_probe_find(handle) : NULL;
    if (self == NULL || handle == 0)
        return;
    if (probe == NULL || slot == NULL || bytes < sizeof(void *)) {
        MISUSE("coroner_local: \"%s\" %s", name != NULL ? last_part(name) : "?",
               probe == NULL ? "belongs to a coroutine that was destroyed"
                             : "cannot hold a pointer; it is not tracked");
        return;
    }
    crn_busy_begin(self);
    bool is_new = crn_probe_local(self, probe, last_part(name), (uintptr_t)slot);
    crn_busy_end(self);
    if (!is_new)
        MISUSE("coroner_local: \"%s\" is registered already",
               name != NULL ? last_part(name) : "?");
}

CRN_EXPORT CRN_REALIGNED void coroner_v1_local_done(uint64_t handle, const void *slot)
{
    struct crn_thread *self = probe_begin();
    struct crn_probe *probe = self != NULL ? crn_probe_find(handle) : NULL;
    if (self == NULL || handle == 0)
        return;
    crn_busy_begin(self);
    bool is_known = probe != NULL && crn_probe_local_done(self, probe, (uintptr_t)slot);
    crn_busy_end(self);
    if (!is_known)
        MISUSE("coroner_local_done: this is no registered local of a coroutine that exists");
}

CRN_EXPORT CRN_REALIGNED void coroner_v1_watch(const void *object, const char *why)
{
    struct crn_thread *self = probe_begin();
    if (self == NULL || object == NULL)
        return;
    crn_busy_begin(self);
    crn_probe_watch(self, (uintptr_t)object, why);
    crn_busy_end(self);
}

CRN_EXPORT CRN_REALIGNED void coroner_v1_ignore(const void *object, int detaches)
{
    struct crn_thread *self = probe_begin();
    struct crn_block block;
    if (self == NULL || !crn_index_find(&crn_heap.index, (uintptr_t)object, &block))
        return;
    uint32_t owner = detaches ? 0 : CRN_OWNER_IGNORED;
    uint32_t before = __atomic_exchange_n(&block.record->coro, owner, __ATOMIC_RELAXED);
    crn_owner_count(before, -1);
    if (!detaches)
        crn_scopes.has_ignored = true;
}

/* coroner_v1_check */
size_t crn_probe_check(uint64_t handle, unsigned flags, struct coroner_summary *summary,
                       const struct crn_saved_registers *from)
{
    struct crn_thread *self = probe_begin();
    uint32_t number = 0;
    if (self == NULL)
        return 0;
    if (handle != 0 && (number = scope_of(self, handle, "coroner_check_scope")) == 0)
        return 0;
    return check_ask((struct crn_occasion){.scope = number}, flags, summary, from);
}

CRN_EXPORT CRN_REALIGNED void coroner_v1_check_request(void)
{
    if (!crn_trigger_fire()) /* else at the next probe, by ourselves */
        is_check_requested = crn_shim.process.pid;
}

CRN_EXPORT CRN_REALIGNED int coroner_v1_finding(size_t index, struct coroner_finding *finding)
{
    static const char *const verdicts[CRN_VERDICT_COUNT] = {"live",      "stale",     "completed",
                                                            "cancelled", "abandoned", "lost"};
    static const enum coroner_finding_kind kinds[CRN_FINDING_COUNT] = {
        [CRN_FINDING_OUTLIVED] = CORONER_OUTLIVED,
        [CRN_FINDING_ZOMBIE] = CORONER_ZOMBIE,
        [CRN_FINDING_SWALLOWED] = CORONER_SWALLOWED,
        [CRN_FINDING_NO_CANCEL_HOOK] = CORONER_NO_CANCEL_HOOK,
        [CRN_FINDING_UNFINISHED_WATCH] = CORONER_UNFINISHED_WATCH,
    };
    struct crn_demand_entry entry;
    if (finding == NULL || !crn_demand_entry_read(index, &entry))
        return 0;
    *finding = (struct coroner_finding){
        .kind = entry.is_leak ? CORONER_LEAK : kinds[entry.finding],
        .verdict = entry.is_leak ? verdicts[entry.verdict] : NULL,
        .is_proven = entry.is_proven,
        .coroutine = entry.coroutine,
        .local = entry.local,
        .why = entry.why,
        .address = (const void *)entry.address,
        .blocks = entry.blocks,
        .bytes = entry.bytes,
    };
    return 1;
}

CRN_EXPORT CRN_REALIGNED void coroner_v1_region(const void *start, size_t bytes, int is_root)
{
    struct crn_thread *self = probe_begin();
    struct crn_range range = {(uintptr_t)start, (uintptr_t)start + bytes};
    if (self == NULL || start == NULL || bytes == 0)
        return;
    crn_busy_begin(self);
    if (is_root ? !crn_region_root_add(range, self->tid) : !crn_region_root_remove(range, self->tid))
        MISUSE("%s: %s", is_root ? "coroner_root_add" : "coroner_root_remove",
               is_root ? "there are too many root regions" : "this is no root region");
    crn_busy_end(self);
}

CRN_EXPORT CRN_REALIGNED void coroner_v1_disable(int by)
{
    struct crn_thread *self = probe_begin();
    if (self == NULL)
        return;
    if (by < 0 && self->task.disabled == 0) {
        MISUSE("coroner_enable: without coroner_disable before it");
        return;
    }
    self->task.disabled = (uint32_t)((int)self->task.disabled + by);
    crn_scopes.has_ignored = true;
    crn_owner_update(self);
}

/* coroner_v1_assert_failed */
void crn_probe_assert_failed(const char *file, int line, size_t count,
                             const struct crn_saved_registers *from)
{
    struct crn_thread *self = probe_begin();
    if (self != NULL) {
        crn_decoder_load();
        crn_check_on_demand((struct crn_occasion){.scope = 0}, CRN_REPORT_ANY, NULL, from);
    }
    crn_log("%s:%d: CORONER_ASSERT_NONE: %zu found", file, line, count);
    abort();
}
