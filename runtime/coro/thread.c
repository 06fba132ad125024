/*
 * Thread records.  See thread.h.
 */
#include "coro/descriptor.h"
#include "coro/scope.h"
#include "base/words.h"
#include "base/maps.h"
#include "base/sys.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

enum { THREADS_MAX = 1 << 18 };

__thread struct crn_thread *crn_self __attribute__((tls_model("initial-exec")));

static struct crn_span records;
static _Atomic uint32_t record_count;
static _Atomic uint32_t ending_count; /* records in state ENDING: worth looking for */
static _Atomic uint64_t attached_count;

bool crn_threads_init(void)
{
    return crn_span_init(&records, THREADS_MAX * sizeof(struct crn_thread));
}

uint32_t crn_threads_count(void)
{
    return atomic_load_explicit(&record_count, memory_order_acquire);
}

struct crn_thread *crn_thread_at(uint32_t index)
{
    return (struct crn_thread *)records.base + index;
}

static bool is_gone(const struct crn_thread *thread, int own_tid)
{
    return thread->tid == own_tid ||
           crn_syscall3(SYS_tgkill, crn_sys_getpid(), thread->tid, 0) == -ESRCH;
}

static bool record_take(struct crn_thread *thread, int tid)
{
    uint32_t expected = CRN_THREAD_ENDING;
    if (thread->state != CRN_THREAD_ENDING || !is_gone(thread, tid) ||
        !atomic_compare_exchange_strong_explicit(&thread->state, &expected, CRN_THREAD_ALIVE,
                                                 memory_order_acquire, memory_order_relaxed))
        return false;
    ending_count--;
    return true;
}

/* Which record last had a descriptor, more or less: its index + 1. */
enum { HINTS = 1 << 12 };
static _Atomic uint32_t hints[HINTS];

static _Atomic uint32_t *hint_of(uintptr_t descriptor)
{
    return &hints[crn_hash64(descriptor) & (HINTS - 1)];
}

/* Whether glibc keeps its stack for another thread: the record tells where. */
static bool has_kept_stack(const struct crn_thread *thread)
{
    return !thread->has_program_stack && crn_descriptor_is_there(thread->descriptor);
}

/* Takes over the record of a thread that is gone: the one that had this stack, or any. */
static struct crn_thread *record_reuse(int tid, uintptr_t descriptor)
{
    enum { KEPT_MAX = 256 };
    static _Atomic uint32_t next; /* where to look: what comes before is mostly still in use */
    uint32_t hint = *hint_of(descriptor), count = crn_threads_count();
    if (hint != 0 && crn_thread_at(hint - 1)->descriptor == descriptor &&
        record_take(crn_thread_at(hint - 1), tid))
        return crn_thread_at(hint - 1);
    if (ending_count < KEPT_MAX)
        return NULL;
    for (uint32_t i = 0, first = next; i < count; i++) {
        uint32_t index = (first + i) % count;
        struct crn_thread *thread = crn_thread_at(index);
        if (thread->state == CRN_THREAD_ENDING && !has_kept_stack(thread) &&
            record_take(thread, tid)) {
            next = index + 1;
            return thread;
        }
    }
    return NULL;
}

static struct crn_thread *record_make(void)
{
    uint32_t index = record_count;
    do {
        if (!crn_span_ensure(&records, ((size_t)index + 1) * sizeof(struct crn_thread)))
            return NULL;
    } while (!atomic_compare_exchange_weak_explicit(&record_count, &index, index + 1,
                                                    memory_order_release, memory_order_relaxed));
    struct crn_thread *thread = crn_thread_at(index);
    thread->state = CRN_THREAD_ALIVE;
    return thread;
}

/* How far down the main thread's stack may grow. */
static uintptr_t main_stack_limit(uintptr_t start, uintptr_t end)
{
    struct rlimit limit = {0, 0};
    const uintptr_t most = (uintptr_t)120 << 20; /* the kernel keeps at least 128 MiB free below */
    crn_syscall2(SYS_getrlimit, RLIMIT_STACK, &limit);
    uintptr_t bytes = limit.rlim_cur < most ? limit.rlim_cur : most;
    return end - bytes < start ? end - bytes : start;
}

struct crn_thread *crn_thread_attach(uintptr_t own_start, uintptr_t own_end)
{
    int tid = crn_sys_gettid();
    uintptr_t descriptor = (uintptr_t)pthread_self();
    struct crn_thread *thread = record_reuse(tid, descriptor);
    if (thread == NULL && (thread = record_make()) == NULL)
        return NULL;
    crn_heap_counts_flush(&crn_heap, &thread->counts);
    struct crn_capture capture = thread->capture;
    void *signal_stack = thread->signal_stack, *scratch_stack = thread->scratch_stack;
    void *check = thread->check;
    memset(thread, 0, offsetof(struct crn_thread, state));
    memset(&thread->is_main, 0, sizeof *thread - offsetof(struct crn_thread, is_main));
    crn_capture_reset(&capture);
    thread->capture = capture;
    thread->signal_stack = signal_stack;
    thread->scratch_stack = scratch_stack;
    thread->check = check;
    thread->tid = tid;
    thread->base_sp = (uintptr_t)__builtin_frame_address(0);
    thread->descriptor = descriptor;
    thread->serial = ++attached_count;
    *hint_of(descriptor) = (uint32_t)(thread - crn_thread_at(0)) + 1;
    thread->is_main = tid == crn_sys_getpid();
    if (own_end == CRN_STACK_TOLD_LATER) {
        own_start = own_end = 0;
    } else if (own_end == 0) {
        struct crn_map_entry entry;
        if (crn_maps_find(thread->base_sp, &entry)) {
            own_start = entry.start;
            own_end = entry.end;
            if (thread->is_main)
                own_start = main_stack_limit(own_start, own_end);
        }
    }
    thread->own_start = own_start;
    thread->own_end = own_end;
    crn_thread_enter(thread, own_start, own_end, 0);
    crn_self = thread;
    return thread;
}

void crn_thread_note_ending(struct crn_thread *thread)
{
    crn_heap_counts_flush(&crn_heap, &thread->counts);
    uint32_t expected = CRN_THREAD_ALIVE;
    if (atomic_compare_exchange_strong_explicit(&thread->state, &expected, CRN_THREAD_ENDING,
                                                memory_order_release, memory_order_relaxed))
        ending_count++;
}

void crn_thread_enter(struct crn_thread *thread, uintptr_t start, uintptr_t end, uint32_t coro)
{
    bool is_own = start == thread->own_start && end == thread->own_end;
    thread->stack_start = start;
    thread->stack_span = end - start;
    uintptr_t reserve = end - start > CRN_STACK_SMALL_BYTES ? CRN_STACK_RESERVE_BYTES
                                                            : CRN_STACK_SMALL_RESERVE_BYTES;
    bool has_room = end - start > 2 * reserve;
    thread->fast_start = crn_align_up(start + (has_room ? reserve : 0), 16);
    thread->fast_rows = has_room ? (end - thread->fast_start) >> 4 : 0;
    thread->coro = coro;
    crn_owner_update(thread);
    crn_capture_enter(&thread->capture, (struct crn_stack_bounds){start, end}, coro, is_own);
}

static struct crn_thread_start *starts;
enum { STARTS_MAX = 4096 };

struct crn_thread_start *crn_thread_start_take(void *(*function)(void *), void *argument,
                                               bool has_program_stack)
{
    static _Atomic(struct crn_thread_start *) mapped;
    if (mapped == NULL) {
        struct crn_thread_start *fresh = crn_vm_map(STARTS_MAX * sizeof *fresh);
        struct crn_thread_start *expected = NULL;
        if (fresh == NULL)
            return NULL;
        if (!atomic_compare_exchange_strong_explicit(&mapped, &expected, fresh,
                                                     memory_order_acq_rel, memory_order_acquire))
            crn_vm_unmap(fresh, STARTS_MAX * sizeof *fresh);
        starts = mapped;
    }
    for (unsigned i = 0; i < STARTS_MAX; i++) {
        struct crn_thread_start *start = &mapped[i];
        uint32_t expected = 0;
        if (start->is_used == 0 &&
            atomic_compare_exchange_strong_explicit(&start->is_used, &expected, 1,
                                                    memory_order_acquire, memory_order_relaxed)) {
            start->function = function;
            start->argument = argument;
            start->has_program_stack = has_program_stack;
            start->scope = crn_self != NULL ? crn_scope_current(crn_self) : 0;
            return start;
        }
    }
    return NULL;
}

struct crn_range crn_thread_starts_range(void)
{
    uintptr_t start = (uintptr_t)starts;
    return (struct crn_range){start, start != 0 ? start + STARTS_MAX * sizeof *starts : 0};
}

void crn_threads_after_fork(void)
{
    struct crn_thread *self = crn_self;
    ending_count = 0;
    for (uint32_t i = 0, count = crn_threads_count(); i < count; i++) {
        struct crn_thread *thread = crn_thread_at(i);
        thread->counts = (struct crn_heap_counts){0, 0, 0};
        if (thread == self || thread->state == CRN_THREAD_FREE)
            continue;
        /* Its tid may be anybody's now; 0 never matches a living thread. */
        thread->tid = 0;
        thread->was_left_by_fork = true;
        thread->state = CRN_THREAD_ENDING;
        thread->is_on_scratch = false;
        thread->stands_at = NULL;
        thread->scratch_sp = thread->in_flight[0] = thread->in_flight[1] = 0;
        ending_count++;
    }
    if (self != NULL) {
        self->tid = crn_sys_gettid();
        crn_owner_update(self);
        self->capture.sampler.state = 0; /* children must not all sample alike */
        self->capture.until_sample = 0;
    }
}
