/*
 * The shim's own state.  See state.h.
 */
#include "shim/signals.h"
#include "shim/state.h"
#include "shim/inherited.h"
#include "shim/sanitized.h"
#include "shim/secure.h"
#include "coro/probe.h"
#include "base/switch.h"
#include "base/sys.h"
#include "check/hold.h"
#include "stack/verify.h"
#include "stack/witness.h"

#include <pthread.h>
#include <signal.h>

struct crn_shim crn_shim;

static const size_t TREE_BYTES = (size_t)1 << 36; /* of addresses */

const char *crn_shim_obstacle(void)
{
    return crn_process_is_secure() ? "it has more rights than its user (setuid, setgid or "
                                     "capabilities)"
                                   : crn_sanitized_trouble();
}

void crn_shim_start_early(void)
{
    static _Atomic uint32_t under_way;
    uint32_t expected = 0;
    if (!atomic_compare_exchange_strong_explicit(&under_way, &expected, 1, memory_order_acq_rel,
                                                 memory_order_acquire)) {
        while (crn_shim.phase == CRN_SHIM_COLD && under_way != 2)
            crn_syscall0(SYS_sched_yield);
        return;
    }
    if (!crn_process_is_secure())
        crn_sandbox_find();
    crn_shim.process.pid = crn_sys_getpid();
    crn_jemalloc_find(&crn_shim.real);
    crn_shim.process.trouble = crn_shim_obstacle();
    if (crn_shim.process.trouble != NULL) {
        crn_shim.phase = CRN_SHIM_OFF;
        under_way = 2;
        return;
    }
    bool is_ready = crn_heap_init(&crn_heap);
    is_ready = crn_threads_init() && is_ready;
    is_ready = crn_tree_init(&crn_tree, TREE_BYTES) == CRN_OK && is_ready;
    crn_coros_init();
    crn_scopes_init();
    crn_probes_init();
    if (!is_ready)
        crn_shim.process.trouble = "there is no memory for its tables (ulimit -v, ulimit -d)";
    crn_shim.phase = is_ready ? CRN_SHIM_EARLY : CRN_SHIM_OFF;
    under_way = 2;
}

struct crn_thread *crn_shim_thread(void)
{
    if (CRN_UNLIKELY(crn_shim.phase == CRN_SHIM_OFF))
        return NULL;
    if (CRN_LIKELY_TRUE(crn_self != NULL))
        return crn_self;
    if (crn_shim.phase == CRN_SHIM_COLD)
        crn_shim_start_early();
    if (crn_shim.phase == CRN_SHIM_OFF)
        return NULL;
    struct crn_thread *self = crn_thread_attach(0, 0);
    if (self == NULL) {
        crn_shim_stand_down("there is no memory for another thread's record");
    } else if (crn_shim.phase == CRN_SHIM_ON) {
        crn_busy_begin(self); /* one that libc made itself, or clone(): setting its key may allocate */
        crn_shim_thread_watch(self);
        crn_signal_stack_give(self);
        crn_stop_signal_open();
        crn_busy_end(self);
    }
    return self;
}

/*
 * An index without a span has nothing inside: that turns every hot path to a slow one, which asks
 * for the phase.  It comes before the phase: while it still said that a block is inside, what is
 * handed out and freed must go on record.  Who is past that question already works on a block of his
 * own, and on its record, which nobody changes under him.
 */
void crn_shim_stand_down(const char *why)
{
    static _Atomic bool is_down;
    if (atomic_exchange_explicit(&is_down, true, memory_order_relaxed))
        return;
    if (crn_shim.process.trouble == NULL)
        crn_shim.process.trouble = why;
    crn_shim.takes_stacks = CRN_STACKS_OFF;
    __atomic_store_n(&crn_heap.index.span, 0, __ATOMIC_SEQ_CST);
    crn_shim.phase = CRN_SHIM_OFF;
}

struct scratch_call {
    void (*function)(void *);
    void *argument;
    uintptr_t signal_sp;  /* how far the signal stack is in use that we come from; 0: from another */
    uint64_t mask_before; /* of the signals, which are held on the way to and from there */
};

/*
 * In a handler on the program's signal stack, but away from it: the kernel takes that for free, and
 * would begin the next handler at its end, on top of the frames of this one.  So meanwhile it is
 * told of the part below them, where it would have gone on; if that is too small, signals wait.
 */
static void signal_stack_spare(const struct scratch_call *call)
{
    enum { RED_ZONE_BYTES = 128 };
    stack_t whole;
    crn_syscall2(SYS_sigaltstack, NULL, &whole);
    stack_t below = whole;
    below.ss_size = call->signal_sp - RED_ZONE_BYTES - (uintptr_t)whole.ss_sp;
    bool is_in_it = (whole.ss_flags & SS_DISABLE) == 0 && below.ss_size < whole.ss_size;
    bool is_told = is_in_it && crn_syscall2(SYS_sigaltstack, &below, NULL) == 0;
    if (is_told || !is_in_it)
        crn_signals_let(call->mask_before);
    call->function(call->argument);
    if (!is_told)
        return;
    crn_signals_hold();
    crn_syscall2(SYS_sigaltstack, &whole, NULL);
}

static void scratch_enter(void *argument, const struct crn_saved_registers *registers)
{
    const struct scratch_call *call = argument;
    (void)registers;
    if (CRN_UNLIKELY(call->signal_sp != 0))
        signal_stack_spare(call);
    else
        call->function(call->argument);
}

void crn_shim_on_scratch(struct crn_thread *self, void (*function)(void *), void *argument)
{
    struct scratch_call call = {.function = function, .argument = argument};
    if (self->is_on_scratch) {
        function(argument); /* a signal handler on top of one that is there already */
        return;
    }
    if (self->scratch_stack == NULL)
        self->scratch_stack = crn_vm_map(CRN_SIGNAL_STACK_BYTES);
    if (self->scratch_stack == NULL) {
        function(argument);
        return;
    }
    uintptr_t sp;
    __asm__ volatile("mov %%rsp, %0" : "=r"(sp));
    self->scratch_sp = sp; /* what the program's stack holds lies above, until we are back */
    self->is_on_scratch = true;
    if (CRN_UNLIKELY(sp - self->program_signal_stack < self->program_signal_bytes)) {
        call.signal_sp = sp;
        call.mask_before = crn_signals_hold();
    }
    crn_stack_call(scratch_enter, &call, (char *)self->scratch_stack + CRN_SIGNAL_STACK_BYTES);
    self->is_on_scratch = false;
    self->scratch_sp = 0;
    if (CRN_UNLIKELY(call.signal_sp != 0))
        crn_signals_let(call.mask_before);
}

static void verify_do(void *stack)
{
    crn_verify_stack(stack);
}

/* From registers as they are on the way to the function with this frame. */
static CRN_COLD void stack_verify(struct crn_thread *self, uint32_t node, const uintptr_t *frame)
{
    struct crn_verify_case stack = {
        .tree = &crn_tree, .node = node, .frame = frame, .bounds = self->capture.memo->bounds};
    crn_witness_registers_take(&stack.registers);
    crn_shim_on_scratch(self, verify_do, &stack);
}

uint32_t crn_shim_capture(struct crn_thread *self, const uintptr_t *frame)
{
    if (CRN_UNLIKELY(self->is_busy))
        return 0;
    crn_busy_begin(self);
    uint32_t node = crn_stack_capture(&crn_tree, &self->capture.walker, self->capture.memo, frame[1],
                                      (uintptr_t)(frame + 2), frame[0]);
    if (CRN_UNLIKELY(crn_shim.verifies_stacks))
        stack_verify(self, node, frame);
    crn_busy_end(self);
    return node;
}

static CRN_COLD uint32_t stack_sample(struct crn_thread *self, const uintptr_t *frame)
{
    bool is_hit = false;
    if (crn_shim.takes_stacks == CRN_STACKS_SAMPLED)
        is_hit = crn_sample_take(&self->capture.sampler, &self->capture.until_sample, crn_shim.options.sample_bytes);
    else
        self->capture.until_sample =
            crn_shim.phase == CRN_SHIM_COLD || crn_shim.phase == CRN_SHIM_EARLY ? 0 : INT64_MAX / 2;
    if (!is_hit)
        return 0;
    crn_births_tick(&crn_heap);
    return crn_shim_capture(self, frame);
}

/*
 * A thread that frees as much as it makes hands no counts in, and the birth clock would stand
 * still.  So it is looked at every so many allocations: reading a clock takes as long as a few
 * dozen of them.
 */
enum { ALLOCATIONS_A_TICK = 2048 };

static bool is_tick_due(const struct crn_thread *self)
{
    return self->counts.allocations % ALLOCATIONS_A_TICK == 0;
}

/* Apart, so that what is done for every allocation saves no registers. */
static CRN_COLD uint32_t stack_take_slow(struct crn_thread *self, const uintptr_t *frame)
{
    if (is_tick_due(self))
        crn_births_tick(&crn_heap);
    if (crn_shim.takes_stacks != CRN_STACKS_FULL)
        return stack_sample(self, frame);
    self->capture.until_sample = -1;
    return crn_shim_capture(self, frame);
}

uint32_t crn_shim_stack_take(struct crn_thread *self, const uintptr_t *frame)
{
    if (CRN_UNLIKELY(crn_shim.takes_stacks != CRN_STACKS_FULL || is_tick_due(self)))
        return stack_take_slow(self, frame);
    self->capture.until_sample = -1;
    return crn_shim_capture(self, frame);
}

static pthread_key_t ending_key;

static void thread_end(void *record)
{
    crn_thread_note_ending(record);
}

void crn_shim_thread_watch_init(void)
{
    pthread_key_create(&ending_key, thread_end);
}

void crn_shim_thread_watch(struct crn_thread *thread)
{
    pthread_setspecific(ending_key, thread);
}
