/*
 * What programs find here that speak to Valgrind or to gperftools' heap checker: the other side of
 * coroner/compat.
 *
 * A stack that is registered is exactly one stack.  Its number is its row, so that it can be taken
 * back or moved.
 */
#include "shim/state.h"
#include "shim/enter.h"
#include "check/demand.h"
#include "coro/coro.h"
#include "base/sys.h"

enum { STACKS_MAX = 1 << 20, LOCK_LIMIT_MS = 200 };

/* Registered stacks, and their count; both guarded by the lock.  Row 0 is not used. */
static struct crn_lock lock;
static struct crn_span rows;
static uint32_t made = 1, free_first; /* a free row's `end` is the next one's number */

unsigned coroner_v1_stack_register(const void *start, const void *end);
void coroner_v1_stack_change(unsigned id, const void *start, const void *end);
unsigned long coroner_v1_leak_count(int which, int is_blocks);
void coroner_v1_end_check_cancel(void);

static struct crn_range *row_at(unsigned id)
{
    return (struct crn_range *)rows.base + id;
}

static struct crn_range range_of(const void *start, const void *end)
{
    uintptr_t low = (uintptr_t)start, high = (uintptr_t)end;
    return low <= high ? (struct crn_range){low, high} : (struct crn_range){high, low};
}

static uint32_t row_take_locked(void)
{
    uint32_t id = free_first;
    if (id != 0) {
        free_first = (uint32_t)row_at(id)->end;
        return id;
    }
    if (rows.base == NULL && !crn_span_init(&rows, STACKS_MAX * sizeof(struct crn_range)))
        return 0;
    if (made >= STACKS_MAX || !crn_span_ensure(&rows, (made + 1) * sizeof(struct crn_range)))
        return 0;
    return made++;
}

/* Not for ever: after fork() in the midst of it nobody would let go. */
static bool rows_lock(const struct crn_thread *self)
{
    return crn_lock_try_for(&lock, self->tid, (uint64_t)LOCK_LIMIT_MS * 1000000);
}

/* Sets a row, or frees it where the range is empty; answers what it was, {0, 0}: it is none. */
static struct crn_range row_change_locked(unsigned id, struct crn_range range)
{
    struct crn_range old = {0, 0};
    if (id == 0 || id >= made || row_at(id)->start == 0)
        return old;
    old = *row_at(id);
    *row_at(id) = range;
    if (range.start == range.end) {
        *row_at(id) = (struct crn_range){0, free_first};
        free_first = id;
    }
    return old;
}

CRN_EXPORT CRN_REALIGNED unsigned coroner_v1_stack_register(const void *start, const void *end)
{
    struct crn_thread *self = crn_shim.phase == CRN_SHIM_ON ? crn_shim_thread() : NULL;
    struct crn_range range = range_of(start, end);
    if (self == NULL || self->is_busy || range.start == range.end)
        return 0;
    crn_busy_begin(self);
    uint32_t id = 0;
    if (rows_lock(self)) {
        id = row_take_locked();
        if (id != 0)
            *row_at(id) = range;
        crn_lock_release(&lock);
    }
    crn_coro_note_mapped(range.start, range.end, CRN_MAPPED_ONE_STACK, self->tid);
    crn_busy_end(self);
    return id;
}

/* An empty range takes the stack back: its memory may become anything. */
CRN_EXPORT CRN_REALIGNED void coroner_v1_stack_change(unsigned id, const void *start,
                                                      const void *end)
{
    struct crn_thread *self = crn_shim.phase == CRN_SHIM_ON ? crn_shim_thread() : NULL;
    struct crn_range range = range_of(start, end), old = {0, 0};
    if (self == NULL || self->is_busy)
        return;
    crn_busy_begin(self);
    if (rows_lock(self)) {
        old = row_change_locked(id, range);
        crn_lock_release(&lock);
    }
    if (old.start != 0) {
        crn_coro_note_memory_gone(old.start, old.end, self->tid);
        crn_coro_note_mapped(range.start, range.end, CRN_MAPPED_ONE_STACK, self->tid);
    }
    crn_busy_end(self);
}

/* What the last leak check counted, in the order of coroner/compat/valgrind/memcheck.h. */
static struct {
    size_t blocks, bytes;
} counted[3];

/* coroner_v1_leak_check */
void crn_valgrind_leak_check(int kind, const struct crn_saved_registers *from)
{
    enum { FULL, QUICK, ADDED };
    struct crn_demand_summary summary;
    const struct crn_occasion everything = {.scope = 0};
    size_t before = counted[0].bytes + counted[1].bytes;
    crn_check_on_demand(everything, kind == FULL ? CRN_REPORT_ANY : CRN_REPORT_NEVER, &summary,
                        from);
    if (kind == ADDED && summary.leaked_bytes > before)
        crn_check_on_demand(everything, CRN_REPORT_ANY, &summary, from);
    counted[0].blocks = summary.leaked_blocks - summary.likely_blocks;
    counted[0].bytes = summary.leaked_bytes - summary.likely_bytes;
    counted[1].blocks = summary.likely_blocks;
    counted[1].bytes = summary.likely_bytes;
    crn_check_live_count(&counted[2].blocks, &counted[2].bytes);
}

CRN_EXPORT CRN_REALIGNED unsigned long coroner_v1_leak_count(int which, int is_blocks)
{
    if (which < 0 || which >= (int)CRN_COUNT_OF(counted))
        return 0;
    return is_blocks ? counted[which].blocks : counted[which].bytes;
}

CRN_EXPORT CRN_REALIGNED void coroner_v1_end_check_cancel(void)
{
    crn_shim.options.leak_check_at_exit = false;
}
