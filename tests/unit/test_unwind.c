/*
 * Stacks: our walks find the frames that glibc's backtrace finds, and a walk with a memo finds
 * what a fresh one does.
 *
 * Every check captures three times: with the memo that all checks share, with an empty memo, and
 * with backtrace().  Interning makes equal stacks equal ids.
 */
#include "make_heap.h"
#include "stack/unwind.h"

#include <alloca.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

enum { DEPTH_MAX = 40000 };

static struct crn_tree tree;
static struct crn_memo memo;
static struct crn_walker walker;
static struct crn_stack_bounds bounds;
static void *frames[DEPTH_MAX + 64];
static unsigned checks, fresh_walks;
static volatile unsigned sink;

/* Something to do after a call, so that it is no tail call. */
#define NO_TAIL_CALL() __asm__ volatile("" ::: "memory")
#define USE(array) __asm__ volatile("" ::"r"(array) : "memory")
#ifdef __clang__ /* it lays out all functions of a file alike */
#define FRAMED CRN_NOINLINE
#define UNFRAMED CRN_NOINLINE
#else
#define FRAMED CRN_NOINLINE __attribute__((noclone, optimize("no-omit-frame-pointer")))
#define UNFRAMED CRN_NOINLINE __attribute__((noclone, optimize("omit-frame-pointer")))
#endif

static struct crn_stack_bounds own_bounds(void)
{
    pthread_attr_t attributes;
    void *start;
    size_t bytes;
    cr_assert(pthread_getattr_np(pthread_self(), &attributes) == 0);
    pthread_attr_getstack(&attributes, &start, &bytes);
    pthread_attr_destroy(&attributes);
    return (struct crn_stack_bounds){(uintptr_t)start, (uintptr_t)start + bytes};
}

static void setup(void)
{
    void *warm_up[1];
    cr_assert(crn_tree_init(&tree, (size_t)1 << 32) == CRN_OK);
    bounds = own_bounds();
    backtrace(warm_up, 1);
    void *library = dlopen("libunwind.so.8", RTLD_LAZY | RTLD_LOCAL);
    if (library != NULL) {
        struct crn_libunwind functions = {
            .init_local2 = (int (*)(void *, void *, int))dlsym(library, "_ULx86_64_init_local2"),
            .step = (int (*)(void *))dlsym(library, "_ULx86_64_step"),
            .get_reg = (int (*)(void *, int, unsigned long *))dlsym(library, "_ULx86_64_get_reg"),
        };
        crn_libunwind_use(&functions);
    }
}

TestSuite(unwind, .init = setup);

static void fail_with(const char *what, uint32_t node, int count)
{
    cr_log_error("%s", what);
    for (uint32_t at = node; at != 0; at = crn_tree_node(&tree, at)->parent)
        cr_log_error("  ours      %p", (void *)crn_tree_node(&tree, at)->pc);
    for (int i = 1; i < count; i++)
        cr_log_error("  backtrace %p", frames[i]);
    cr_assert_fail("%s", what);
}

/* Captures the caller's stack in all three ways and compares. */
FRAMED static uint32_t check_stack(bool with_backtrace)
{
    const uintptr_t *frame = __builtin_frame_address(0);
    uintptr_t sp = (uintptr_t)(frame + 2);
    memo.bounds = bounds;
    uint32_t node = crn_stack_capture(&tree, &walker, &memo, frame[1], sp, frame[0]);
    struct crn_memo empty = {.bounds = bounds};
    struct crn_walker newcomer = {.steps = NULL};
    uint32_t fresh = crn_stack_capture(&tree, &newcomer, &empty, frame[1], sp, frame[0]);
    crn_memo_fini(&empty);
    crn_walker_fini(&newcomer);
    checks++;
    cr_assert(fresh != 0);
    if (with_backtrace || node != fresh) {
        int count = backtrace(frames, DEPTH_MAX + 64);
        uint32_t at = fresh;
        for (int i = 1; i < count; i++, at = crn_tree_node(&tree, at)->parent)
            if (crn_tree_node(&tree, at)->pc != (uintptr_t)frames[i])
                fail_with("a fresh walk differs from backtrace", fresh, count);
        if (at != 0)
            fail_with("a fresh walk goes further than backtrace", fresh, count);
        if (node != fresh)
            fail_with("the memo's walk differs from a fresh one", node, count);
        fresh_walks++;
    }
    return node;
}

/* The kinds of call frames: each goes `depth` deeper by calling whatever `next` says. */
typedef void call(unsigned depth);
static call *next_get(void);
static void leaf(void);

FRAMED static void framed(unsigned depth)
{
    leaf();
    if (depth > 0)
        next_get()(depth - 1);
    NO_TAIL_CALL();
}

UNFRAMED static void unframed(unsigned depth)
{
    leaf();
    if (depth > 0)
        next_get()(depth - 1);
    leaf();
    NO_TAIL_CALL();
}

UNFRAMED static void with_many_registers(unsigned depth)
{
    unsigned a = sink, b = sink, c = sink, d = sink, e = sink, f = sink;
    if (depth > 0)
        next_get()(depth - 1);
    leaf();
    sink = a + b + c + d + e + f;
}

CRN_NOINLINE static void with_alloca(unsigned depth)
{
    volatile char *memory = alloca(16 + sink % 7 * 16);
    memory[0] = 1;
    leaf();
    if (depth > 0)
        next_get()(depth - 1);
    USE(memory);
}

CRN_NOINLINE static void with_array(unsigned depth)
{
    volatile char memory[1 + sink % 300];
    memory[0] = 1;
    if (depth > 0)
        next_get()(depth - 1);
    leaf();
    USE(memory);
}

CRN_NOINLINE static void with_large_locals(unsigned depth)
{
    volatile char memory[3000];
    memory[sink % 3000] = 1;
    if (depth > 0)
        next_get()(depth - 1);
    leaf();
    USE(memory);
}

CRN_NOINLINE static void with_aligned_locals(unsigned depth)
{
    _Alignas(64) volatile char memory[64];
    memory[sink % 64] = 1;
    cr_assert((uintptr_t)memory % 64 == 0);
    leaf();
    if (depth > 0)
        next_get()(depth - 1);
    USE(memory);
}

/* With alloca beside aligned locals, gcc keeps the address of its arguments in memory. */
CRN_NOINLINE __attribute__((force_align_arg_pointer)) static void realigned(unsigned depth)
{
    _Alignas(64) volatile char memory[32];
    volatile char *more = alloca(16 + sink % 7 * 16);
    memory[sink % 32] = more[0] = 1;
    if (depth > 0)
        next_get()(depth - 1);
    leaf();
    USE(memory);
}

static _Thread_local unsigned callback_depth;
static int callback(const void *a, const void *b)
{
    (void)a;
    (void)b;
    if (callback_depth > 0)
        next_get()(callback_depth - 1);
    leaf();
    return 0;
}

/* Through a function of libc's. */
CRN_NOINLINE static void through_libc(unsigned depth)
{
    int numbers[2] = {1, 2};
    callback_depth = depth;
    qsort(numbers, 2, sizeof numbers[0], callback);
    NO_TAIL_CALL();
}

static _Thread_local unsigned signal_depth;
static void handler(int number)
{
    unsigned depth = signal_depth;
    (void)number;
    if (depth > 0)
        next_get()(depth - 1);
    leaf();
}

CRN_NOINLINE static void through_a_signal(unsigned depth)
{
    signal_depth = depth;
    raise(SIGUSR1);
    NO_TAIL_CALL();
}

static call *const kinds[] = {framed,       unframed,          with_many_registers, with_alloca,
                              with_array,   with_large_locals, with_aligned_locals, realigned,
                              through_libc, through_a_signal};

static struct maker_random random_;
static call *only_kind; /* NULL: any */
static unsigned checks_one_in, backtrace_one_in;

static call *next_get(void)
{
    sink = (unsigned)maker_random(&random_);
    return only_kind != NULL ? only_kind : kinds[maker_below(&random_, CRN_COUNT_OF(kinds))];
}

CRN_NOINLINE static void leaf(void)
{
    if (maker_below(&random_, checks_one_in) == 0)
        check_stack(maker_below(&random_, backtrace_one_in) == 0);
    NO_TAIL_CALL();
}

static void kind_try(call *kind)
{
    signal(SIGUSR1, handler);
    random_ = maker_random_from(1);
    only_kind = kind;
    checks_one_in = backtrace_one_in = 1;
    for (unsigned depth = 0; depth < 20; depth++)
        kind(depth);
    cr_assert(checks > 20 && fresh_walks == checks);
}

Test(unwind, frames_with_a_frame_pointer_are_walked)
{
    kind_try(framed);
}
Test(unwind, frames_without_a_frame_pointer_are_walked)
{
    kind_try(unframed);
}
Test(unwind, frames_that_save_all_registers_are_walked)
{
    kind_try(with_many_registers);
}
Test(unwind, frames_with_alloca_are_walked)
{
    kind_try(with_alloca);
}
Test(unwind, frames_with_arrays_of_variable_length_are_walked)
{
    kind_try(with_array);
}
Test(unwind, large_frames_are_walked)
{
    kind_try(with_large_locals);
}
Test(unwind, frames_with_aligned_locals_are_walked)
{
    kind_try(with_aligned_locals);
}
Test(unwind, frames_that_realign_the_stack_are_walked)
{
    kind_try(realigned);
}
Test(unwind, frames_of_libc_are_walked)
{
    kind_try(through_libc);
}
Test(unwind, a_signal_handler_on_the_same_stack_is_walked_through)
{
    kind_try(through_a_signal);
}

/* Random calls: most checks only compare the memo's walk with a fresh one. */
Test(unwind, random_calls_are_remembered_right)
{
    signal(SIGUSR1, handler);
    only_kind = NULL;
    checks_one_in = 2;
    backtrace_one_in = 50;
    for (unsigned seed = 1; seed <= 400; seed++) {
        random_ = maker_random_from(seed);
        for (unsigned i = 0; i < 10; i++)
            kinds[maker_below(&random_, CRN_COUNT_OF(kinds))]((unsigned)maker_below(&random_, 40));
    }
    cr_assert(checks > 20000 && fresh_walks > 300);
}

UNFRAMED static void deeper(unsigned depth)
{
    if (depth == 0)
        check_stack(true);
    else
        deeper(depth - 1);
    NO_TAIL_CALL();
}

Test(unwind, deep_recursion_is_walked_to_its_end)
{
    deeper(30000);
    cr_assert(memo.count > 30000);
    for (unsigned i = 0; i < 20; i++)
        deeper(1000 * i);
}

FRAMED static void capture_alone(void)
{
    const uintptr_t *frame = __builtin_frame_address(0);
    memo.bounds = bounds;
    uint32_t node = crn_stack_capture(&tree, &walker, &memo, frame[1], (uintptr_t)(frame + 2), frame[0]);
    cr_assert(node != 0);
    sink = crn_tree_node(&tree, node)->depth;
}

UNFRAMED static void deeper_alone(unsigned depth)
{
    if (depth == 0)
        capture_alone();
    else
        deeper_alone(depth - 1);
    NO_TAIL_CALL();
}

Test(unwind, a_stack_deeper_than_the_most_keeps_its_inner_part)
{
    deeper_alone(CRN_STACK_DEPTH_MAX + 1000);
    cr_assert(sink >= CRN_STACK_DEPTH_MAX / 2 && sink <= CRN_STACK_DEPTH_MAX);
    deeper_alone(10);
    cr_assert(sink > 10 && sink < 100);
}

/*
 * The traps for a memo: the same return addresses in the same places, and yet another stack.
 * What a deeper call left below the stack still looks like frames.
 */
struct way {
    void (*go)(const struct way *next);
};
static unsigned padding;

UNFRAMED static void thin(const struct way *next)
{
    next->go(next + 1);
    NO_TAIL_CALL();
}

/* Leaves untouched what thin() would have written. */
UNFRAMED static void thick(const struct way *next)
{
    char room[64];
    USE(room);
    next->go(next + 1);
    USE(room);
}

UNFRAMED static void plain_leaf(const struct way *next)
{
    (void)next;
    check_stack(true);
    NO_TAIL_CALL();
}

CRN_NOINLINE static void aligned_leaf(const struct way *next)
{
    _Alignas(1024) volatile char memory[64];
    volatile char *more = alloca(padding);
    (void)next;
    memory[0] = more[0] = 1;
    check_stack(true);
    USE(memory);
}

/* Goes them in turn, always from the same call. */
CRN_NOINLINE static void ways_go(const struct way (*ways)[3], unsigned count, unsigned rounds)
{
    for (volatile unsigned i = 0; i < rounds * count; i++) {
        sink = 0;
        padding = 16 + 16 * (i % count == 0 ? i / count : 0);
        ways[i % count][0].go(&ways[i % count][1]);
    }
    NO_TAIL_CALL();
}

Test(unwind, a_realigned_frame_hides_who_called_it)
{
    static const struct way ways[][3] = {{{thin}, {aligned_leaf}}, {{thick}, {aligned_leaf}}};
    ways_go(ways, 2, 4);
}

Test(unwind, a_realigned_frame_hides_its_caller_where_another_callee_was_before)
{
    static const struct way ways[][3] = {
        {{plain_leaf}}, {{aligned_leaf}}, {{thin}, {aligned_leaf}}};
    ways_go(ways, 3, 4);
}

static void trap_handler(int number)
{
    (void)number;
    check_stack(true);
}

UNFRAMED static void small_steps_to_a_trap(unsigned depth)
{
    if (depth > 0)
        small_steps_to_a_trap(depth - 1);
    else
        __asm__ volatile("int3");
    NO_TAIL_CALL();
}

Test(unwind, a_signal_frame_hides_how_deep_the_interrupted_code_was)
{
    signal(SIGTRAP, trap_handler);
    for (unsigned i = 0; i < 40; i++)
        small_steps_to_a_trap(i);
    for (unsigned i = 40; i-- > 0;)
        small_steps_to_a_trap(i);
}

/* Uses rbp for something else, so that its caller's lies in its frame. */
UNFRAMED static void registers_leaf(void)
{
    unsigned a = sink, b = sink, c = sink, d = sink, e = sink, f = sink;
    check_stack(true);
    sink = a + b + c + d + e + f;
}

CRN_NOINLINE static void padded_leaf(const struct way *next)
{
    volatile char *memory = alloca(padding);
    (void)next;
    registers_leaf();
    USE(memory);
}

/* With some padding both ways put the leaf's frame in the same place. */
Test(unwind, an_alloca_hides_who_called_its_function)
{
    static const struct way ways[][3] = {{{thin}, {padded_leaf}}, {{thick}, {padded_leaf}}};
    ways_go(ways, 2, 10);
}

/* Other stacks. */

static void *thread_run(void *argument)
{
    (void)argument;
    bounds = own_bounds();
    memo = (struct crn_memo){.bounds = bounds};
    deeper(10);
    kind_try(with_alloca);
    return NULL;
}

Test(unwind, a_threads_stack_ends_where_the_thread_began)
{
    pthread_t thread;
    pthread_create(&thread, NULL, thread_run, NULL);
    pthread_join(thread, NULL);
    cr_assert(fresh_walks > 20);
}

static ucontext_t main_context, coroutine_context;
static uint32_t seen_before_suspension, seen_after_it;

static void coroutine(void)
{
    deeper(5);
    seen_before_suspension = memo.count;
    swapcontext(&coroutine_context, &main_context);
    deeper(7);
    seen_after_it = memo.count;
}

Test(unwind, a_coroutines_stack_ends_in_its_trampoline)
{
    static char stack[256 * 1024];
    getcontext(&coroutine_context);
    coroutine_context.uc_stack.ss_sp = stack;
    coroutine_context.uc_stack.ss_size = sizeof stack;
    coroutine_context.uc_link = &main_context;
    makecontext(&coroutine_context, coroutine, 0);
    bounds = (struct crn_stack_bounds){(uintptr_t)stack, (uintptr_t)stack + sizeof stack};
    swapcontext(&main_context, &coroutine_context);

    struct crn_frame still = {(uintptr_t)coroutine_context.uc_mcontext.gregs[REG_RIP],
                              (uintptr_t)coroutine_context.uc_mcontext.gregs[REG_RSP],
                              (uintptr_t)coroutine_context.uc_mcontext.gregs[REG_RBP], false};
    uint32_t node = crn_stack_capture_still(&tree, still, bounds);
    struct crn_memo other = {.bounds = bounds};
    cr_assert(node != 0 &&
              node == crn_stack_capture(&tree, &walker, &other, still.pc, still.sp, still.bp));

    swapcontext(&main_context, &coroutine_context);
    cr_assert(seen_before_suspension > 5 && seen_after_it == seen_before_suspension + 2);
}

Test(unwind, code_that_nobody_knows_has_no_rule)
{
    static const char data[64];
    cr_assert_eq(crn_rule_compile(0).kind, CRN_RULE_NONE);
    cr_assert_eq(crn_rule_compile(16).kind, CRN_RULE_NONE);
    cr_assert_eq(crn_rule_compile((uintptr_t)data).kind, CRN_RULE_NONE);
    cr_assert_eq(crn_rule_compile(UINTPTR_MAX).kind, CRN_RULE_NONE);
}

Test(unwind, at_a_functions_first_instruction_the_caller_is_one_word_away)
{
    struct crn_rule rule = crn_rule_compile((uintptr_t)framed);
    cr_assert(rule.kind == CRN_RULE_RSP && rule.cfa_offset == 8 && rule.rbp == CRN_RBP_SAME);
}

Test(unwind, a_rule_is_found_again_and_survives_a_flush)
{
    for (unsigned round = 0; round < 3; round++) {
        for (uintptr_t at = (uintptr_t)qsort; at < (uintptr_t)qsort + 6000; at++) {
            struct crn_rule compiled = crn_rule_compile(at), found = crn_rule_get(at);
            cr_assert(memcmp(&compiled, &found, sizeof found) == 0);
        }
        if (round == 1)
            crn_rules_flush();
    }
}

/* Other code may lie there now, whose frames have another size: equal words prove nothing. */
Test(unwind, a_flush_forgets_walks_as_well)
{
    deeper_alone(10);
    unsigned depth = sink;
    for (unsigned i = 0; i < memo.count; i++)
        memo.entries[i].node = 0;
    crn_rules_flush();
    deeper_alone(10);
    cr_assert_eq(sink, depth);
}
