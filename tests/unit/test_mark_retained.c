/*
 * What only one coroutine retains, in hand-made snapshots; and random ones against a simple marker
 * that leaves out one coroutine after the other.
 */
#include "make_snap.h"
#include "mark/retained.h"

enum { FRAMES_MAX = 16, STACK_BYTES = 1024 };

static struct maker_snap maker;
static struct crn_snap_frame frames[FRAMES_MAX];
static const struct crn_cxx20_kind kinds[1] = {{.resume = 0x5000, .destroy = 0x5100}};
static uint64_t bytes[MAKER_COROS + FRAMES_MAX];

static void setup(void)
{
    maker_snap_init(&maker);
    memset(frames, 0, sizeof frames);
    maker.snap.frames = frames;
    maker.snap.frame_kinds = kinds;
    maker.snap.frame_kind_count = 1;
}

static void teardown(void)
{
    maker_snap_fini(&maker);
}

TestSuite(retained, .init = setup, .fini = teardown);

/* A block of 64 bytes that is a suspended frame; make them in ascending order. */
static uintptr_t *frame_make(void)
{
    uintptr_t *block = maker_block(&maker.heap, 64);
    cr_assert(maker.snap.frame_count < FRAMES_MAX);
    frames[maker.snap.frame_count++] =
        (struct crn_snap_frame){.start = (uintptr_t)block, .is_sure = true};
    return block;
}

/* A suspended coroutine that a global holds; answers the words of its body. */
static uintptr_t *held_coro(void)
{
    char *stack = maker_memory(&maker, STACK_BYTES);
    maker_coro(&maker, CRN_CORO_SUSPENDED, stack, STACK_BYTES, stack + STACK_BYTES / 2);
    *maker_global(&maker) = (uintptr_t)stack + STACK_BYTES / 2;
    return (uintptr_t *)(stack + STACK_BYTES / 2);
}

static void measure(void)
{
    memset(bytes, 0xff, sizeof bytes);
    maker_mark(&maker);
    cr_assert(crn_mark_retained(&maker.mark, bytes) == CRN_OK);
}

Test(retained, what_only_its_stack_leads_to)
{
    uintptr_t *body = held_coro();
    uintptr_t *first = maker_block(&maker.heap, 32), *second = maker_block(&maker.heap, 100);
    body[3] = (uintptr_t)first;
    first[1] = (uintptr_t)second;
    measure();
    cr_assert_eq(bytes[0], 132u);
}

Test(retained, not_what_a_root_leads_to_as_well)
{
    uintptr_t *body = held_coro();
    uintptr_t *first = maker_block(&maker.heap, 32), *second = maker_block(&maker.heap, 100);
    body[3] = (uintptr_t)first;
    first[1] = (uintptr_t)second;
    *maker_global(&maker) = (uintptr_t)second;
    measure();
    cr_assert_eq(bytes[0], 32u);
}

Test(retained, what_two_share_counts_for_neither)
{
    uintptr_t *one = held_coro(), *other = held_coro();
    uintptr_t *shared = maker_block(&maker.heap, 32), *behind = maker_block(&maker.heap, 64);
    uintptr_t *own = maker_block(&maker.heap, 16);
    one[0] = other[0] = (uintptr_t)shared;
    shared[0] = (uintptr_t)behind;
    one[1] = (uintptr_t)behind;
    other[1] = (uintptr_t)own;
    measure();
    cr_assert_eq(bytes[0], 0u);
    cr_assert_eq(bytes[1], 16u);
}

Test(retained, a_block_is_taken_away_from_the_first_when_a_later_one_comes)
{
    uintptr_t *one = held_coro(), *other = held_coro();
    uintptr_t *list[4];
    for (int i = 0; i < 4; i++)
        list[i] = maker_block(&maker.heap, 32);
    for (int i = 0; i < 3; i++)
        list[i][0] = (uintptr_t)list[i + 1];
    one[0] = (uintptr_t)list[0];
    other[0] = (uintptr_t)list[2];
    measure();
    cr_assert_eq(bytes[0], 64u);
    cr_assert_eq(bytes[1], 0u);
}

Test(retained, what_lies_below_its_saved_sp_counts_for_nothing)
{
    uintptr_t *body = held_coro();
    uintptr_t *popped = maker_block(&maker.heap, 32);
    *maker_global(&maker) = (uintptr_t)popped;
    body[-4] = (uintptr_t)popped;
    measure();
    cr_assert_eq(bytes[0], 0u);
}

Test(retained, what_a_frame_leads_to_without_the_frame)
{
    uintptr_t *frame = frame_make(), *held = maker_block(&maker.heap, 48);
    frame[4] = (uintptr_t)held;
    frame[5] = (uintptr_t)frame;
    *maker_global(&maker) = (uintptr_t)frame;
    measure();
    cr_assert_eq(bytes[0], 48u);
}

Test(retained, a_parent_keeps_what_it_holds_and_its_child_the_parents_block)
{
    uintptr_t *parent = frame_make(), *child = frame_make();
    uintptr_t *of_parent = maker_block(&maker.heap, 48), *of_child = maker_block(&maker.heap, 16);
    parent[4] = (uintptr_t)of_parent;
    parent[5] = (uintptr_t)child;
    child[2] = (uintptr_t)parent;
    child[4] = (uintptr_t)of_child;
    *maker_global(&maker) = (uintptr_t)child;
    measure();
    cr_assert_eq(bytes[0], 48u);
    cr_assert_eq(bytes[1], 16u + 64u);
}

Test(retained, a_frame_that_a_stack_holds_answers_for_its_own)
{
    uintptr_t *body = held_coro(), *frame = frame_make(), *held = maker_block(&maker.heap, 16);
    body[2] = (uintptr_t)frame;
    frame[4] = (uintptr_t)held;
    measure();
    cr_assert_eq(bytes[0], 64u);
    cr_assert_eq(bytes[1], 16u);
}

Test(retained, the_block_of_its_own_stack_is_not_counted)
{
    char *stack = maker_block(&maker.heap, STACK_BYTES);
    uintptr_t *held = maker_block(&maker.heap, 48);
    uintptr_t *body = (uintptr_t *)(stack + STACK_BYTES / 2);
    maker_coro(&maker, CRN_CORO_RUNNING, stack, STACK_BYTES, body);
    body[1] = (uintptr_t)stack + STACK_BYTES - 32;
    body[2] = (uintptr_t)held;
    measure();
    cr_assert_eq(bytes[0], 48u);
}

Test(retained, the_dead_have_no_row_and_colours_stay)
{
    char *stack = maker_memory(&maker, STACK_BYTES);
    uintptr_t *held = maker_block(&maker.heap, 48), *own = maker_block(&maker.heap, 32);
    maker_coro(&maker, CRN_CORO_SUSPENDED, stack, STACK_BYTES, stack + STACK_BYTES / 2);
    *(uintptr_t *)(stack + STACK_BYTES / 2) = (uintptr_t)held;
    *held_coro() = (uintptr_t)own;
    measure();
    cr_assert_eq(bytes[0], UINT64_MAX);
    cr_assert_eq(bytes[1], 32u);
    assert_verdict(&maker, held, CRN_VERDICT_ABANDONED);
    assert_verdict(&maker, own, CRN_VERDICT_LIVE);
    cr_assert(crn_mark_is_coroutine(&maker.mark, (uintptr_t)own) == false);
}

Test(retained, blocks_that_are_not_ours_are_not_counted)
{
    uintptr_t *body = held_coro();
    uintptr_t *inherited = maker_block(&maker.heap, 32);
    body[3] = (uintptr_t)inherited;
    maker.snap.birth_from = UINT32_MAX;
    measure();
    cr_assert_eq(bytes[0], 0u);
}

/* Random heaps. */

enum { BODY_WORDS = 8, BLOCKS = 60, CASES = 200, NODES_MAX = BLOCKS + FRAMES_MAX };

static uint64_t state;

static unsigned random_below(unsigned limit)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((state >> 33) % limit);
}

struct random_heap {
    uintptr_t *nodes[NODES_MAX]; /* frames first, then blocks, of 64 bytes each */
    unsigned frame_count, count, coros;
    uintptr_t *bodies[6];
};

static unsigned node_of(const struct random_heap *heap, uintptr_t word)
{
    for (unsigned i = 0; i < heap->count; i++)
        if (heap->nodes[i] == (uintptr_t *)word)
            return i;
    return heap->count;
}

/* Marks, again and again, what marked things lead to; frames are reached and not read. */
static void spread(const struct random_heap *heap, bool *is_reached)
{
    for (bool is_new = true; is_new;) {
        is_new = false;
        for (unsigned i = heap->frame_count; i < heap->count; i++)
            for (unsigned word = 0; is_reached[i] && word < 8; word++) {
                unsigned to = node_of(heap, heap->nodes[i][word]);
                is_new |= to < heap->count && !is_reached[to];
                is_reached[to] = true;
            }
    }
}

static void random_check(void)
{
    struct random_heap heap = {.frame_count = random_below(6), .coros = random_below(5)};
    bool by_roots[NODES_MAX + 1] = {false}, by_coro[16][NODES_MAX + 1] = {{false}};
    for (unsigned i = 0; i < heap.coros; i++)
        heap.bodies[i] = held_coro();
    while (heap.count < heap.frame_count)
        heap.nodes[heap.count++] = frame_make();
    for (unsigned i = 0; i < BLOCKS; i++)
        heap.nodes[heap.count++] = maker_block(&maker.heap, 64);
    for (unsigned i = 0; i < heap.count; i++)
        for (unsigned word = 2; word < 4; word++)
            if (random_below(3) > 0)
                heap.nodes[i][word] = (uintptr_t)heap.nodes[random_below(heap.count)];
    for (unsigned i = 0; i < heap.coros; i++)
        for (unsigned word = 0; word < 3; word++)
            heap.bodies[i][word] = (uintptr_t)heap.nodes[random_below(heap.count)];
    for (unsigned i = 0; i < heap.frame_count; i++)
        *maker_global(&maker) = (uintptr_t)heap.nodes[i];
    *maker_global(&maker) = (uintptr_t)heap.nodes[heap.count - 1];
    for (unsigned i = 0; i < heap.frame_count; i++)
        by_roots[i] = true;
    by_roots[heap.count - 1] = true;
    spread(&heap, by_roots);
    unsigned coros = heap.coros + heap.frame_count;
    for (unsigned i = 0; i < coros; i++) {
        const uintptr_t *words = i < heap.coros ? heap.bodies[i] : heap.nodes[i - heap.coros];
        for (unsigned word = 0; word < BODY_WORDS; word++)
            by_coro[i][node_of(&heap, words[word])] = true;
        by_coro[i][heap.count] = false;
        spread(&heap, by_coro[i]);
    }
    measure();
    for (unsigned i = 0; i < coros; i++) {
        uint64_t expected = 0;
        for (unsigned node = 0; node < heap.count; node++) {
            unsigned others = 0;
            for (unsigned other = 0; other < coros; other++)
                others += other != i && by_coro[other][node];
            expected += by_coro[i][node] && !by_roots[node] && others == 0 ? 64 : 0;
        }
        cr_assert_eq(bytes[i], expected, "coroutine %u of %u: %lu, not %lu", i, coros, bytes[i],
                     expected);
    }
}

Test(retained, as_a_simple_marker_says)
{
    for (unsigned i = 0; i < CASES; i++) {
        state = i;
        random_check();
        teardown();
        setup();
    }
}
