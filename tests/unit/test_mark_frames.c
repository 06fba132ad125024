/*
 * Coroutine frames in hand-made snapshots: what the live flood makes of them, and what they hold.
 */
#include "make_snap.h"

enum { FRAMES_MAX = 16 };

static struct maker_snap maker;
static struct crn_snap_frame frames[FRAMES_MAX];
static const struct crn_cxx20_kind kinds[2] = {{.resume = 0x5000, .destroy = 0x5100},
                                               {.resume = 0x6000, .destroy = 0x6100}};

static void setup(void)
{
    maker_snap_init(&maker);
    memset(frames, 0, sizeof frames);
    maker.snap.frames = frames;
    maker.snap.frame_kinds = kinds;
    maker.snap.frame_kind_count = 2;
}

static void teardown(void)
{
    maker_snap_fini(&maker);
}

TestSuite(frames, .init = setup, .fini = teardown);

static struct crn_snap_frame *frame_of(const void *block)
{
    for (size_t i = 0; i < maker.snap.frame_count; i++)
        if (frames[i].start == (uintptr_t)block)
            return &frames[i];
    return NULL;
}

/* A block of 64 bytes that is a frame; make them in ascending order, as one size class is. */
static uintptr_t *frame_make(bool is_final)
{
    uintptr_t *block = maker_block(&maker.heap, 64);
    cr_assert(maker.snap.frame_count < FRAMES_MAX);
    frames[maker.snap.frame_count++] =
        (struct crn_snap_frame){.start = (uintptr_t)block, .is_final = is_final, .is_sure = true};
    return block;
}

/* The confidence of the leak that a suspect belongs to. */
static enum crn_confidence confidence_of(const void *block)
{
    for (size_t i = 0; i < maker.mark.suspect_count; i++)
        if (maker.mark.suspects[i].start == (uintptr_t)block)
            return (enum crn_confidence)maker.mark.groups[maker.mark.suspects[i].group - 1]
                .confidence;
    cr_assert(false, "no suspect");
    return CRN_LIKELY;
}

/* How many coroutines are in the state. */
static unsigned in_state(enum crn_coro_state state)
{
    return (unsigned)maker.mark.coros_in_state[state];
}

Test(frames, a_reached_suspended_frame_is_live_with_what_it_holds)
{
    uintptr_t *frame = frame_make(false), *held = maker_block(&maker.heap, 32);
    frame[5] = (uintptr_t)held;
    *maker_global(&maker) = (uintptr_t)frame;
    maker_mark(&maker);
    assert_verdict(&maker, frame, CRN_VERDICT_LIVE);
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
    cr_assert(in_state(CRN_CORO_SUSPENDED) == 1);
}

Test(frames, any_address_inside_a_frame_is_a_handle)
{
    uintptr_t *frame = frame_make(false);
    *maker_global(&maker) = (uintptr_t)frame + 24;
    maker_mark(&maker);
    assert_verdict(&maker, frame, CRN_VERDICT_LIVE);
}

Test(frames, an_unreached_suspended_frame_is_abandoned_with_what_it_points_to)
{
    uintptr_t *frame = frame_make(false), *held = maker_block(&maker.heap, 32);
    uintptr_t *behind = maker_block(&maker.heap, 32);
    frame[5] = (uintptr_t)held;
    held[0] = (uintptr_t)behind;
    maker_mark(&maker);
    assert_leak(&maker, frame, CRN_VERDICT_ABANDONED, true);
    assert_leak(&maker, held, CRN_VERDICT_ABANDONED, true);
    assert_leak(&maker, behind, CRN_VERDICT_ABANDONED, false);
    cr_assert(confidence_of(frame) == CRN_PROVEN);
    cr_assert(in_state(CRN_CORO_ABANDONED) == 1 && in_state(CRN_CORO_SUSPENDED) == 0);
}

Test(frames, a_frame_that_a_guess_found_is_likely)
{
    uintptr_t *frame = frame_make(false);
    frame_of(frame)->is_sure = false;
    maker_mark(&maker);
    assert_leak(&maker, frame, CRN_VERDICT_ABANDONED, true);
    cr_assert(confidence_of(frame) == CRN_LIKELY);
}

Test(frames, a_parent_is_live_through_its_childs_continuation)
{
    uintptr_t *parent = frame_make(false), *child = frame_make(false);
    parent[5] = (uintptr_t)child;
    child[2] = (uintptr_t)parent;
    *maker_global(&maker) = (uintptr_t)child;
    maker_mark(&maker);
    assert_verdict(&maker, parent, CRN_VERDICT_LIVE);
    assert_verdict(&maker, child, CRN_VERDICT_LIVE);
}

Test(frames, each_frame_of_an_abandoned_ring_is_direct)
{
    uintptr_t *ring[3] = {frame_make(false), frame_make(false), frame_make(false)};
    for (int i = 0; i < 3; i++)
        ring[i][2] = (uintptr_t)ring[(i + 1) % 3];
    maker_mark(&maker);
    for (int i = 0; i < 3; i++)
        assert_leak(&maker, ring[i], CRN_VERDICT_ABANDONED, true);
    cr_assert(in_state(CRN_CORO_ABANDONED) == 3);
    cr_assert(maker.mark.holder_count == 1 && maker.mark.holders[0].count == 3);
}

Test(frames, frames_of_two_functions_have_two_holders)
{
    uintptr_t *one = frame_make(false), *other = frame_make(false), *third = frame_make(false);
    frame_of(other)->kind = 1;
    frame_of(third)->suspension = 2;
    (void)one;
    maker_mark(&maker);
    cr_assert(maker.mark.holder_count == 3);
    cr_assert(maker.mark.holders[1].entry == 0x6000);
    cr_assert(maker.mark.holders[1].mechanism == CRN_MECHANISM_CXX20);
}

Test(frames, what_a_finished_frame_left_is_completed)
{
    uintptr_t *frame = frame_make(true), *left = maker_block(&maker.heap, 32);
    frame[5] = (uintptr_t)left;
    maker_mark(&maker);
    assert_leak(&maker, frame, CRN_VERDICT_COMPLETED, true);
    assert_leak(&maker, left, CRN_VERDICT_COMPLETED, true);
    cr_assert(confidence_of(frame) == CRN_PROVEN);
    cr_assert(in_state(CRN_CORO_COMPLETED) == 1);
}

Test(frames, a_held_finished_frame_is_only_likely)
{
    uintptr_t *frame = frame_make(true), *left = maker_block(&maker.heap, 32);
    frame[5] = (uintptr_t)left;
    *maker_global(&maker) = (uintptr_t)frame;
    maker_mark(&maker);
    assert_leak(&maker, frame, CRN_VERDICT_COMPLETED, true);
    assert_leak(&maker, left, CRN_VERDICT_COMPLETED, true);
    cr_assert(confidence_of(frame) == CRN_LIKELY && confidence_of(left) == CRN_LIKELY);
}

Test(frames, what_something_live_holds_too_is_no_leftover)
{
    uintptr_t *frame = frame_make(true), *result = maker_block(&maker.heap, 32);
    frame[2] = (uintptr_t)result;
    *maker_global(&maker) = (uintptr_t)result;
    maker_mark(&maker);
    assert_verdict(&maker, result, CRN_VERDICT_LIVE);
    assert_verdict(&maker, frame, CRN_VERDICT_COMPLETED);
}

Test(frames, a_finished_frame_vouches_for_nobody)
{
    uintptr_t *finished = frame_make(true), *waiting = frame_make(false);
    finished[5] = (uintptr_t)waiting;
    *maker_global(&maker) = (uintptr_t)finished;
    maker_mark(&maker);
    assert_leak(&maker, waiting, CRN_VERDICT_ABANDONED, true);
    assert_leak(&maker, finished, CRN_VERDICT_COMPLETED, true);
}

Test(frames, a_finished_frame_that_a_held_one_leads_to_is_held_as_well)
{
    uintptr_t *inner = frame_make(true), *outer = frame_make(true);
    uintptr_t *between = maker_block(&maker.heap, 32);
    outer[5] = (uintptr_t)between;
    between[1] = (uintptr_t)inner;
    *maker_global(&maker) = (uintptr_t)outer;
    maker_mark(&maker);
    assert_leak(&maker, inner, CRN_VERDICT_COMPLETED, true);
    cr_assert(confidence_of(inner) == CRN_LIKELY && confidence_of(outer) == CRN_LIKELY);
}

Test(frames, a_finished_frame_that_an_unheld_one_leads_to_is_proven)
{
    uintptr_t *inner = frame_make(true), *outer = frame_make(true);
    outer[5] = (uintptr_t)inner;
    maker_mark(&maker);
    cr_assert(confidence_of(inner) == CRN_PROVEN && confidence_of(outer) == CRN_PROVEN);
}

Test(frames, a_fiber_that_only_a_dead_frame_knows_is_abandoned)
{
    char *stack = maker_memory(&maker, 4096);
    uintptr_t *frame = frame_make(false), *held = maker_block(&maker.heap, 32);
    maker_coro(&maker, CRN_CORO_SUSPENDED, stack, 4096, stack + 2048);
    frame[4] = (uintptr_t)stack + 2048;
    *(uintptr_t *)(stack + 3000) = (uintptr_t)held;
    maker_mark(&maker);
    assert_leak(&maker, held, CRN_VERDICT_ABANDONED, true);
    cr_assert(in_state(CRN_CORO_ABANDONED) == 2);
}

Test(frames, a_frame_that_only_a_dead_fiber_knows_is_abandoned_in_its_own_right)
{
    char *stack = maker_memory(&maker, 4096);
    uintptr_t *frame = frame_make(false);
    maker_coro(&maker, CRN_CORO_SUSPENDED, stack, 4096, stack + 2048);
    *(uintptr_t *)(stack + 3000) = (uintptr_t)frame;
    maker_mark(&maker);
    assert_leak(&maker, frame, CRN_VERDICT_ABANDONED, true);
    cr_assert(in_state(CRN_CORO_ABANDONED) == 2);
    cr_assert(maker.mark.holder_of[1] != 0);
}

Test(frames, a_frame_that_a_live_fiber_holds_is_live)
{
    char *stack = maker_memory(&maker, 4096);
    uintptr_t *frame = frame_make(false);
    maker_coro(&maker, CRN_CORO_SUSPENDED, stack, 4096, stack + 2048);
    *(uintptr_t *)(stack + 3000) = (uintptr_t)frame;
    *maker_global(&maker) = (uintptr_t)stack + 2048;
    maker_mark(&maker);
    assert_verdict(&maker, frame, CRN_VERDICT_LIVE);
}

Test(frames, foreign_frames_are_not_judged)
{
    uintptr_t *waiting = frame_make(false), *finished = frame_make(true);
    uintptr_t *left = maker_block(&maker.heap, 32);
    finished[5] = (uintptr_t)left;
    maker.heap.heap.birth_now = 7;
    uintptr_t *ours = maker_block(&maker.heap, 32);
    waiting[5] = (uintptr_t)ours;
    maker.snap.birth_from = 7;
    maker_mark(&maker);
    cr_assert(maker.mark.suspect_count == 0);
    assert_verdict(&maker, ours, CRN_VERDICT_LIVE);
}

Test(frames, a_chain_leads_to_the_held_frame)
{
    uintptr_t *frame = frame_make(true), *between = maker_block(&maker.heap, 32);
    uintptr_t *global = maker_global(&maker);
    struct crn_chain_step steps[1][CRN_CHAIN_STEPS_MAX];
    unsigned count;
    uint32_t number = 0;
    *global = (uintptr_t)between;
    between[2] = (uintptr_t)frame;
    maker_mark(&maker);
    crn_mark_trace(&maker.mark, &number, 1, steps, &count);
    cr_assert(count == 2);
    cr_assert(steps[0][0].root == 1 && steps[0][0].address == (uintptr_t)global);
    cr_assert(steps[0][1].block == (uintptr_t)between);
    cr_assert(steps[0][1].address == (uintptr_t)&between[2]);
}

/* Verdicts of frames by a marker so simple that it must be right: rounds until nothing changes. */
static void simple_reach(uintptr_t **blocks, size_t count, const uintptr_t *global, bool *reached)
{
    for (bool is_changing = true; is_changing;) {
        is_changing = false;
        for (size_t i = 0; i < count; i++) {
            bool is_led_to = *global == (uintptr_t)blocks[i];
            for (size_t from = 0; from < count && !is_led_to; from++) {
                const struct crn_snap_frame *frame = frame_of(blocks[from]);
                for (size_t word = 0; word < 8; word++)
                    is_led_to |= reached[from] && (frame == NULL || !frame->is_final) &&
                                 blocks[from][word] == (uintptr_t)blocks[i];
            }
            is_changing |= is_led_to && !reached[i];
            reached[i] |= is_led_to;
        }
    }
}

Test(frames, random_heaps_are_judged_as_the_simple_marker_does)
{
    enum { BLOCKS = 24, HEAPS = 300 };
    for (unsigned seed = 0; seed < HEAPS; seed++) {
        struct maker_random random = maker_random_from(seed);
        uintptr_t *blocks[BLOCKS];
        bool reached[BLOCKS] = {false};
        teardown();
        setup();
        for (size_t i = 0; i < BLOCKS; i++)
            blocks[i] = maker.snap.frame_count < FRAMES_MAX && maker_below(&random, 2) == 0
                            ? frame_make(maker_below(&random, 3) == 0)
                            : maker_block(&maker.heap, 64);
        for (size_t edge = maker_below(&random, 2 * BLOCKS); edge > 0; edge--)
            blocks[maker_below(&random, BLOCKS)][2 + maker_below(&random, 6)] =
                (uintptr_t)blocks[maker_below(&random, BLOCKS)];
        uintptr_t *global = maker_global(&maker);
        *global = (uintptr_t)blocks[maker_below(&random, BLOCKS)];
        simple_reach(blocks, BLOCKS, global, reached);
        maker_mark(&maker);
        for (size_t i = 0; i < BLOCKS; i++) {
            const struct crn_snap_frame *frame = frame_of(blocks[i]);
            bool is_direct;
            enum crn_verdict verdict =
                crn_mark_verdict(&maker.mark, (uintptr_t)blocks[i], &is_direct);
            if (frame != NULL && frame->is_final) {
                cr_assert(verdict == CRN_VERDICT_COMPLETED && is_direct);
                cr_assert(!reached[i] || confidence_of(blocks[i]) == CRN_LIKELY);
            } else if (frame != NULL && !reached[i]) {
                cr_assert(verdict == CRN_VERDICT_ABANDONED && is_direct);
            } else {
                cr_assert((verdict == CRN_VERDICT_LIVE) == reached[i]);
            }
        }
    }
}
