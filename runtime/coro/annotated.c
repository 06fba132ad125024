/*
 * Coroutines that are announced: __sanitizer_start_switch_fiber and ThreadSanitizer's fibers.
 *
 * Libraries tell sanitizers when they switch stacks.  What AddressSanitizer is told: the exact
 * range of the stack that comes next, that the current one is left, and whether for good:
 *
 *     start(&place, bottom, size)   on the old stack
 *          … the switch itself …
 *     finish(place, &old, &bytes)   on the new one
 *
 * No place (NULL) means that the old one will not run again, in programs that give a place
 * otherwise; others always pass NULL, which the manual allows.  It is a hint, and a verdict that
 * leans on it is only likely.
 *
 * ThreadSanitizer is told nothing of stacks, only names them by what __tsan_create_fiber answered.
 * We see which stack a fiber is on when it leaves it, and believe that only if the stack is a heap
 * block or a mapping of its own that no other fiber is seen on.  The fiber's name is a handle.
 *
 * Neither tells sp.  The sweep for parked stacks looks for it (snap/parked.c); where it finds none,
 * the body is all of the stack that was touched.  Then it is no root: the range is known, so that
 * whoever could resume the coroutine needs an address in it, or the fiber.
 */
#include "coro/annotated.h"

#include <string.h>

enum { FIBERS_MAX = 1 << 20 };

/* Guarded by the registry's lock. */
static struct crn_span fibers; /* of struct crn_fiber; row 0 is not used */
static uint32_t fibers_made = 1, fiber_free;
static bool keeps_places; /* the program gave a place once, so NULL says something */

static bool is_exact(const struct crn_coro *coro)
{
    return coro->mechanism != CRN_MECHANISM_ANNOTATED && coro->mechanism != CRN_MECHANISM_STACK;
}

/* The coroutine is left with these registers, or saw them last some calls before. */
static void left_note(struct crn_coro *coro, const struct crn_saved_registers *registers)
{
    const uintptr_t kept[6] = {registers->rbx, registers->rbp, registers->r12,
                               registers->r13, registers->r14, registers->r15};
    coro->state = CRN_CORO_SUSPENDED;
    coro->flags |= CRN_CORO_LOOSE;
    coro->saved.sp = registers->rsp;
    coro->saved.pc = registers->pc;
    memcpy(coro->saved.registers, kept, sizeof kept);
}

/* The coroutine on [start, end), entered if it is new; 0: the thread's own stack, or no memory. */
static uint32_t target_get_locked(struct crn_thread *thread, uintptr_t start, uintptr_t end,
                                  uint32_t node)
{
    uint32_t id = crn_coro_find_locked(end - 1);
    const struct crn_coro *known = crn_coro_at(id);
    bool is_own = start < thread->own_end && thread->own_start < end;
    if (id == 0 && is_own)
        return 0;
    if (id != 0 && (is_exact(known) ||
                    (known->mechanism == CRN_MECHANISM_ANNOTATED && known->stack_start == start &&
                     known->stack_end == end && known->state != CRN_CORO_COMPLETED)))
        return id;
    id = crn_coro_create_locked(&crn_announced_annotated, start, end, CRN_CORO_RUNNING);
    if (id != 0)
        crn_coro_at(id)->created_node = node;
    return id;
}

void crn_annotated_start(struct crn_thread *thread, uintptr_t start, size_t bytes, bool has_place,
                         const struct crn_saved_registers *registers, uint32_t node,
                         struct crn_annotated_switch *announced)
{
    if (registers->rsp - thread->stack_start >= thread->stack_span)
        crn_coro_resolve(thread, registers->rsp);
    crn_lock_acquire(&crn_coros.lock, thread->tid);
    keeps_places |= has_place;
    /* Field by field: a copy on this stack would look like what a switch saved there. */
    announced->from = thread->coro;
    announced->generation = thread->coro != 0 ? crn_coro_at(thread->coro)->generation : 0;
    announced->is_dying = !has_place && keeps_places;
    announced->is_under_way = true;
    announced->left.start = thread->stack_start;
    announced->left.end = thread->stack_start + thread->stack_span;
    memcpy(&announced->registers, registers, sizeof *registers);
    if (bytes != 0 && start + bytes > start)
        target_get_locked(thread, start, start + bytes, node);
    if (thread->coro != 0 && crn_coro_at(thread->coro)->state == CRN_CORO_DESTROYED)
        crn_thread_enter(thread, 0, 0, 0); /* its range was only a guess, and wrong */
    crn_lock_release(&crn_coros.lock);
}

void crn_annotated_finish(struct crn_thread *thread, uintptr_t sp,
                          struct crn_annotated_switch *announced)
{
    if (sp - thread->stack_start >= thread->stack_span)
        crn_coro_resolve(thread, sp);
    if (!announced->is_under_way)
        return;
    announced->is_under_way = false;
    crn_lock_acquire(&crn_coros.lock, thread->tid);
    struct crn_coro *from = crn_coro_at(announced->from);
    if (announced->from != 0 && announced->from != thread->coro &&
        from->generation == announced->generation && from->state == CRN_CORO_SUSPENDED &&
        (from->flags & CRN_CORO_LOOSE) != 0 && from->mechanism == CRN_MECHANISM_ANNOTATED) {
        left_note(from, &announced->registers);
        if (announced->is_dying) {
            from->state = CRN_CORO_COMPLETED;
            from->flags &= (uint8_t)~CRN_CORO_LOOSE;
        }
    }
    crn_lock_release(&crn_coros.lock);
}

struct crn_fiber *crn_fiber_create(struct crn_thread *thread, bool is_thread)
{
    struct crn_fiber *fiber = NULL;
    crn_lock_acquire(&crn_coros.lock, thread->tid);
    if (fibers.base == NULL && !crn_span_init(&fibers, FIBERS_MAX * sizeof *fiber))
        fibers.base = NULL;
    uint32_t row = fiber_free != 0 ? fiber_free - 1 : fibers_made;
    if (fibers.base != NULL && row < FIBERS_MAX &&
        crn_span_ensure(&fibers, (row + 1) * sizeof *fiber)) {
        fiber = (struct crn_fiber *)fibers.base + row;
        if (fiber_free != 0)
            fiber_free = fiber->next_free;
        else
            fibers_made++;
        *fiber = (struct crn_fiber){.is_thread = is_thread};
    }
    crn_lock_release(&crn_coros.lock);
    return fiber;
}

static bool is_fiber(const struct crn_fiber *fiber)
{
    uintptr_t offset = (uintptr_t)fiber - (uintptr_t)fibers.base;
    return fibers.base != NULL && offset % sizeof *fiber == 0 && offset / sizeof *fiber > 0 &&
           offset / sizeof *fiber < fibers_made;
}

/* The coroutine that is this fiber; 0: not known, or it is there no more. */
static uint32_t coro_of(const struct crn_fiber *fiber)
{
    const struct crn_coro *coro = crn_coro_at(fiber->coro);
    return fiber->coro != 0 && coro->generation == fiber->generation &&
                   coro->state != CRN_CORO_DESTROYED
               ? fiber->coro
               : 0;
}

void crn_fiber_destroy(struct crn_thread *thread, struct crn_fiber *fiber)
{
    crn_lock_acquire(&crn_coros.lock, thread->tid);
    if (is_fiber(fiber)) {
        struct crn_coro *coro = crn_coro_at(coro_of(fiber));
        if (coro_of(fiber) != 0 && coro->mechanism == CRN_MECHANISM_ANNOTATED &&
            coro->state == CRN_CORO_SUSPENDED) {
            coro->state = CRN_CORO_COMPLETED;
            coro->flags &= (uint8_t)~CRN_CORO_LOOSE;
            coro->saved.context = 0;
        }
        fiber->coro = 0;
        fiber->next_free = fiber_free;
        fiber_free = (uint32_t)(fiber - (struct crn_fiber *)fibers.base) + 1;
    }
    crn_lock_release(&crn_coros.lock);
}

/* The fiber is on this coroutine's stack: makes them one, unless another fiber was seen there. */
static void fiber_bind_locked(struct crn_fiber *fiber, uint32_t id)
{
    struct crn_coro *coro = crn_coro_at(id);
    fiber->coro = id;
    fiber->generation = coro->generation;
    if (is_exact(coro) || (coro->flags & CRN_CORO_SHARED) != 0 ||
        (coro->flags & (CRN_CORO_WHOLE | CRN_CORO_NO_MERGE)) == 0)
        return;
    bool is_anothers = coro->saved.context != 0 && coro->saved.context != (uintptr_t)fiber &&
                       coro_of((struct crn_fiber *)coro->saved.context) == id;
    const struct crn_announced_kind *kind =
        is_anothers ? &crn_announced_stack : &crn_announced_annotated;
    coro->kind = kind;
    coro->mechanism = kind->mechanism;
    coro->saved.context = is_anothers ? 0 : (uintptr_t)fiber;
    coro->flags |= is_anothers ? CRN_CORO_SHARED : 0;
}

void crn_fiber_switch(struct crn_thread *thread, struct crn_fiber *from, struct crn_fiber *to,
                      const struct crn_saved_registers *registers)
{
    if (registers->rsp - thread->stack_start >= thread->stack_span)
        crn_coro_resolve(thread, registers->rsp);
    crn_lock_acquire(&crn_coros.lock, thread->tid);
    struct crn_coro *left = crn_coro_at(thread->coro);
    bool is_told_otherwise = false;
    if (thread->coro != 0 && from != NULL && !from->is_thread)
        fiber_bind_locked(from, thread->coro);
    if (thread->coro != 0 && left->mechanism == CRN_MECHANISM_ANNOTATED)
        left_note(left, registers);
    else if (thread->coro != 0 && is_exact(left))
        is_told_otherwise = true; /* who knows it better will tell of this switch, too */
    else
        crn_coro_leave_loose_locked(thread);
    uint32_t target = is_fiber(to) ? coro_of(to) : 0;
    if (is_told_otherwise || (target != 0 && is_exact(crn_coro_at(target))))
        ;
    else if (target != 0 || (is_fiber(to) && to->is_thread))
        crn_coro_enter_locked(thread, target);
    else
        crn_thread_enter(thread, 0, 0, 0); /* found out by its sp */
    crn_lock_release(&crn_coros.lock);
}

static void body_get(const struct crn_coro *coro, struct crn_coro_body *body)
{
    memset(body, 0, sizeof *body);
    body->start = coro->stack_start;
    body->end = coro->stack_end;
    for (unsigned i = 0; coro->saved.sp != 0 && i < CRN_COUNT_OF(coro->saved.registers); i++)
        body->words[body->word_count++] = coro->saved.registers[i];
}

/* The fiber is no memory of the program's, but whoever has its address can resume it. */
static unsigned contexts_get(const struct crn_coro *coro, struct crn_coro_context contexts[4])
{
    if (coro->saved.context == 0 || coro->state == CRN_CORO_COMPLETED)
        return 0;
    contexts[0] = (struct crn_coro_context){
        coro->saved.context, coro->saved.context + sizeof(struct crn_fiber), true};
    return 1;
}

/* Whoever announced the switch: the function that made it, or one that it called just before. */
static bool frame_get(const struct crn_coro *coro, struct crn_frame *frame)
{
    if (coro->saved.sp - coro->stack_start >= coro->stack_end - coro->stack_start)
        return false;
    *frame = (struct crn_frame){coro->saved.pc, coro->saved.sp, coro->saved.registers[1], false};
    return true;
}

const struct crn_announced_kind crn_announced_annotated = {
    .mechanism = CRN_MECHANISM_ANNOTATED,
    .body_get = body_get,
    .contexts_get = contexts_get,
    .frame_get = frame_get,
};
