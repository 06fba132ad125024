/*
 * The ucontext recogniser.  See ucontext.h.
 *
 * What it relies on, all of glibc on x86-64 (sysdeps/unix/sysv/linux/x86_64/makecontext.c): a made
 * context starts at rip = the entry function with its first six arguments in registers and rsp
 * at the word that holds __start_context's address, the return address of the entry:
 *
 *     rsp --> | __start_context |          <- replaced by our trampoline
 *             | argument 7 ..   |
 *     rbx --> | uc_link         |
 *             `----------------- end of the stack (nearly)
 *
 * swapcontext saves the callee-saved registers, and argument registers that are stale.  We read
 * none of that at a check: what a suspended coroutine would find was noted at the switch, and the
 * context in memory is a handle only while it still holds the same rsp and rip.
 */
#include "coro/ucontext.h"
#include "base/sys.h"

#include <string.h>

static uintptr_t register_of(const ucontext_t *context, int which)
{
    return (uintptr_t)context->uc_mcontext.gregs[which];
}

void *crn_ucontext_note_make(struct crn_thread *thread, ucontext_t *context, uintptr_t entry,
                             uint32_t created_node, void *trampoline)
{
    uintptr_t start = (uintptr_t)context->uc_stack.ss_sp;
    uintptr_t end = start + context->uc_stack.ss_size;
    uintptr_t sp = register_of(context, REG_RSP);
    if (sp < start || sp >= end || end < start)
        return NULL; /* not a context glibc would make: leave it alone */
    crn_lock_acquire(&crn_coros.lock, thread->tid);
    uint32_t id =
        crn_coro_create_locked(&crn_announced_ucontext, start, end, CRN_CORO_CREATED);
    void *replaced = NULL;
    if (id != 0) {
        struct crn_coro *coro = crn_coro_at(id);
        coro->created_node = created_node;
        coro->entry = entry;
        coro->saved.context = (uintptr_t)context;
        coro->saved.sp = sp;
        coro->saved.pc = register_of(context, REG_RIP);
        replaced = *(void **)sp;
        *(void **)sp = trampoline;
    }
    crn_lock_release(&crn_coros.lock);
    return replaced;
}

static void context_save(struct crn_thread *thread, const ucontext_t *from,
                         const struct crn_saved_registers *registers)
{
    const uintptr_t kept[6] = {registers->rbx, registers->rbp, registers->r12,
                               registers->r13, registers->r14, registers->r15};
    struct crn_saved_context *saved = &thread->left;
    if (thread->coro != 0) {
        struct crn_coro *coro = crn_coro_at(thread->coro);
        coro->state = CRN_CORO_SUSPENDED;
        saved = &coro->saved;
    } else {
        thread->is_away = true;
    }
    saved->context = (uintptr_t)from;
    saved->sp = registers->rsp;
    saved->pc = registers->pc;
    memcpy(saved->registers, kept, sizeof kept);
}

/* Makes the thread's record say that it runs on whatever `to` resumes. */
static void target_enter(struct crn_thread *thread, const ucontext_t *to,
                         const struct crn_saved_context *resumer)
{
    uintptr_t sp = register_of(to, REG_RSP);
    uint32_t id = crn_coro_find_locked(sp);
    if (id != 0 && resumer != NULL)
        crn_coro_at(id)->resumer = *resumer;
    if (id != 0 || (sp >= thread->own_start && sp < thread->own_end)) {
        crn_coro_enter_locked(thread, id);
        return;
    }
    /* A stack we do not know, or another thread's: looked up when something allocates there. */
    crn_thread_enter(thread, 0, 0, 0);
}

void crn_ucontext_note_switch(struct crn_thread *thread, const ucontext_t *from,
                              const ucontext_t *to, const struct crn_saved_registers *registers)
{
    if (registers->rsp - thread->stack_start >= thread->stack_span)
        crn_coro_resolve(thread, registers->rsp);
    crn_lock_acquire(&crn_coros.lock, thread->tid);
    if (from != NULL && registers->rsp - thread->stack_start < thread->stack_span) {
        context_save(thread, from, registers);
        const struct crn_saved_context saved =
            thread->coro != 0 ? crn_coro_at(thread->coro)->saved : thread->left;
        target_enter(thread, to, &saved);
    } else {
        /* setcontext: whoever ran is not saved; it may be resumed only from an older context. */
        crn_coro_leave_loose_locked(thread);
        target_enter(thread, to, NULL);
    }
    crn_lock_release(&crn_coros.lock);
}

void crn_ucontext_note_end(struct crn_thread *thread, const ucontext_t *link)
{
    crn_lock_acquire(&crn_coros.lock, thread->tid);
    uint32_t id = crn_coro_find_locked((uintptr_t)__builtin_frame_address(0));
    if (id != 0) {
        struct crn_coro *coro = crn_coro_at(id);
        coro->state = CRN_CORO_COMPLETED;
        coro->flags &= (uint8_t)~CRN_CORO_LOOSE;
    }
    if (link != NULL)
        target_enter(thread, link, NULL);
    crn_lock_release(&crn_coros.lock);
}

/* Does the context in memory still say what it said when it was saved? */
static bool context_is_intact(const struct crn_saved_context *saved, ucontext_t *copy)
{
    return saved->context != 0 && saved->sp != 0 &&
           crn_memory_read(copy, saved->context, offsetof(ucontext_t, uc_sigmask)) &&
           register_of(copy, REG_RSP) == saved->sp && register_of(copy, REG_RIP) == saved->pc;
}

/* Adds both ways to join two 32-bit halves, as makecontext(…, 2, low, high) passes a pointer. */
static void halves_add(struct crn_coro_body *body, uintptr_t a, uintptr_t b)
{
    body->words[body->word_count++] = (a & 0xffffffffu) | b << 32;
    body->words[body->word_count++] = (b & 0xffffffffu) | a << 32;
}

static void body_get(const struct crn_coro *coro, struct crn_coro_body *body)
{
    memset(body, 0, sizeof *body);
    body->end = coro->stack_end;
    body->start = coro->saved.sp != 0 ? coro->saved.sp : coro->stack_start;
    body->is_exact = coro->saved.sp != 0;
    if (coro->state == CRN_CORO_CREATED) {
        ucontext_t home;
        if (!context_is_intact(&coro->saved, &home))
            return; /* overwritten: nobody can start it from there */
        static const int arguments[] = {REG_RDI, REG_RSI, REG_RDX, REG_RCX, REG_R8, REG_R9};
        uintptr_t previous = 0;
        for (unsigned i = 0; i < CRN_COUNT_OF(arguments); i++) {
            uintptr_t argument = register_of(&home, arguments[i]);
            body->words[body->word_count++] = argument;
            if (i == 1 || i == 3)
                halves_add(body, previous, argument);
            previous = argument;
        }
        return;
    }
    for (unsigned i = 0; i < CRN_COUNT_OF(coro->saved.registers); i++)
        body->words[body->word_count++] = coro->saved.registers[i];
}

/* The context it is saved in is its handle; that of a running or completed one is stale. */
static unsigned contexts_get(const struct crn_coro *coro, struct crn_coro_context contexts[4])
{
    bool is_waiting = coro->state == CRN_CORO_CREATED || coro->state == CRN_CORO_SUSPENDED;
    unsigned count = crn_ucontext_area_get(&coro->saved, is_waiting, contexts);
    return count + crn_ucontext_area_get(&coro->resumer, false, contexts + count);
}

static bool frame_get(const struct crn_coro *coro, struct crn_frame *frame)
{
    if (coro->saved.sp == 0)
        return false;
    *frame = (struct crn_frame){coro->saved.pc, coro->saved.sp, coro->saved.registers[1], false};
    return true;
}

unsigned crn_ucontext_area_get(const struct crn_saved_context *saved, bool is_handle,
                               struct crn_coro_context *area)
{
    ucontext_t copy;
    if (!context_is_intact(saved, &copy))
        return 0;
    area->start = saved->context + offsetof(ucontext_t, uc_mcontext);
    area->end = saved->context + sizeof(ucontext_t);
    area->is_handle = is_handle;
    return 1;
}

const struct crn_announced_kind crn_announced_ucontext = {
    .mechanism = CRN_MECHANISM_UCONTEXT,
    .body_get = body_get,
    .contexts_get = contexts_get,
    .frame_get = frame_get,
    .is_completion_exact = true,
};
