/*
 * Roots from threads: their stacks from sp up, and all their registers.
 *
 *     own_start                     sp                         base_sp            own_end
 *        | dead words ..             | call frames ..             | TLS, descriptor |
 *
 * A thread that runs on a coroutine has left its own stack at a noted sp, or at one we do not
 * know; then all of it counts.  One that works on our scratch stack for a moment is, for the program,
 * where it came from; what our frames there hold is held all the same.  glibc keeps stacks of ended threads: their descriptors count.
 */
#include "snap/build.h"
#include "base/sys.h"

#include <pthread.h>
#include <string.h>

enum { RED_ZONE_BYTES = 128, EXCLUDED_TLS_MAX = 8 };

/* Static TLS lies at the same distance from every thread's descriptor. */
static struct {
    intptr_t from_descriptor;
    size_t bytes;
} excluded_tls[EXCLUDED_TLS_MAX];

void crn_snap_exclude_tls(const void *start, const void *end)
{
    for (unsigned i = 0; i < EXCLUDED_TLS_MAX; i++) {
        if (excluded_tls[i].bytes == 0) {
            excluded_tls[i].from_descriptor = (intptr_t)start - (intptr_t)pthread_self();
            excluded_tls[i].bytes = (size_t)((const char *)end - (const char *)start);
            return;
        }
    }
}

/*
 * All of a thread's variables, and what setspecific keeps for it.  What libc finds its variables
 * by, the second word of the descriptor, goes on holding the memory of modules loaded later.
 */
static void own_variables_exclude(struct crn_snap_builder *builder, const struct crn_thread *thread)
{
    enum { DESCRIPTOR_BYTES = 2304 };
    crn_build_opaque(builder, (struct crn_opaque){
                                  .start = thread->descriptor - crn_root_choice.static_tls_bytes,
                                  .end = thread->descriptor + DESCRIPTOR_BYTES,
                                  .is_context = true});
    crn_build_root_words(builder, (const uintptr_t *)thread->descriptor + 1, 1, CRN_ROOT_KERNEL, 0);
}

/* Our variables and jemalloc's are no holders: its look-up cache has keys that look like blocks. */
static void tls_exclude(struct crn_snap_builder *builder, const struct crn_thread *thread)
{
    if (crn_root_is_left_out(CRN_ROOT_TLS)) {
        own_variables_exclude(builder, thread);
        return;
    }
    for (unsigned i = 0; i < EXCLUDED_TLS_MAX && excluded_tls[i].bytes != 0; i++) {
        uintptr_t start = thread->descriptor + (uintptr_t)excluded_tls[i].from_descriptor;
        crn_build_opaque(builder, (struct crn_opaque){.start = start,
                                                      .end = start + excluded_tls[i].bytes,
                                                      .is_context = true});
    }
}

/* The registers that crn_stack_call saved; theirs is the sp that was noted, once they are there. */
static const struct crn_saved_registers *scratch_registers(const struct crn_thread *thread)
{
    char *end = (char *)thread->scratch_stack + CRN_SIGNAL_STACK_BYTES;
    const struct crn_saved_registers *registers = (const struct crn_saved_registers *)end - 1;
    return registers->rsp == thread->scratch_sp ? registers : NULL;
}

bool crn_scratch_frame(const struct crn_thread *thread, struct crn_frame *frame)
{
    if (thread->state != CRN_THREAD_ALIVE || thread->scratch_sp == 0)
        return false;
    const struct crn_saved_registers *registers = scratch_registers(thread);
    *frame = registers != NULL
                 ? (struct crn_frame){registers->pc, registers->rsp, registers->rbp, false}
                 : (struct crn_frame){0, thread->scratch_sp, 0, true};
    return true;
}

/* The lowest address that counts of the stack on which the check was asked for. */
static uintptr_t taker_sp(const struct crn_taker *taker)
{
    return taker->interrupted != NULL
               ? (uintptr_t)taker->interrupted->uc_mcontext.gregs[REG_RSP] - RED_ZONE_BYTES
               : taker->registers->rsp;
}

static uint32_t thread_name(struct crn_snap_builder *builder, int tid)
{
    char path[64], name[32];
    uint32_t offset = 0;
    if (builder->snap->names_bytes > 64 * 1024)
        return 0; /* thousands of threads: their names do not matter any more */
    __builtin_snprintf(path, sizeof path, "/proc/self/task/%d/comm", tid);
    int fd = crn_sys_open_read(path);
    long count = fd < 0 ? 0 : crn_sys_read_all(fd, name, sizeof name - 1);
    if (fd >= 0)
        crn_syscall1(SYS_close, fd);
    if (count > 0) {
        name[count - 1] = 0;
        offset = crn_build_name(builder, "thread %d \"%s\"", tid, name);
    }
    return offset;
}

static void stack_add(struct crn_snap_builder *builder, uintptr_t start, uintptr_t end,
                      uint32_t name)
{
    crn_build_root(builder, (struct crn_root){.start = crn_align_down(start, 4),
                                              .end = end,
                                              .kind = CRN_ROOT_STACK,
                                              .step = 4,
                                              .must_be_sparse = end - start > 256 * 1024,
                                              .name = name});
}

/* The extended state the kernel saved behind the ucontext: vector registers hold pointers too. */
static void vector_registers_add(struct crn_snap_builder *builder, const ucontext_t *context,
                                 uint32_t name)
{
    enum { LEGACY_BYTES = 512, MAGIC_OFFSET = 464 };
    const uint32_t xstate_magic = 0x46505853; /* FP_XSTATE_MAGIC1, asm/sigcontext.h */
    const char *area = (const char *)context->uc_mcontext.fpregs;
    uint32_t magic_and_bytes[2];
    if (area == NULL)
        return;
    memcpy(magic_and_bytes, area + MAGIC_OFFSET, sizeof magic_and_bytes);
    size_t bytes = magic_and_bytes[0] == xstate_magic ? magic_and_bytes[1] : LEGACY_BYTES;
    crn_build_root(builder, (struct crn_root){.start = (uintptr_t)area,
                                              .end = (uintptr_t)area + bytes,
                                              .kind = CRN_ROOT_REGISTER,
                                              .step = 8,
                                              .name = name});
}

static void registers_add(struct crn_snap_builder *builder, const ucontext_t *context,
                          uint32_t name)
{
    const greg_t *registers = context->uc_mcontext.gregs;
    crn_build_root_words(builder, (const uintptr_t *)registers, REG_RIP + 1, CRN_ROOT_REGISTER,
                         name);
    vector_registers_add(builder, context, name);
}

/*
 * Without stacks: what lies above the first call of a thread is no stack, but its variables.  The
 * main thread keeps those elsewhere.
 */
static void variables_add(struct crn_snap_builder *builder, const struct crn_thread *thread,
                          uint32_t name)
{
    if (!thread->is_main)
        crn_build_root(builder, (struct crn_root){.start = thread->base_sp,
                                                  .end = thread->own_end,
                                                  .kind = CRN_ROOT_TLS,
                                                  .step = 8,
                                                  .name = name});
}

/* The thread's own stack, given the sp it is at now. */
static void own_stack_add(struct crn_snap_builder *builder, const struct crn_thread *thread,
                          uintptr_t sp, uint32_t name)
{
    bool is_own = sp >= thread->own_start && sp < thread->own_end;
    if (crn_root_is_left_out(CRN_ROOT_STACK)) {
        variables_add(builder, thread, name);
        return;
    }
    if (is_own && crn_coros.is_ready && !builder->snap->is_torn)
        is_own = crn_coro_find_locked(sp) == 0;
    if (is_own) {
        stack_add(builder, sp, thread->own_end, name);
    } else if (thread->is_away && thread->left.sp > thread->own_start &&
               thread->left.sp < thread->own_end) {
        stack_add(builder, thread->left.sp, thread->own_end, name);
        crn_build_root_words(builder, thread->left.registers,
                             CRN_COUNT_OF(thread->left.registers), CRN_ROOT_STACK, name);
    } else {
        stack_add(builder, thread->own_start, thread->own_end, name);
    }
}

/*
 * What our own frames hold for a thread: blocks that realloc moves, and the scratch stack while it
 * works there.  A block that was just handed out may have no other pointer to it.
 */
static void ours_add(struct crn_snap_builder *builder, const struct crn_thread *thread, uintptr_t sp,
                     uint32_t name)
{
    crn_build_root_words(builder, thread->in_flight, CRN_COUNT_OF(thread->in_flight),
                         CRN_ROOT_REGISTER, name);
    if (thread->scratch_sp == 0)
        return;
    uintptr_t start = (uintptr_t)thread->scratch_stack, end = start + CRN_SIGNAL_STACK_BYTES;
    bool is_there = sp > start && sp < end; /* otherwise on the way, or in a handler elsewhere */
    stack_add(builder, is_there ? crn_red_zone_start(sp, start) : start, end, name);
}

/* A thread that stands still, with its sp. */
static void running_add(struct crn_snap_builder *builder, const struct crn_thread *thread,
                        uintptr_t sp)
{
    uint32_t name = thread_name(builder, thread->tid);
    struct crn_frame left;
    ours_add(builder, thread, sp, name);
    if (crn_scratch_frame(thread, &left))
        sp = left.sp - RED_ZONE_BYTES; /* what crn_stack_call pushed lies below */
    own_stack_add(builder, thread, sp, name);
}

const struct crn_stopped *crn_build_stopped_find(const struct crn_snap_builder *builder, int tid)
{
    uint32_t low = 0, high = builder->stopped_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (builder->stopped[middle].tid < tid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < builder->stopped_count && builder->stopped[low].tid == tid ? &builder->stopped[low]
                                                                           : NULL;
}

/* Is the stack of an ended thread still what it was: does its descriptor name itself? */
static bool is_cached_stack(const struct crn_thread *thread)
{
    uintptr_t words[3];
    return thread->descriptor != 0 &&
           crn_memory_read(words, thread->descriptor, sizeof words) &&
           words[0] == thread->descriptor && words[2] == thread->descriptor;
}

static bool is_alive(int tid)
{
    return tid != 0 && crn_syscall3(SYS_tgkill, crn_sys_getpid(), tid, 0) == 0;
}

bool crn_snap_thread_has_stack(const struct crn_thread *thread)
{
    return is_alive(thread->tid) || is_cached_stack(thread);
}

/* What nobody but the kernel and libc may hold for a thread. */
static void held_for_add(struct crn_snap_builder *builder, const struct crn_thread *thread)
{
    if (thread->program_signal_stack != 0)
        crn_build_root_words(builder, &thread->program_signal_stack, 1, CRN_ROOT_KERNEL,
                             crn_build_name(builder, "sigaltstack"));
    if (thread->start_argument != 0)
        crn_build_root_words(builder, &thread->start_argument, 1, CRN_ROOT_KERNEL,
                             crn_build_name(builder, "pthread_create"));
}

void crn_build_threads(struct crn_snap_builder *builder, const struct crn_taker *taker)
{
    const struct crn_thread *self = crn_self;
    for (uint32_t i = 0, count = crn_threads_count(); i < count; i++) {
        const struct crn_thread *thread = crn_thread_at(i);
        const struct crn_stopped *stopped = crn_build_stopped_find(builder, thread->tid);
        if (thread->own_end == 0 || thread->state == CRN_THREAD_FREE)
            continue;
        if (thread == self || stopped != NULL || crn_snap_thread_has_stack(thread))
            tls_exclude(builder, thread);
        if (thread == self || is_alive(thread->tid))
            held_for_add(builder, thread);
        if (thread == self) {
            running_add(builder, thread, taker_sp(taker));
        } else if (stopped != NULL) {
            uintptr_t sp = (uintptr_t)stopped->context->uc_mcontext.gregs[REG_RSP];
            running_add(builder, thread, sp - RED_ZONE_BYTES);
        } else if (is_alive(thread->tid)) {
            stack_add(builder, thread->own_start, thread->own_end,
                      thread_name(builder, thread->tid));
        } else if (is_cached_stack(thread)) {
            stack_add(builder, thread->base_sp, thread->own_end,
                      crn_build_name(builder, "stack of ended thread"));
        }
    }
    for (uint32_t i = 0; i < builder->stopped_count; i++)
        registers_add(builder, builder->stopped[i].context,
                      thread_name(builder, builder->stopped[i].tid));
    if (taker->interrupted != NULL)
        registers_add(builder, taker->interrupted, 0);
    else
        crn_build_root_words(builder, &taker->registers->rbx, 6, CRN_ROOT_REGISTER, 0);
    struct crn_range starts = crn_thread_starts_range();
    crn_build_root(builder, (struct crn_root){.start = starts.start,
                                              .end = starts.end,
                                              .kind = CRN_ROOT_KERNEL,
                                              .step = 8,
                                              .must_be_sparse = true,
                                              .name = crn_build_name(builder, "pthread_create")});
}
