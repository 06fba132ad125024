/*
 * Roots from threads: their stacks from sp up, and all their registers.
 *
 *     own_start                     sp                         base_sp            own_end
 *        | dead words ..             | call frames ..             | TLS, descriptor |
 *
 * A thread that runs on a coroutine has left its own stack at a noted sp, or at one we do not
 * know; then all of it counts.  One that works on our scratch stack for a moment is, for the program,
 * where it came from; what our frames there hold is held all the same.  glibc keeps stacks of ended
 * threads: of those counts what libc itself will go on to use, and a result that nobody has fetched.
 *
 * Which memory is whose goes by the descriptor: a record may be of a thread that has ended, and its
 * stack another one's by now, which has no record yet.
 */
#include "snap/build.h"
#include "base/held.h"
#include "snap/registers.h"
#include "base/sys.h"
#include "coro/descriptor.h"

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

static void opaque_add(struct crn_snap_builder *builder, uintptr_t start, size_t bytes)
{
    crn_build_opaque(builder, (struct crn_opaque){.start = start, .end = start + bytes,
                                                  .is_context = true});
}

/*
 * All of a thread's variables, and what setspecific keeps for it.  What libc finds its variables
 * by, the second word of the descriptor, goes on holding the memory of modules loaded later.
 */
static void variables_exclude(struct crn_snap_builder *builder, uintptr_t descriptor)
{
    opaque_add(builder, descriptor - crn_root_choice.static_tls_bytes,
               crn_root_choice.static_tls_bytes + crn_descriptor_bytes());
    crn_build_root_words(builder, (const uintptr_t *)descriptor + 1, 1, CRN_ROOT_KERNEL, 0);
}

static void stale_exclude(uintptr_t word, void *user)
{
    opaque_add(user, word, sizeof(uintptr_t));
}

/*
 * What holds nothing of the memory that is there for one thread, which stands still: our variables
 * and jemalloc's, whose look-up cache has keys that look like blocks; values of deleted keys.
 */
static void tls_exclude(struct crn_snap_builder *builder, uintptr_t descriptor)
{
    if (crn_root_is_left_out(CRN_ROOT_TLS)) {
        variables_exclude(builder, descriptor);
        return;
    }
    for (unsigned i = 0; i < EXCLUDED_TLS_MAX && excluded_tls[i].bytes != 0; i++)
        opaque_add(builder, descriptor + (uintptr_t)excluded_tls[i].from_descriptor,
                   excluded_tls[i].bytes);
    crn_descriptor_stale_for_each(descriptor, stale_exclude, builder);
}

/* A stack that was used before has the result of the thread before, until there is another. */
static void old_result_exclude(struct crn_snap_builder *builder, const struct crn_thread *thread)
{
    uintptr_t word = thread->is_returning ? 0 : crn_descriptor_result(thread->descriptor);
    if (word != 0 && thread->result_before != 0 &&
        *(const uintptr_t *)word == thread->result_before)
        opaque_add(builder, word, sizeof word);
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
    return taker->interrupted != NULL ? crn_registers_low(taker->interrupted)
                                      : taker->registers->rsp;
}

static uint32_t thread_name(struct crn_snap_builder *builder, int tid)
{
    char path[64], name[32];
    uint32_t offset = 0;
    if (builder->snap->names_bytes > 64 * 1024)
        return 0; /* thousands of threads: their names do not matter any more */
    __builtin_snprintf(path, sizeof path, "self/task/%d/comm", tid);
    int fd = crn_proc_open(path);
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
    uintptr_t registers[CRN_REGISTERS_MAX];
    unsigned count = crn_registers_read(context, registers);
    struct crn_range output;
    const uintptr_t *root =
        crn_build_root_words(builder, registers, count, CRN_ROOT_REGISTER, name);
    if (crn_registers_output(context, &output))
        crn_build_output(builder, output);
    /* In the middle of anything but a call, every register may be needed. */
    bool is_waiting = crn_registers_are_waiting(context);
    crn_build_walk(builder, crn_registers_frame(context), is_waiting ? root : NULL);
    if (!is_waiting)
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

/*
 * What the kernel saved of the thread's own stack when it began a handler on the program's signal
 * stack: the outermost frame there, at its end.  NULL: it is not on that stack, or was on another.
 *
 *     signal stack:  | dead | sp: the handler's frames | ucontext, vector registers | end
 */
static const ucontext_t *interrupted_find(const struct crn_thread *thread, uintptr_t sp)
{
    enum { KERNEL_BYTES = offsetof(ucontext_t, uc_sigmask) + 8 }; /* libc's goes on behind it */
    uintptr_t start = thread->program_signal_stack, end = start + thread->program_signal_bytes;
    for (uintptr_t at = crn_align_down(end, 8); at >= sp + KERNEL_BYTES; at -= 8) {
        const ucontext_t *context = (const ucontext_t *)(at - KERNEL_BYTES);
        uintptr_t vectors = (uintptr_t)context->uc_mcontext.fpregs;
        if ((uintptr_t)context->uc_stack.ss_sp == start &&
            context->uc_stack.ss_size == end - start && vectors >= sp && vectors < end)
            return context;
    }
    return NULL;
}

/* In a handler on the program's signal stack: answers the sp of what was interrupted, or `sp`. */
static uintptr_t signal_stack_leave(struct crn_snap_builder *builder,
                                    const struct crn_thread *thread, uintptr_t sp)
{
    uintptr_t start = thread->program_signal_stack;
    if (sp - start >= thread->program_signal_bytes || crn_root_is_left_out(CRN_ROOT_STACK))
        return sp;
    opaque_add(builder, start, sp - start);
    const ucontext_t *context = interrupted_find(thread, sp);
    return context != NULL ? crn_registers_low(context) : sp;
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
    own_stack_add(builder, thread, signal_stack_leave(builder, thread, sp), name);
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

static bool is_alive(int tid)
{
    return tid != 0 && crn_syscall3(SYS_tgkill, crn_subject_pid(), tid, 0) == 0;
}

/* Whether a thread that stands still, or we, have this descriptor. */
static bool is_in_use(const struct crn_snap_builder *builder, uintptr_t descriptor)
{
    size_t low = 0, high = builder->descriptor_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (builder->descriptors[middle] < descriptor)
            low = middle + 1;
        else
            high = middle;
    }
    return low < builder->descriptor_count && builder->descriptors[low] == descriptor;
}

/* Whether nobody had its descriptor later: else the stack there is another's, of another size. */
static bool is_last_bearer(const struct crn_snap_builder *builder, const struct crn_thread *thread)
{
    size_t low = 0, high = builder->bearer_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (builder->bearers[middle].descriptor < thread->descriptor)
            low = middle + 1;
        else
            high = middle;
    }
    return low < builder->bearer_count && builder->bearers[low].serial == thread->serial;
}

enum crn_stack_use crn_build_stack_use(const struct crn_snap_builder *builder,
                                       const struct crn_thread *thread)
{
    if (thread->state == CRN_THREAD_FREE || thread->own_end == 0)
        return CRN_STACK_UNKNOWN;
    if (thread == crn_self)
        return CRN_STACK_STANDS;
    const struct crn_stopped *stopped = crn_build_stopped_find(builder, thread->tid);
    if (stopped != NULL && stopped->descriptor == thread->descriptor)
        return CRN_STACK_STANDS;
    if (builder->snap->unseen_threads > 0)
        return is_alive(thread->tid) ? CRN_STACK_RUNS : CRN_STACK_UNKNOWN;
    /* What a fork left, the child may use as it uses other memory; so with a stack of its own. */
    if (thread->was_left_by_fork || thread->has_program_stack ||
        is_in_use(builder, thread->descriptor) || !is_last_bearer(builder, thread) ||
        !crn_descriptor_is_there(thread->descriptor))
        return CRN_STACK_UNKNOWN;
    return CRN_STACK_KEPT;
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

/* Memory for variables of an ended thread: libc holds it, and what is in it holds nothing. */
static void dead_block_exclude(uintptr_t block, void *user)
{
    struct crn_snap_builder *builder = user;
    struct crn_block found;
    if (crn_index_find(&builder->snap->heap->index, block, &found))
        opaque_add(builder, found.start, found.usable);
}

/* A thread that has ended, and whose stack glibc keeps; the main thread's keeps its arguments. */
static void ended_add(struct crn_snap_builder *builder, const struct crn_thread *thread)
{
    uint32_t name = crn_build_name(builder, "thread that ended");
    uintptr_t descriptor = thread->descriptor;
    crn_descriptor_blocks_for_each(descriptor, dead_block_exclude, builder);
    crn_build_root_words(builder, (const uintptr_t *)descriptor + 1, 1, CRN_ROOT_KERNEL, name);
    if (thread->is_main) {
        opaque_add(builder, descriptor - crn_root_choice.static_tls_bytes,
                   crn_root_choice.static_tls_bytes);
        stack_add(builder, thread->base_sp, thread->own_end, name);
    } else if (crn_descriptor_awaits_join(descriptor)) {
        crn_build_root_words(builder, (const uintptr_t *)descriptor,
                             crn_descriptor_bytes() / sizeof(uintptr_t), CRN_ROOT_KERNEL, name);
    }
}

static void thread_add(struct crn_snap_builder *builder, const struct crn_taker *taker,
                       const struct crn_thread *thread)
{
    const struct crn_stopped *stopped = crn_build_stopped_find(builder, thread->tid);
    switch (crn_build_stack_use(builder, thread)) {
    case CRN_STACK_UNKNOWN: /* its memory is read as a mapping, or as a block */
        if (thread->own_end == 0 && thread->state == CRN_THREAD_ALIVE && stopped != NULL)
            ours_add(builder, thread, crn_registers_low(stopped->context), thread_name(builder, thread->tid));
        if (thread->was_left_by_fork && crn_descriptor_is_there(thread->descriptor))
            tls_exclude(builder, thread->descriptor);
        return;
    case CRN_STACK_STANDS:
        old_result_exclude(builder, thread);
        held_for_add(builder, thread);
        running_add(builder, thread, thread == crn_self ? taker_sp(taker) : crn_registers_low(stopped->context));
        return;
    case CRN_STACK_RUNS:
        tls_exclude(builder, thread->descriptor);
        held_for_add(builder, thread);
        stack_add(builder, thread->own_start, thread->own_end, thread_name(builder, thread->tid));
        return;
    case CRN_STACK_KEPT:
        ended_add(builder, thread);
        return;
    }
}

/*
 * Whoever asked.  What the frames of a thread hold that ends the program is no news, though nothing
 * in them will be read again.
 */
static void taker_add(struct crn_snap_builder *builder, const struct crn_taker *taker)
{
    const struct crn_saved_registers *saved = taker->registers;
    size_t walks = builder->snap->walk_count;
    if (taker->interrupted != NULL) {
        registers_add(builder, taker->interrupted, 0);
    } else if (saved != NULL) {
        const uintptr_t *root = crn_build_root_words(builder, &saved->rbx, 6, CRN_ROOT_REGISTER, 0);
        crn_build_walk(builder, (struct crn_frame){saved->pc, saved->rsp, saved->rbp, false}, root);
    }
    if (builder->snap->occasion.is_end)
        builder->snap->walk_count = walks;
}

void crn_build_threads(struct crn_snap_builder *builder, const struct crn_taker *taker)
{
    for (size_t i = 0; i < builder->descriptor_count; i++)
        if (crn_descriptor_is_there(builder->descriptors[i]))
            tls_exclude(builder, builder->descriptors[i]);
    for (uint32_t i = 0, count = crn_threads_count(); i < count; i++)
        thread_add(builder, taker, crn_thread_at(i));
    for (uint32_t i = 0; i < builder->stopped_count; i++)
        registers_add(builder, builder->stopped[i].context,
                      thread_name(builder, builder->stopped[i].tid));
    taker_add(builder, taker);
    struct crn_range starts = crn_thread_starts_range();
    crn_build_root(builder, (struct crn_root){.start = starts.start,
                                              .end = starts.end,
                                              .kind = CRN_ROOT_KERNEL,
                                              .step = 8,
                                              .must_be_sparse = true,
                                              .name = crn_build_name(builder, "pthread_create")});
}
