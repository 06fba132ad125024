/*
 * Births: which block is older than a line, and when a block was made, for ten years and any number
 * of lines.
 */
#include "make_heap.h"
#include "base/sys.h"

#include <pthread.h>
#include <sched.h>

static struct maker_heap maker;
static struct crn_heap *const heap = &maker.heap;

static const uint64_t SECOND_NS = 1000000000, YEAR_NS = 31557600ull * 1000000000;

static void setup(void)
{
    maker_heap_init(&maker, 4096);
    heap->region.next = maker_end(&maker);
    heap->started_ns = crn_now_ns();
}

static void teardown(void)
{
    maker_heap_fini(&maker);
}

TestSuite(births, .init = setup, .fini = teardown, .timeout = 120);

static struct crn_record *born(void)
{
    return maker_record(&maker, maker_place(&maker, 64), 64, 0);
}

static uint64_t birth(const struct crn_record *record)
{
    return crn_birth_of(heap, record);
}

/* As if so many lines were drawn, in leaps that are small beside what a sweep leaves alone. */
static void lines_draw(unsigned count)
{
    for (unsigned leap; count > 0; count -= leap) {
        leap = count < 1 << 14 ? count : 1 << 14;
        heap->birth_now += leap - 1;
        crn_heap_line_draw(heap);
    }
}

static void time_pass(uint64_t ns)
{
    heap->started_ns -= ns;
    crn_births_tick(heap);
}

Test(births, a_line_parts_blocks_of_one_second)
{
    struct crn_record *before = born();
    uint64_t line = crn_heap_line_draw(heap);
    struct crn_record *after = born();
    cr_assert(birth(before) < line && birth(after) >= line);
    cr_assert(birth(after) < crn_heap_line_draw(heap));
}

struct visited {
    uint64_t births[64];
    size_t count;
};

static void visit(void *user, uint64_t birth, uint32_t stamp)
{
    cr_assert_eq(crn_birth_of_stamp(heap, stamp), birth);
    struct visited *visited = user;
    if (visited->count < 64)
        visited->births[visited->count++] = birth;
}

Test(births, each_knows_how_much_was_live_when_it_began)
{
    heap->live_bytes = 1000;
    time_pass(SECOND_NS);
    uint64_t first = heap->birth_now;
    heap->live_bytes = 5000;
    time_pass(SECOND_NS);
    cr_assert_eq(crn_birth_level(heap, first), 1000u);
    cr_assert_eq(crn_birth_level(heap, heap->birth_now), 5000u);
    lines_draw((unsigned)CRN_BIRTH_EXACT * 2); /* they are swept, and both are kept */
    cr_assert_eq(crn_birth_level(heap, first), 1000u);
}

Test(births, all_that_blocks_may_bear_are_visited_the_newest_first)
{
    struct visited visited = {.count = 0};
    for (unsigned i = 0; i < 10; i++)
        crn_heap_line_draw(heap);
    uint64_t from = heap->birth_now - 5;
    crn_births_visit(heap, from, visit, &visited);
    cr_assert_eq(visited.count, 6);
    for (size_t i = 0; i < visited.count; i++)
        cr_assert_eq(visited.births[i], heap->birth_now - i);
    lines_draw((unsigned)CRN_BIRTH_EXACT * 2);
    uint64_t swept = heap->births.swept;
    cr_assert_gt(swept, from);
    heap->birth_now = swept + 1;
    visited.count = 0;
    crn_births_visit(heap, 1, visit, &visited);
    cr_assert_geq(visited.count, 2);
    for (size_t i = 1; i < visited.count; i++)
        cr_assert_lt(visited.births[i], visited.births[i - 1]);
}

Test(births, a_second_is_a_birth_and_less_is_none)
{
    uint64_t first = heap->birth_now;
    time_pass(SECOND_NS / 2);
    cr_assert_eq(heap->birth_now, first);
    time_pass(SECOND_NS);
    cr_assert_eq(heap->birth_now, first + 1);
    crn_births_tick(heap);
    cr_assert_eq(heap->birth_now, first + 1);
}

Test(births, the_line_of_a_fork_after_fifty_days_is_drawn)
{
    heap->birth_line = crn_heap_line_draw(heap);
    time_pass(50 * 86400 * SECOND_NS);
    struct crn_record *inherited = born();
    crn_heap_after_fork(heap);
    cr_assert(birth(inherited) < heap->birth_line && birth(born()) >= heap->birth_line);
}

Test(births, blocks_stay_on_their_sides_of_the_line_over_ten_million_others)
{
    struct crn_record *early = born();
    lines_draw(700);
    struct crn_record *before = born();
    heap->birth_line = crn_heap_line_draw(heap);
    struct crn_record *after = born();
    struct crn_record *each[20];
    for (unsigned i = 0; i < CRN_COUNT_OF(each); i++) {
        lines_draw(500000);
        each[i] = born();
        uint64_t line = crn_heap_line_draw(heap);
        cr_assert(birth(each[i]) < line && birth(born()) >= line);
        for (unsigned k = 0; k < i; k++)
            cr_assert(birth(each[k]) <= birth(each[k + 1]));
        cr_assert(birth(early) <= birth(before) && birth(before) < heap->birth_line);
        cr_assert(birth(after) >= heap->birth_line && birth(after) <= birth(each[0]));
    }
    cr_assert(heap->birth_now > 2 * (CRN_META_STAMP_MASK + 1));
}

Test(births, a_line_is_exact_while_fewer_than_two_million_births_came_after)
{
    for (unsigned round = 0; round < 3; round++) {
        struct crn_record *before = born();
        uint64_t line = crn_heap_line_draw(heap);
        struct crn_record *after = born();
        lines_draw(CRN_BIRTH_EXACT - 10);
        cr_assert(birth(before) < line && birth(after) >= line);
    }
}

Test(births, ten_years_of_seconds_and_lines_are_told_with_a_grain_that_grows_with_age)
{
    enum { BLOCKS = 64 };
    struct crn_record *blocks[BLOCKS];
    uint64_t made_ns[BLOCKS];
    unsigned count = 0;
    uint64_t began = heap->started_ns;
    heap->birth_line = crn_heap_line_draw(heap);
    for (uint64_t elapsed = 0; elapsed < 10 * YEAR_NS; elapsed = crn_now_ns() - heap->started_ns) {
        if (count < BLOCKS && elapsed >= (10 * YEAR_NS >> (BLOCKS - count) / 2)) {
            made_ns[count] = elapsed;
            blocks[count++] = born();
        }
        /* A program that allocates all the time, and draws lines beside. */
        time_pass(elapsed / 20000 > SECOND_NS ? elapsed / 20000 : SECOND_NS);
        lines_draw(50);
    }
    cr_assert(count >= BLOCKS - 2 && heap->started_ns != began);
    uint64_t now = crn_now_ns() - heap->started_ns;
    for (unsigned i = 0; i < count; i++) {
        struct crn_birth_span span = crn_birth_time(heap, birth(blocks[i]));
        cr_assert(birth(blocks[i]) >= heap->birth_line);
        cr_assert(span.from_ns <= made_ns[i] && made_ns[i] <= span.to_ns,
                  "block %u: %lu in %lu %lu", i, made_ns[i], span.from_ns, span.to_ns);
        cr_assert(span.to_ns - span.from_ns <= (now - made_ns[i]) / 6 + 3 * SECOND_NS,
                  "block %u: %lu to %lu, of %lu", i, span.from_ns, span.to_ns, now);
    }
}

/* One thread draws lines, and so sweeps; another makes, resizes and frees blocks meanwhile. */
static _Atomic bool has_ended;
static _Atomic unsigned rounds;
static struct crn_record *kept_records[64];

static void *make_on_and_on(void *unused)
{
    for (; !has_ended; rounds++) {
        for (unsigned i = 0; i < CRN_COUNT_OF(kept_records); i++) {
            struct crn_record *record = kept_records[i];
            uint64_t before = heap->birth_now;
            if (i % 2 == 0) {
                crn_record_clear(record);
                crn_record_write(record, 64, 0, 0, heap->birth_now);
            } else {
                crn_record_replace(record, 60, 0, 0, heap->birth_now);
            }
            cr_assert(birth(record) >= before && birth(record) <= heap->birth_now);
        }
    }
    return unused;
}

Test(births, a_sweep_does_no_harm_to_blocks_that_come_and_go)
{
    pthread_t thread;
    struct crn_record *old = born();
    heap->birth_line = crn_heap_line_draw(heap);
    struct crn_record *ours = born();
    for (unsigned i = 0; i < CRN_COUNT_OF(kept_records); i++)
        kept_records[i] = born();
    pthread_create(&thread, NULL, make_on_and_on, NULL);
    for (unsigned i = 0; i < 8; i++) {
        for (unsigned k = 0; k < 100; k++) {
            lines_draw(10000);
            for (unsigned seen = rounds; rounds - seen < 2;)
                sched_yield(); /* nobody sleeps in there for millions of births */
        }
        cr_assert(birth(old) < heap->birth_line && birth(ours) >= heap->birth_line);
    }
    has_ended = true;
    pthread_join(thread, NULL);
}
