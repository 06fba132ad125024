/*
 * One check: lock, stop, picture, mark, resume.  See check.h.
 */
#include "check/check.h"
#include "check/guard.h"
#include "check/hold.h"
#include "check/host.h"
#include "check/live.h"
#include "base/pages.h"
#include "base/switch.h"
#include "base/sys.h"
#include "coro/probe.h"
#include "mark/slices.h"
#include "mark/spare.h"
#include "snap/aio.h"
#include "snap/narrow.h"
#include "snap/take.h"

#include <string.h>

enum { STACK_BYTES = 512 * 1024, REGISTRY_LIMIT_MS = 200 };

static struct crn_lock one_at_a_time;
static uint32_t gone_said; /* lines: see gone_say */
static uint32_t performed; /* checks */

bool crn_checks_begin(int tid, unsigned limit_ms)
{
    return crn_lock_try_for(&one_at_a_time, tid, (uint64_t)limit_ms * 1000000);
}

void crn_checks_end(void)
{
    crn_lock_release(&one_at_a_time);
}

void crn_checks_after_fork(void)
{
    gone_said = performed = 0;
    crn_guard_after_fork();
    crn_lock_init(&one_at_a_time);
}

static void unseen_warn(struct crn_check *check, const struct crn_stopped_list *stopped)
{
    for (unsigned i = 0; i < stopped->unseen && i < CRN_COUNT_OF(stopped->unseen_tids); i++)
        crn_draft_warning(
            check->draft, "thread %d did not stop within %d ms; its stack counts as live",
            stopped->unseen_tids[i],
            stopped->waited_ms < CRN_STOP_MOST_MS ? CRN_STOP_LIMIT_MS : CRN_STOP_MOST_MS);
    check->unseen = stopped->unseen;
}

/* The part that reads the program's memory. */
struct picture {
    struct crn_check *check;
    const struct crn_stopped_list *stopped;
    struct crn_taker taker;
    bool is_torn;
    enum crn_status status;
};

static void picture_take(struct picture *picture, bool is_narrow)
{
    struct crn_check *check = picture->check;
    memset(&check->mark, 0, sizeof check->mark);
    check->occasion.is_narrow = is_narrow;
    picture->status = crn_snap_take(&check->snap, picture->stopped, &picture->taker,
                                    &check->occasion, check->birth_from, picture->is_torn);
    if (picture->status == CRN_OK)
        picture->status =
            crn_mark_run_again(&check->mark, &check->snap, check->earlier, check->line);
}

/* Whether all is said by a narrow picture, which then stays (snap/narrow.h). */
static bool narrow_suffices(struct picture *picture)
{
    struct crn_check *check = picture->check;
    if (!crn_host.process->is_forked || !check->occasion.is_end || check->lists_all ||
        check->sums_live || !crn_narrow_is_possible(check->birth_from))
        return false;
    picture_take(picture, true);
    if (picture->status == CRN_OK && crn_narrow_is_enough(&check->snap) &&
        !crn_mark_has_doubts(&check->mark))
        return true;
    if (picture->status == CRN_OK)
        crn_mark_free(&check->mark);
    crn_snap_free(&check->snap);
    return false;
}

static void picture_mark(void *argument)
{
    struct picture *picture = argument;
    struct crn_check *check = picture->check;
    if (!narrow_suffices(picture))
        picture_take(picture, false);
    if (picture->status != CRN_OK)
        return;
    crn_leaks_collect(&check->leaks, &check->mark, check->draft, check->lists_all);
    if (check->sums_live)
        crn_live_add(&check->mark, check->draft);
    if (check->finds_spares)
        crn_spares_find(&check->mark);
    crn_findings_find(&check->findings, &check->mark, check->only_new);
    crn_pages_leave_out_inherited(false);
}

/*
 * Takes the picture again where it faulted, without touching what faults: it costs a range, not the
 * verdict.  Only where nothing helps, there is none.
 */
static bool picture_try(struct picture *picture, uintptr_t *fault)
{
    struct crn_check *check = picture->check;
    struct crn_draft_place place = crn_draft_place_get(check->draft);
    crn_snap_evade_nothing();
    while (!crn_guarded_call(picture_mark, picture, fault)) {
        crn_mark_free(&check->mark);
        crn_snap_free(&check->snap);
        crn_draft_rewind(check->draft, &place);
        if (!crn_snap_evade(*fault))
            return false;
    }
    return true;
}

/* Coroutines that were never destroyed, though their frames are gone; said once of each. */
static void gone_say(void)
{
    enum { LINES_MAX = 20 };
    if (crn_probes.gone_count == 0)
        return;
    struct crn_probes_gone gone = crn_probes_bury_locked();
    if (gone.freed_count > 0 && gone_said++ < LINES_MAX)
        crn_log("coroner_co_destroy was not called before the frame was freed: of %u coroutines, "
                "\"%s\" among them",
                gone.freed_count, gone.freed_name != NULL ? gone.freed_name : "?");
    if (gone.replaced_count > 0 && gone_said++ < LINES_MAX)
        crn_log("coroner_co_begin: another coroutine began in the frame of one that was not "
                "destroyed: of %u, \"%s\" among them",
                gone.replaced_count, gone.replaced_name != NULL ? gone.replaced_name : "?");
}

/* The registries must stand still, too, and what malloc may be changing; in this order. */
static struct crn_lock *const registries[] = {&crn_coros.lock,        &crn_probes.lock,
                                              &crn_scopes.lock,       &crn_heap.outside.lock,
                                              &crn_heap.extents.lock, &crn_aio.lock};

_Static_assert(CRN_COUNT_OF(registries) == CRN_CHECK_REGISTRIES, "check.h tells how many");

unsigned crn_check_lock(int tid)
{
    unsigned count = 0;
    while (count < CRN_COUNT_OF(registries) &&
           crn_lock_try_for(registries[count], tid, (uint64_t)REGISTRY_LIMIT_MS * 1000000))
        count++;
    return count;
}

void crn_check_unlock(unsigned locked)
{
    while (locked > 0)
        crn_lock_release(registries[--locked]);
}

uint32_t crn_check_number_take(void)
{
    return ++performed;
}

void crn_check_locks_forget(void)
{
    for (unsigned i = 0; i < CRN_COUNT_OF(registries); i++)
        crn_lock_init(registries[i]);
    crn_lock_init(&one_at_a_time);
    crn_births_after_fork(&crn_heap);
    crn_aio_after_fork();
}

void crn_check_judge(struct crn_check *check, const struct crn_stopped_list *stopped,
                     const struct crn_taker *taker, bool is_torn)
{
    uintptr_t fault = 0;
    struct picture picture = {check, stopped, *taker, is_torn, CRN_OK};
    unseen_warn(check, stopped);
    if (stopped->has_failed)
        crn_draft_warning(check->draft,
                          "the other threads could not be stopped; there is no verdict");
    else if (!picture_try(&picture, &fault))
        crn_draft_warning(check->draft,
                          "memory at 0x%lx went away during the check; there is no verdict",
                          (unsigned long)fault);
    else if (picture.status != CRN_OK)
        crn_draft_warning(check->draft, "%s; there is no verdict",
                          picture.status == CRN_ERR_NO_MEMORY ? "there was no memory for the check"
                                                              : "the memory map could not be read");
    else
        check->is_done = true;
    if (is_torn)
        crn_draft_warning(check->draft,
                          "the coroutine registry was in use; coroutines count as live");
    if (crn_tree.is_folded)
        crn_draft_warning(check->draft,
                          "stacks took more than an eighth of the heap: recursion is folded in the "
                          "later ones (--fold-recursion=no keeps every frame)");
}

static void check_do(void *argument, const struct crn_saved_registers *registers)
{
    struct crn_check *check = argument;
    struct crn_stopped_list stopped;
    uint64_t began = crn_now_ns();

    unsigned locked = crn_check_lock(crn_sys_gettid());
    bool is_torn = locked < CRN_CHECK_REGISTRIES;
    uint64_t stopping = crn_now_ns();
    crn_threads_stop(&stopped);
    if (check->registers != NULL)
        registers = check->registers;
    const struct crn_taker taker = {.registers = registers, .interrupted = check->interrupted};
    crn_check_judge(check, &stopped, &taker, is_torn);
    crn_threads_resume();
    check->pause_ns = crn_now_ns() - stopping;
    if (!is_torn)
        gone_say();
    crn_check_unlock(locked);
    check->check_ns = crn_now_ns() - began;
}

void crn_check_perform(struct crn_check *check)
{
    struct crn_thread *self = crn_host.thread();
    if (self == NULL)
        return;
    check->number = crn_check_number_take();
    size_t used_before = crn_vm_used_bytes();
    crn_vm_peak_reset();
    uint64_t mask_before = crn_signals_hold();
    uint32_t was_busy = self->is_busy;
    crn_busy_begin(self);
    crn_heap_counts_flush(&crn_heap, &self->counts);
    if (!crn_stack_call_mapped(check_do, check, STACK_BYTES))
        crn_draft_warning(check->draft, "there was no memory for the check; there is no verdict");
    self->is_busy = was_busy;
    crn_signals_let(mask_before);
    check->own_bytes = crn_vm_peak_bytes() - used_before;
}

void crn_check_free(struct crn_check *check)
{
    if (check->is_done)
        crn_mark_free(&check->mark);
    crn_snap_free(&check->snap);
}
