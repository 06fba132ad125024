/*
 * What only erased elements of containers hold, and the mark after those are gone.
 */
#include "make_snap.h"
#include "mark/spare.h"

static struct maker_snap maker;
static struct crn_mark second;

static void setup(void)
{
    maker_snap_init(&maker);
    memset(&second, 0, sizeof second);
}

static void teardown(void)
{
    crn_mark_free(&second);
    maker_snap_fini(&maker);
}

TestSuite(spare, .init = setup, .fini = teardown);

enum { ELEMENTS = 16, BUFFER_BYTES = ELEMENTS * 8 };

static uintptr_t *block_of(size_t bytes)
{
    return maker_block(&maker.heap, bytes);
}

/* Some words of a global variable. */
static uintptr_t *variable(unsigned words)
{
    uintptr_t *memory = maker_memory(&maker, words * sizeof *memory);
    maker_root(&maker, memory, words * sizeof *memory, CRN_ROOT_GLOBAL, 8);
    return memory;
}

/* A vector with so many elements left; answers its buffer. */
static uintptr_t *vector(unsigned left)
{
    uintptr_t *words = variable(4), *buffer = block_of(BUFFER_BYTES);
    words[0] = (uintptr_t)buffer;
    words[1] = (uintptr_t)(buffer + left);
    words[2] = (uintptr_t)(buffer + ELEMENTS);
    return buffer;
}

static void release(const void *block)
{
    unsigned class_index;
    crn_record_clear(crn_index_slot(&maker.heap.heap.index, (uintptr_t)block, &class_index));
}

static void first_mark(void)
{
    maker_mark(&maker);
    crn_spares_find(&maker.mark);
}

static void second_mark(void)
{
    cr_assert(crn_mark_run_again(&second, &maker.snap, &maker.mark, 2) == CRN_OK);
}

Test(spare, an_erased_element_is_missed_once_its_container_is_gone)
{
    uintptr_t *buffer = vector(2), *erased = block_of(64), *behind = block_of(64);
    buffer[2] = (uintptr_t)erased;
    erased[0] = (uintptr_t)behind;
    behind[0] = (uintptr_t)erased;
    first_mark();
    cr_assert_eq(maker.mark.suspect_count, 0);
    cr_assert_eq(maker.mark.spare_count, 1);
    release(buffer);
    second_mark();
    cr_assert_eq(second.group_count, 1);
    cr_assert(second.groups[0].verdict == CRN_VERDICT_LOST &&
              second.groups[0].confidence == CRN_LIKELY && second.groups[0].is_bereft &&
              second.groups[0].spare == 1 && second.groups[0].example == (uintptr_t)erased);
    cr_assert_eq(second.suspect_count, 2);
}

Test(spare, it_is_not_while_the_container_is_there)
{
    uintptr_t *buffer = vector(0);
    buffer[0] = (uintptr_t)block_of(64);
    first_mark();
    second_mark();
    cr_assert_eq(maker.mark.spare_count, 1);
    cr_assert_eq(second.suspect_count, 0);
}

Test(spare, an_element_that_was_there_to_the_end_is_left_behind)
{
    uintptr_t *buffer = vector(2);
    buffer[1] = (uintptr_t)block_of(64);
    first_mark();
    cr_assert_eq(maker.mark.spare_count, 0);
    release(buffer);
    second_mark();
    cr_assert_eq(second.suspect_count, 0);
}

Test(spare, so_is_one_that_moved_away_from_the_end)
{
    uintptr_t *buffer = vector(2), *element = block_of(64);
    buffer[1] = buffer[2] = (uintptr_t)element;
    first_mark();
    cr_assert_eq(maker.mark.spare_count, 0);
}

Test(spare, three_pointers_are_a_container_only_if_they_are_exact)
{
    uintptr_t *buffer = vector(1), *words = variable(4), *other = block_of(BUFFER_BYTES + 8);
    words[0] = (uintptr_t)other;
    words[1] = (uintptr_t)(other + 1);
    words[2] = (uintptr_t)(other + ELEMENTS);
    buffer[0] = other[4] = (uintptr_t)block_of(64);
    first_mark();
    cr_assert_eq(maker.mark.spare_count, 0);
}

Test(spare, four_pointers_into_one_buffer_are_none)
{
    uintptr_t *words = variable(4), *buffer = block_of(BUFFER_BYTES);
    words[0] = (uintptr_t)buffer;
    words[1] = (uintptr_t)(buffer + 3);                   /* elements lie between this */
    words[2] = words[3] = (uintptr_t)(buffer + ELEMENTS); /* and this */
    buffer[5] = (uintptr_t)block_of(64);
    first_mark();
    cr_assert_eq(maker.mark.spare_count, 0);
}

Test(spare, a_deque_has_elements_between_its_two_iterators)
{
    uintptr_t *words = variable(10), *map = block_of(64), *chunk = block_of(512);
    uintptr_t *before = block_of(64), *element = block_of(64), *behind = block_of(64);
    map[3] = (uintptr_t)chunk;
    words[0] = (uintptr_t)map;
    words[1] = 8;
    for (unsigned i = 0; i < 2; i++) {
        uintptr_t *iterator = words + 2 + 4 * i;
        iterator[0] = (uintptr_t)(chunk + 10 + i);
        iterator[1] = (uintptr_t)chunk;
        iterator[2] = (uintptr_t)(chunk + 64);
        iterator[3] = (uintptr_t)(map + 3);
    }
    chunk[9] = (uintptr_t)before;
    chunk[10] = (uintptr_t)element;
    chunk[11] = (uintptr_t)behind;
    first_mark();
    cr_assert_eq(maker.mark.spare_count, 2);
    release(chunk);
    second_mark();
    assert_verdict(&maker, element, CRN_VERDICT_LIVE);
    cr_assert_eq(second.suspect_count, 2);
    for (size_t i = 0; i < second.suspect_count; i++)
        cr_assert(second.suspects[i].start != (uintptr_t)element);
}

Test(spare, a_coroutine_frame_is_abandoned_at_once_and_not_said_twice)
{
    static struct crn_snap_frame frame;
    static struct crn_cxx20_kind kind;
    uintptr_t *buffer = vector(0), *erased = block_of(64);
    buffer[0] = (uintptr_t)erased;
    frame = (struct crn_snap_frame){.start = (uintptr_t)erased, .is_sure = true};
    maker.snap.frames = &frame;
    maker.snap.frame_count = 1;
    maker.snap.frame_kinds = &kind;
    maker.snap.frame_kind_count = 1;
    first_mark();
    cr_assert_eq(maker.mark.group_count, 1);
    cr_assert(maker.mark.groups[0].verdict == CRN_VERDICT_ABANDONED &&
              maker.mark.groups[0].confidence == CRN_LIKELY &&
              maker.mark.groups[0].doubt == CRN_DOUBT_SPARE);
    release(buffer);
    second_mark();
    cr_assert_eq(second.group_count, 0);
}

/* A suspended coroutine on a stack outside the heap that holds a block; answers that. */
static uintptr_t *coro_with_block(char **stack)
{
    uintptr_t *held = block_of(64);
    *stack = maker_memory(&maker, 4096);
    maker_coro(&maker, CRN_CORO_SUSPENDED, *stack, 4096, *stack + 2048);
    *(uintptr_t **)(*stack + 3072) = held;
    return held;
}

Test(spare, a_coroutine_that_only_a_popped_element_names_is_likely_to_be_abandoned)
{
    char *stack;
    uintptr_t *buffer = vector(2), *held = coro_with_block(&stack);
    buffer[2] = (uintptr_t)stack + 2048;
    maker_mark(&maker);
    assert_verdict(&maker, held, CRN_VERDICT_ABANDONED);
    cr_assert_eq(maker.mark.groups[0].confidence, CRN_LIKELY);
    cr_assert_eq(maker.mark.groups[0].doubt, CRN_DOUBT_SPARE);
    cr_assert_eq(maker.mark.coros_in_state[CRN_CORO_ABANDONED], 1);
}

Test(spare, one_that_an_element_names_as_well_is_live)
{
    char *stack;
    uintptr_t *buffer = vector(2), *held = coro_with_block(&stack);
    buffer[1] = buffer[2] = (uintptr_t)stack + 2048;
    maker_mark(&maker);
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
    cr_assert_eq(maker.mark.coros_in_state[CRN_CORO_SUSPENDED], 1);
}

Test(spare, what_may_be_a_ring_holds_its_coroutines)
{
    char *stack;
    uintptr_t *buffer = vector(2), *held = coro_with_block(&stack);
    uintptr_t *words = (uintptr_t *)maker.roots[0].start;
    buffer[2] = (uintptr_t)stack + 2048;
    words[3] = 5; /* elements */
    maker_mark(&maker);
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
}

Test(spare, of_such_a_coroutine_only_what_it_holds_is_a_leak)
{
    char *stack;
    uintptr_t *buffer = vector(2), *held = coro_with_block(&stack), *other = block_of(64);
    buffer[2] = (uintptr_t)stack + 2048;
    buffer[3] = (uintptr_t)other;
    maker_mark(&maker);
    assert_verdict(&maker, held, CRN_VERDICT_ABANDONED);
    assert_verdict(&maker, other, CRN_VERDICT_LIVE);
    crn_spares_find(&maker.mark);
    cr_assert(crn_spare_is_judged(&(struct crn_mark){.earlier = &maker.mark}, (uintptr_t)other));
    cr_assert(!crn_spare_is_judged(&(struct crn_mark){.earlier = &maker.mark}, (uintptr_t)held));
}
