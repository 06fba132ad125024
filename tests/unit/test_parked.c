/*
 * Where a suspended stack stopped, found on stacks that really were left by a switch.
 *
 * Each flavour of ../cases/switches.h parks a fiber a few frames deep.  What the switch itself
 * saved is known here, and what is found by reading the stack is compared with it.
 */
#include "../cases/switches.h"

#include "coro/parked.h"
#include "base/maps.h"

#include <criterion/criterion.h>
#include <setjmp.h>

enum { RANGES_MAX = 512, BYTES = 1 << 16, DEPTH = 5, PLACES_MAX = 64 };

static struct crn_range ranges[RANGES_MAX];
static struct crn_code code = {ranges, 0};
static struct place scheduler, fiber;
static sigjmp_buf *buffer, *scheduler_buffer;
static const struct flavour *flavour;
static char *stack;
static struct crn_stack_bounds bounds;

static bool range_visit(const struct crn_map_entry *entry, void *user)
{
    (void)user;
    if ((entry->flags & CRN_MAP_EXECUTE) != 0 && entry->path[0] != '[')
        ranges[code.count++] = (struct crn_range){entry->start, entry->end};
    return code.count < RANGES_MAX;
}

/* Swaps' bytes become executable when their flavour is used: look again then. */
static void code_find(void)
{
    code.count = 0;
    cr_assert(crn_maps_for_each(range_visit, NULL));
}

static void setup(void)
{
    stack = mapped_stack(BYTES);
    bounds = (struct crn_stack_bounds){(uintptr_t)stack, (uintptr_t)stack + BYTES};
    code_find();
}

TestSuite(parked, .init = setup);

NOINLINE static void wait_at(unsigned depth)
{
    char room[128];
    memset(room, (int)depth, sizeof room);
    __asm__ volatile("" : : "r"(room) : "memory");
    if (depth > 0)
        wait_at(depth - 1);
    else if (buffer == NULL)
        flavour->go(&fiber, &scheduler);
    else if (sigsetjmp(*buffer, 0) == 0)
        siglongjmp(*scheduler_buffer, 1);
    __asm__ volatile("" : : "r"(room) : "memory");
}

static void begin(void)
{
    for (;;) {
        wait_at(DEPTH);
        wait_at(0); /* leaves older places below */
    }
}

NOINLINE static void go(void)
{
    flavour->go(&scheduler, &fiber);
}

static void start(const struct flavour *its)
{
    flavour = its;
    flavour->make(&fiber, (uintptr_t *)(stack + BYTES));
    go();
    code_find();
}

/* All places on the stack, lowest first. */
static size_t places_find(struct crn_place *places)
{
    size_t count = 0;
    for (uintptr_t at = bounds.start; at < bounds.end && count < PLACES_MAX; at += 8)
        if (crn_code_holds(&code, *(const uintptr_t *)at, 1))
            count += crn_pushed_find(&code, at, bounds, &places[count]);
    return count;
}

/* What the flavour kept as the fiber's sp; 0: it is kept in another way. */
static uintptr_t sp_of_fiber(void)
{
    unsigned word = flavour->make == make_buffer ? 1 : flavour->make == make_threads ? 6 : 0;
    return (uintptr_t)fiber.words[word];
}

static const struct crn_place *place_at(const struct crn_place *places, size_t count, uintptr_t sp)
{
    for (size_t i = 0; i < count; i++)
        if (places[i].sp == sp)
            return &places[i];
    return NULL;
}

Test(parked, a_stack_left_by_each_flavour_shows_the_sp_that_was_kept)
{
    for (size_t i = 0; i < CRN_COUNT_OF(flavours); i++) {
        struct crn_place places[PLACES_MAX];
        if (flavours[i].make == make_threads)
            continue; /* in two halves: see below */
        memset(stack, 0, BYTES);
        start(&flavours[i]);
        const struct crn_place *found = place_at(places, places_find(places), sp_of_fiber());
        cr_assert(found != NULL, "%s", flavours[i].name);
    }
}

Test(parked, the_frames_lead_to_the_base_of_the_stack_and_to_its_entry)
{
    struct crn_place places[PLACES_MAX];
    start(&flavours[0]);
    const struct crn_place *found = place_at(places, places_find(places), sp_of_fiber());
    cr_assert(found != NULL);
    cr_assert_eq(found->quality, CRN_BASE_PROPER);
    cr_assert(found->base <= bounds.end && found->base + 64 > bounds.end);
    cr_assert(found->entry > (uintptr_t)begin && found->entry < (uintptr_t)begin + 256);
    cr_assert_geq(found->frames, DEPTH);
}

Test(parked, older_places_have_the_same_base_and_lie_below)
{
    struct crn_place places[PLACES_MAX];
    start(&flavours[0]);
    uintptr_t deep = sp_of_fiber();
    go(); /* now it waits further out */
    size_t count = places_find(places);
    const struct crn_place *now = place_at(places, count, sp_of_fiber());
    const struct crn_place *old = place_at(places, count, deep);
    cr_assert(now != NULL && now->quality == CRN_BASE_PROPER);
    cr_assert(now->sp > deep);
    cr_assert(old == NULL || old->quality == CRN_BASE_BROKEN || old->base == now->base);
}

Test(parked, a_chain_that_would_leave_the_bounds_is_no_proper_one)
{
    struct crn_place places[PLACES_MAX], again;
    start(&flavours[0]);
    const struct crn_place *found = place_at(places, places_find(places), sp_of_fiber());
    cr_assert(found != NULL);
    again = *found;
    crn_place_follow(&code, (struct crn_stack_bounds){bounds.start, found->frame_sp + 64}, false,
                     &again);
    cr_assert_neq(again.quality, CRN_BASE_PROPER);
    cr_assert(again.base <= found->frame_sp + 64);
}

Test(parked, nothing_outside_the_bounds_is_read)
{
    /* The same words at the end of the last page there is. */
    struct crn_place places[PLACES_MAX], place;
    start(&flavours[0]);
    const struct crn_place *found = place_at(places, places_find(places), sp_of_fiber());
    cr_assert(found != NULL);
    size_t bytes = 0x40; /* registers and return address */
    char *pages = mapped_stack(3 * 4096);
    cr_assert(mprotect(pages, 4096, PROT_NONE) == 0);
    cr_assert(mprotect(pages + 2 * 4096, 4096, PROT_NONE) == 0);
    char *copy = pages + 2 * 4096 - bytes;
    memcpy(copy, (void *)found->sp, bytes);
    struct crn_stack_bounds page = {(uintptr_t)pages + 4096, (uintptr_t)pages + 2 * 4096};
    cr_assert(crn_pushed_find(&code, (uintptr_t)copy + 0x30, page, &place));
    cr_assert_eq(place.quality, CRN_BASE_BROKEN);
    /* And at the start of the first one: where registers would be, there is nothing. */
    *(uintptr_t *)page.start = found->pc;
    cr_assert(!crn_pushed_find(&code, page.start, page, &place));
}

Test(parked, a_copy_of_a_stack_is_followed_inside_the_copy)
{
    struct crn_place places[PLACES_MAX], place;
    start(&flavours[0]);
    const struct crn_place *found = place_at(places, places_find(places), sp_of_fiber());
    cr_assert(found != NULL);
    size_t bytes = bounds.end - found->sp;
    char *copy = mapped_stack(BYTES);
    memcpy(copy, (void *)found->sp, bytes);
    struct crn_stack_bounds its = {(uintptr_t)copy, (uintptr_t)copy + BYTES};
    cr_assert(crn_pushed_find(&code, (uintptr_t)copy + 0x30, its, &place));
    cr_assert(place.base >= its.start && place.base <= its.end);
    munmap(stack, BYTES); /* whoever followed a frame pointer into it would die */
    cr_assert(crn_pushed_find(&code, (uintptr_t)copy + 0x30, its, &place));
}

Test(parked, a_switch_in_two_halves_is_found_by_what_its_first_half_kept)
{
    struct crn_place place;
    for (size_t i = 0; i < CRN_COUNT_OF(flavours); i++)
        if (flavours[i].make == make_threads)
            start(&flavours[i]);
    uintptr_t rsp = sp_of_fiber();
    cr_assert(rsp > bounds.start && rsp < bounds.end);
    cr_assert(crn_saved_find(&code, (uintptr_t)&fiber.words[6], rsp, bounds, &place));
    cr_assert_eq(place.sp, rsp);
    cr_assert_neq(place.quality, CRN_BASE_BROKEN);
    fiber.words[7] = NULL; /* without rip beside it, it is a word like any other */
    cr_assert(!crn_saved_find(&code, (uintptr_t)&fiber.words[6], rsp, bounds, &place));
}

/* Starts on the stack and leaves it by siglongjmp. */
static sigjmp_buf buffers[2];

NOINLINE static void start_setjmp(void)
{
    buffer = &buffers[0];
    scheduler_buffer = &buffers[1];
    flavour = &flavours[0];
    flavour->make(&fiber, (uintptr_t *)(stack + BYTES));
    if (sigsetjmp(buffers[1], 0) == 0)
        go();
}

enum { JMPBUF_RSP = 6, JMPBUF_RIP = 7 };

static uintptr_t hidden_word(unsigned number)
{
    uintptr_t word;
    memcpy(&word, (char *)&buffers[0] + number * sizeof word, sizeof word);
    return crn_setjmp_unmangle(word, crn_setjmp_guard());
}

static bool setjmp_find(struct crn_place *place)
{
    return crn_setjmp_find(&code, (uintptr_t)&buffers[0] + JMPBUF_RSP * 8, hidden_word(JMPBUF_RSP),
                           bounds, place);
}

Test(parked, a_stack_left_by_longjmp_is_found_by_its_jmp_buf)
{
    struct crn_place place;
    start_setjmp();
    cr_assert(setjmp_find(&place));
    cr_assert_eq(place.sp, hidden_word(JMPBUF_RSP));
    cr_assert_eq(place.pc, hidden_word(JMPBUF_RIP));
    cr_assert_eq(place.quality, CRN_BASE_PROPER);
    cr_assert_eq(place.area_end - place.area_start, 64);
}

Test(parked, a_jmp_buf_of_a_frame_that_called_something_else_is_where_errors_go)
{
    struct crn_place place;
    start_setjmp();
    uintptr_t *below = (uintptr_t *)hidden_word(JMPBUF_RSP) - 1;
    uintptr_t after_longjmp = *below;
    *below = hidden_word(JMPBUF_RIP); /* behind the call of setjmp, say */
    cr_assert(!setjmp_find(&place));
    *below = 0;
    cr_assert(!setjmp_find(&place));
    *below = after_longjmp;
    cr_assert(setjmp_find(&place));
}

Test(parked, words_that_are_no_jmp_buf_are_none)
{
    struct crn_place place;
    start_setjmp();
    uintptr_t rsp = hidden_word(JMPBUF_RSP);
    ((uintptr_t *)&buffers[0])[JMPBUF_RIP] ^= 0x55;
    cr_assert(!setjmp_find(&place));
    cr_assert(!crn_setjmp_find(&code, 64, rsp, bounds, &place));
}
