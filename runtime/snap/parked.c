/*
 * Who is parked where: stacks that were left by a switch nobody told us of.
 *
 * Three steps, each only as far as needed:
 *
 *   1. Read the stacks themselves.  A switch leaves a return address that says so (coro/pushed.c).
 *      A program that has one such stack may have more, on which nothing ever allocated: every
 *      block and mapping with a guard page that is large enough is looked at, too.
 *   2. Where a stack shows none, or several, read all of the program's memory once: for registers
 *      that setjmp saved (coro/setjmp.c), and for words that are the sp of a place.
 *   3. Of the places with one base, the lowest that somebody holds is where that coroutine is
 *      parked: what lies above it is certainly part of it.  The others are what it left behind.
 *
 * A stack on which nothing is found counts as live, all of it.  territory.c tells what is made of
 * the places.
 */
#include "snap/build.h"
#include "snap/readable.h"
#include "snap/registers.h"
#include "base/sort.h"
#include "coro/boost.h"
#include "coro/finder.h"

#include <string.h>

enum { CACHE_ROWS = 1 << 12, FRAMES_FOLLOWED_MOST = 1 << 25 };
enum { SPARSE_FROM_BYTES = 16 * 1024 }; /* asking costs as much as to touch one page */

struct cached {
    uintptr_t return_address;
    const struct crn_place_finder *finder; /* NULL: it is no call that parks a stack */
};

struct search {
    struct crn_snap_builder *builder;
    const struct crn_snap *snap;
    struct crn_territory *territories;
    size_t territory_count;
    struct crn_place *places;
    size_t place_count, place_room;
    uint32_t current; /* the territory that is read */
    uint64_t frames_followed; /* in it */
    struct cached *cache;
    uintptr_t low, span;     /* all territories lie in [low, low + span) */
    uintptr_t heap_start, heap_bytes;
    uintptr_t run_start, run_end; /* what is read now, and can be */
    uintptr_t guard;
    uint32_t *held_slots;    /* a hash of the places' sps: index + 1 */
    size_t held_mask;
    bool looks_for_holders;
    bool looks_for[CRN_FINDERS]; /* in memory */
};

/*
 * An announced switch was made by who announced it, or by a caller of that function: what was saved
 * far above is older.
 */
static bool is_outdated(const struct crn_territory *territory, uintptr_t sp)
{
    enum { CALLERS_BYTES = 1024 };
    const struct crn_coro *coro = crn_coro_at(territory->id);
    return territory->id != 0 && coro->mechanism == CRN_MECHANISM_ANNOTATED &&
           coro->saved.sp != 0 && sp > coro->saved.sp + CALLERS_BYTES;
}

static void place_add(struct search *search, struct crn_place place, uint32_t territory)
{
    if (is_outdated(&search->territories[territory], place.sp))
        return;
    if (search->place_count == search->place_room) {
        size_t room = search->place_room == 0 ? 256 : search->place_room * 2;
        struct crn_place *fresh =
            crn_arena_alloc(&search->builder->snap->arena, room * sizeof *fresh);
        if (fresh == NULL)
            return;
        if (search->place_count > 0)
            memcpy(fresh, search->places, search->place_count * sizeof *fresh);
        search->places = fresh;
        search->place_room = room;
    }
    place.territory = territory;
    search->places[search->place_count++] = place;
}

static struct crn_territory *territory_find(const struct search *search, uintptr_t address)
{
    size_t low = 0, high = search->territory_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (search->territories[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < search->territory_count && search->territories[low].start <= address
               ? &search->territories[low]
               : NULL;
}

static struct crn_stack_bounds bounds_of(const struct crn_territory *territory)
{
    return (struct crn_stack_bounds){territory->start, territory->end};
}

/* A thread's sp is in a territory: that stack runs. */
static void runner_note(struct search *search, struct crn_frame frame)
{
    struct crn_territory *territory = territory_find(search, frame.sp);
    struct crn_place place = {.pc = frame.pc, .frame_sp = frame.sp, .bp = frame.bp};
    if (territory == NULL)
        return;
    crn_place_follow(&search->snap->code, bounds_of(territory), frame.is_exact, &place);
    if (place.quality == CRN_BASE_BROKEN && !territory->is_whole_stack)
        territory->is_opaque = true;
    territory->running_sp =
        frame.is_exact ? crn_red_zone_start(frame.sp, territory->start) : frame.sp;
    territory->running_base = territory->is_whole_stack ? territory->end : place.base;
}

static void runners_note(struct search *search, const struct crn_taker *taker)
{
    for (uint32_t i = 0; i < search->builder->stopped_count; i++)
        runner_note(search, crn_registers_frame(search->builder->stopped[i].context));
    for (uint32_t i = 0, count = crn_threads_count(); i < count; i++) {
        struct crn_frame left;
        if (crn_scratch_frame(crn_thread_at(i), &left))
            runner_note(search, left);
    }
    if (taker->interrupted != NULL)
        runner_note(search, crn_registers_frame(taker->interrupted));
    else if (taker->registers != NULL)
        runner_note(search, (struct crn_frame){taker->registers->pc, taker->registers->rsp,
                                               taker->registers->rbp, false});
}

static const struct crn_place_finder *parking_finder(const struct crn_code *code, uintptr_t word)
{
    for (unsigned i = 0; i < CRN_FINDERS; i++)
        if (crn_finders[i].is_parking_call != NULL && crn_finders[i].is_parking_call(code, word))
            return &crn_finders[i];
    return NULL;
}

/* Who knows a word as the return address of a switch, by a small cache of those that were asked. */
static const struct crn_place_finder *finder_of(struct search *search, uintptr_t word)
{
    /* Most words that look like addresses lead to the heap, which lies between the modules. */
    if (word - search->heap_start < search->heap_bytes ||
        !crn_code_holds(&search->snap->code, word, 1))
        return NULL;
    struct cached *row = &search->cache[crn_hash64(word) & (CACHE_ROWS - 1)];
    if (row->return_address != word)
        *row = (struct cached){word, parking_finder(&search->snap->code, word)};
    return row->finder;
}

static void stack_read(uintptr_t start, uintptr_t end, void *user)
{
    struct search *search = user;
    struct crn_territory *territory = &search->territories[search->current];
    for (uintptr_t at = crn_align_up(start, 8); at + 8 <= end && !territory->is_opaque; at += 8) {
        struct crn_place place;
        const struct crn_place_finder *finder = finder_of(search, *(const uintptr_t *)at);
        if (finder == NULL ||
            !finder->find_on_stack(&search->snap->code, at, bounds_of(territory), &place))
            continue;
        /* Deep recursion that switches at each level: too much to follow all of it. */
        search->frames_followed += place.frames;
        territory->is_opaque |= search->frames_followed > FRAMES_FOLLOWED_MOST;
        if (place.quality != CRN_BASE_BROKEN || place.wants_bp)
            place_add(search, place, search->current);
    }
}

/* Ranges that look like stacks, among memory that is not known for one. */
struct discovery {
    struct search *search;
    struct crn_territory *found;
    size_t count, room;
    bool is_stack;               /* of the range that is looked at */
    struct crn_stack_bounds bounds;
};

static void discovery_read(uintptr_t start, uintptr_t end, void *user)
{
    struct discovery *discovery = user;
    const struct crn_code *code = &discovery->search->snap->code;
    for (uintptr_t at = crn_align_up(start, 8); at + 8 <= end && !discovery->is_stack; at += 8) {
        struct crn_place place;
        const struct crn_place_finder *finder =
            finder_of(discovery->search, *(const uintptr_t *)at);
        discovery->is_stack = finder != NULL &&
                              finder->find_on_stack(code, at, discovery->bounds, &place) &&
                              place.quality == CRN_BASE_PROPER;
    }
}

static void discovery_try(struct discovery *discovery, uintptr_t start, uintptr_t end,
                          bool has_floor)
{
    struct search *search = discovery->search;
    size_t low = 0, high = search->territory_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (search->territories[middle].end <= start)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < search->territory_count && search->territories[low].start < end)
        return;
    discovery->is_stack = false;
    discovery->bounds = (struct crn_stack_bounds){start, end};
    crn_readable_for_each(search->snap, (struct crn_range){start, end},
                          end - start >= SPARSE_FROM_BYTES, false, discovery_read, discovery);
    if (discovery->is_stack && discovery->count < discovery->room)
        discovery->found[discovery->count++] = (struct crn_territory){
            .start = start, .end = end, .has_floor = has_floor, .is_guessed = true};
}

static bool discovery_visit(const struct crn_block *block, void *user)
{
    enum { STACK_BYTES_LEAST = 4096 };
    if (block->usable < STACK_BYTES_LEAST)
        return true;
    /* One block may hold many stacks, with guard pages between them that must not be touched. */
    const struct crn_snap *snap = ((struct discovery *)user)->search->snap;
    uintptr_t start = block->start, end = block->start + block->usable;
    bool has_floor = false;
    for (size_t at = crn_unreadable_above(snap, start);
         at < snap->unreadable_count && snap->unreadable[at].start < end; at++) {
        if (snap->unreadable[at].start > start)
            discovery_try(user, start, snap->unreadable[at].start, has_floor);
        start = snap->unreadable[at].end;
        has_floor = !snap->unreadable[at].is_accessible;
    }
    if (start < end)
        discovery_try(user, start, end, has_floor);
    return true;
}

static bool territory_less(const void *a, const void *b)
{
    return ((const struct crn_territory *)a)->start < ((const struct crn_territory *)b)->start;
}

/* Adds stacks to the territories that nothing told us of. */
static void stacks_discover(struct search *search)
{
    enum { DISCOVERED_MAX = 1 << 16, MAPPED_STACK_MOST = 64 << 20 };
    const struct crn_snap *snap = search->snap;
    struct crn_arena *arena = &search->builder->snap->arena;
    struct discovery discovery = {.search = search, .room = DISCOVERED_MAX};
    discovery.found = crn_arena_alloc(arena, DISCOVERED_MAX * sizeof *discovery.found);
    if (discovery.found == NULL)
        return;
    crn_index_for_each(&snap->heap->index, snap->heap_end, discovery_visit, &discovery);
    for (size_t i = 0; i < snap->root_count; i++) {
        const struct crn_root *root = &snap->roots[i];
        bool has_floor = crn_has_guard_below(snap, root->start);
        if (root->kind == CRN_ROOT_MAPPING && has_floor &&
            root->end - root->start <= MAPPED_STACK_MOST)
            discovery_try(&discovery, root->start, root->end, true);
    }
    size_t count = search->territory_count + discovery.count;
    struct crn_territory *all = crn_arena_alloc(arena, count * sizeof *all);
    if (all == NULL || discovery.count == 0)
        return;
    memcpy(all, search->territories, search->territory_count * sizeof *all);
    memcpy(all + search->territory_count, discovery.found, discovery.count * sizeof *all);
    crn_sort(all, count, sizeof *all, territory_less);
    search->territories = all;
    search->territory_count = count;
}

static bool place_less(const void *a, const void *b)
{
    const struct crn_place *x = a, *y = b;
    if (x->territory != y->territory)
        return x->territory < y->territory;
    return x->base != y->base ? x->base < y->base : x->sp < y->sp;
}

/* Keeps the best places of each territory; where all of it is one stack, they have one base. */
static void places_sort(struct search *search)
{
    uint8_t *best = crn_arena_alloc(&search->builder->snap->arena, search->territory_count + 1);
    size_t kept = 0;
    if (best == NULL) {
        search->place_count = 0;
        return;
    }
    for (size_t i = 0; i < search->place_count; i++)
        if (search->places[i].quality > best[search->places[i].territory])
            best[search->places[i].territory] = search->places[i].quality;
    for (size_t i = 0; i < search->place_count; i++) {
        struct crn_place place = search->places[i];
        const struct crn_territory *territory = &search->territories[place.territory];
        if (place.quality < best[place.territory] && !place.wants_bp)
            continue;
        if (territory->is_whole_stack)
            place.base = territory->end;
        search->places[kept++] = place;
    }
    search->place_count = kept;
    crn_sort(search->places, kept, sizeof *search->places, place_less);
}

/* Whether reading the stacks left questions: none found on one, or several with one base. */
static void questions_find(struct search *search)
{
    size_t place = 0;
    for (uint32_t i = 0; i < search->territory_count; i++) {
        struct crn_territory *territory = &search->territories[i];
        bool is_parked = territory->running_base == 0 && !territory->is_opaque;
        bool is_found = false;
        search->looks_for_holders |= territory->is_guessed;
        for (; place < search->place_count && search->places[place].territory == i; place++) {
            is_found = true;
            search->looks_for_holders |= search->places[place].wants_bp;
            if (place > 0 && search->places[place - 1].territory == i)
                search->looks_for_holders = true;
        }
        territory->is_asked = is_parked && !is_found && territory->id != 0;
        /* What setjmp saved must be found although something else was: it may be the later one. */
        for (unsigned k = 0; k < CRN_FINDERS; k++)
            if (crn_finders[k].find_in_memory != NULL)
                search->looks_for[k] |=
                    territory->is_asked || (is_parked && territory->is_whole_stack &&
                                            !crn_finders[k].only_where_asked);
    }
    /* And it must not win over others because nobody looked for who holds those. */
    for (unsigned k = 0; k < CRN_FINDERS; k++)
        search->looks_for_holders |= search->looks_for[k];
}

static void held_prepare(struct search *search)
{
    size_t slots = 256;
    while (slots < search->place_count * 2)
        slots *= 2;
    search->held_slots =
        crn_arena_alloc(&search->builder->snap->arena, slots * sizeof *search->held_slots);
    search->held_mask = slots - 1;
    search->looks_for_holders &= search->held_slots != NULL;
    if (!search->looks_for_holders)
        return;
    for (size_t i = 0; i < search->place_count; i++) {
        size_t at = crn_hash64(search->places[i].sp) & search->held_mask;
        while (search->held_slots[at] != 0)
            at = (at + 1) & search->held_mask;
        search->held_slots[at] = (uint32_t)i + 1;
    }
}

static void held_note(struct search *search, uintptr_t word, uintptr_t address)
{
    for (size_t at = crn_hash64(word) & search->held_mask; search->held_slots[at] != 0;
         at = (at + 1) & search->held_mask) {
        struct crn_place *place = &search->places[search->held_slots[at] - 1];
        if (place->sp != word)
            continue;
        place->is_held = true;
        if (!place->wants_bp)
            continue;
        struct crn_switcher switcher = crn_switcher_of(&search->snap->code, place->pc);
        if (crn_memory_read(&place->bp, address + (uintptr_t)(intptr_t)switcher.bp_beside,
                            sizeof place->bp)) {
            /* rbp lies beside it: now the frames can be followed for good. */
            place->wants_bp = false;
            crn_place_follow(&search->snap->code,
                             bounds_of(&search->territories[place->territory]), false, place);
        }
    }
}

/* A word that leads into a stack: asks those who look for such words. */
static void word_note(struct search *search, uintptr_t rsp, uintptr_t address, bool is_mangled)
{
    const struct crn_code *code = &search->snap->code;
    const struct crn_range run = {search->run_start, search->run_end};
    for (unsigned i = 0; i < CRN_FINDERS; i++) {
        const struct crn_place_finder *finder = &crn_finders[i];
        struct crn_place place;
        if (!search->looks_for[i] || finder->is_mangled != is_mangled ||
            /* In an arena with a stack in it, there are millions of such words. */
            (finder->may_be != NULL && !finder->may_be(code, address, run)))
            continue;
        struct crn_territory *territory = territory_find(search, rsp);
        if (territory != NULL && (territory->is_asked || !finder->only_where_asked) &&
            !(finder->only_outside &&
              address - territory->start < territory->end - territory->start) &&
            finder->find_in_memory(code, address, rsp, bounds_of(territory), &place) &&
            place.quality != CRN_BASE_BROKEN)
            place_add(search, place, (uint32_t)(territory - search->territories));
    }
}

static void memory_read(uintptr_t start, uintptr_t end, void *user)
{
    struct search *search = user;
    const uintptr_t low = search->low, span = search->span, guard = search->guard;
    const uintptr_t mask = ((uintptr_t)1 << 48) - 1;
    search->run_start = start;
    search->run_end = end;
    for (uintptr_t at = crn_align_up(start, 8); at + 8 <= end; at += 8) {
        uintptr_t word = *(const uintptr_t *)at;
        if (CRN_UNLIKELY((word & mask) - low < span)) {
            if (search->looks_for_holders)
                held_note(search, word & mask, at);
            word_note(search, word & mask, at, false);
        }
        uintptr_t plain = crn_setjmp_unmangle(word, guard);
        if (CRN_UNLIKELY(plain - low < span))
            word_note(search, plain, at, true);
    }
}

static bool block_read(const struct crn_block *block, void *user)
{
    struct search *search = user;
    crn_readable_for_each(search->snap,
                          (struct crn_range){block->start, block->start + block->usable},
                          block->usable >= SPARSE_FROM_BYTES, false, memory_read, search);
    return true;
}

static void memory_search(struct search *search)
{
    const struct crn_snap *snap = search->snap;
    search->guard = crn_setjmp_guard();
    for (size_t i = 0; i < snap->root_count; i++)
        crn_readable_for_each(snap, (struct crn_range){snap->roots[i].start, snap->roots[i].end},
                              snap->roots[i].must_be_sparse, snap->roots[i].is_copy_only,
                              memory_read, search);
    crn_index_for_each(&snap->heap->index, snap->heap_end, block_read, search);
    for (size_t i = 0; i < snap->outside_count; i++)
        crn_readable_for_each(
            snap,
            (struct crn_range){snap->outside[i].start,
                               snap->outside[i].start + snap->outside[i].usable},
            snap->outside[i].usable >= SPARSE_FROM_BYTES, false, memory_read, search);
}

static void stacks_read(struct search *search)
{
    for (uint32_t i = 0; i < search->territory_count; i++) {
        const struct crn_territory *territory = &search->territories[i];
        search->current = i;
        search->frames_followed = 0;
        if (!territory->is_opaque)
            crn_readable_for_each(search->snap,
                                  (struct crn_range){territory->start, territory->end}, true, false,
                                  stack_read, search);
    }
}

static void bounds_note(struct search *search)
{
    search->low = search->territories[0].start;
    search->span = search->territories[search->territory_count - 1].end - search->low;
}

void crn_build_parked(struct crn_snap_builder *builder, const struct crn_taker *taker,
                      struct crn_territory *territories, size_t count)
{
    struct search search = {.builder = builder,
                            .snap = builder->snap,
                            .territories = territories,
                            .territory_count = count};
    if (count == 0 && !crn_boost_is_loaded())
        return;
    search.cache = crn_arena_alloc(&builder->snap->arena, CACHE_ROWS * sizeof *search.cache);
    if (search.cache == NULL)
        return;
    search.heap_start = builder->snap->heap->index.base;
    search.heap_bytes = builder->snap->heap_end - search.heap_start;
    crn_sort(territories, count, sizeof *territories, territory_less);
    if (builder->snap->unseen_threads > 0) {
        /* Whoever looks parked may be running. */
        for (size_t i = 0; i < count; i++)
            crn_build_territory(builder, &territories[i], NULL, 0);
        return;
    }
    runners_note(&search, taker);
    stacks_read(&search);
    if (search.place_count > 0 || crn_boost_is_loaded()) {
        stacks_discover(&search);
        if (search.territory_count > count) {
            search.place_count = 0;
            runners_note(&search, taker);
            stacks_read(&search);
        }
    }
    if (search.territory_count == 0)
        return;
    bounds_note(&search);
    places_sort(&search);
    questions_find(&search);
    if (search.looks_for_holders) {
        held_prepare(&search);
        memory_search(&search);
        places_sort(&search);
    }
    for (size_t i = 0, first = 0; i < search.territory_count; i++) {
        size_t end = first;
        while (end < search.place_count && search.places[end].territory == i)
            end++;
        crn_build_territory(builder, &search.territories[i], search.places + first, end - first);
        first = end;
    }
}
