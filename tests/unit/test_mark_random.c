/*
 * Verdicts of random heaps, against a marker so simple that it can be believed.
 */
#include "make_snap.h"
#include "mark/groups.h"

static struct maker_snap maker;

/*
 * The simple marker.  It knows the picture and a plain list of blocks, looks through both from
 * end to end for every word, and repeats each flood until nothing changes.
 */
enum { BLOCKS_MAX = 60 };

struct simple {
    const struct crn_snap *snap;
    struct {
        uintptr_t start, end;
        size_t size; /* exact: pointers to what lies behind it are none to the block */
        bool is_foreign;
        enum crn_verdict verdict; /* CRN_VERDICT_COUNT: not known yet */
        bool is_direct;
    } blocks[BLOCKS_MAX];
    unsigned block_count;
    bool is_reached[MAKER_COROS];
    bool has_changed;
};

static int simple_cover(const struct simple *simple, uintptr_t address)
{
    for (unsigned i = 0; i < simple->block_count; i++)
        if (address >= simple->blocks[i].start && address < simple->blocks[i].end)
            return (int)i;
    return -1;
}

static int simple_block(const struct simple *simple, uintptr_t word)
{
    int i = simple_cover(simple, word);
    if (i < 0 || word - simple->blocks[i].start < simple->blocks[i].size)
        return i;
    bool is_empty_array = simple->blocks[i].size == 8 && word - simple->blocks[i].start == 8 &&
                          *(const uint64_t *)simple->blocks[i].start == 0;
    return is_empty_array ? i : -1;
}

static int simple_coro(const struct simple *simple, uintptr_t word)
{
    const struct crn_snap *snap = simple->snap;
    for (size_t i = 0; i < snap->opaque_count; i++)
        if (word >= snap->opaques[i].start && word < snap->opaques[i].end)
            return snap->opaques[i].is_context && !snap->opaques[i].is_handle
                       ? -1
                       : (int)snap->opaques[i].coro;
    for (size_t i = 0; i < snap->coro_count; i++)
        if (word == snap->coros[i].stack_end &&
            snap->coros[i].mechanism != CRN_MECHANISM_UCONTEXT && simple_cover(simple, word) >= 0 &&
            simple_cover(simple, word) == simple_cover(simple, snap->coros[i].stack_start))
            return (int)i;
    return -1;
}

static bool simple_is_readable(const struct simple *simple, uintptr_t at, int own_stack)
{
    const struct crn_snap *snap = simple->snap;
    for (size_t i = 0; i < snap->opaque_count; i++)
        if (at + 8 > snap->opaques[i].start && at < snap->opaques[i].end &&
            (snap->opaques[i].is_context || (int)snap->opaques[i].coro != own_stack))
            return false;
    for (size_t i = 0; i < snap->unreadable_count; i++)
        if (at + 8 > snap->unreadable[i].start && at < snap->unreadable[i].end)
            return false;
    return true;
}

typedef void simple_visit(struct simple *simple, uintptr_t word, int coro);

static void simple_scan(struct simple *simple, uintptr_t start, uintptr_t end, unsigned step,
                        int coro, simple_visit *visit)
{
    for (uintptr_t at = crn_align_up(start, step); at + 8 <= end; at += step) {
        uintptr_t word;
        if (!simple_is_readable(simple, at, coro))
            continue;
        memcpy(&word, (void *)at, sizeof word);
        visit(simple, word & ~((uintptr_t)0xffff << 48), coro);
    }
}

static void simple_body(struct simple *simple, unsigned coro, simple_visit *visit)
{
    const struct crn_snap_coro *row = &simple->snap->coros[coro];
    for (uint32_t i = 0; i < row->word_count; i++)
        visit(simple, simple->snap->words[row->first_word + i] & ~((uintptr_t)0xffff << 48),
              (int)coro);
    simple_scan(simple, crn_align_down(row->body_start, 4), row->body_end, 4, (int)coro, visit);
}

static enum crn_verdict simple_flood_verdict; /* of what is being flooded */

/* Whether what completed coroutines left may not claim a block: it is an abandoned one's own. */
static bool simple_is_anothers(const struct simple *simple, int block)
{
    const struct crn_opaque *first = NULL;
    for (size_t i = 0; i < simple->snap->opaque_count; i++) {
        const struct crn_opaque *opaque = &simple->snap->opaques[i];
        if ((!opaque->is_context || opaque->is_handle) &&
            opaque->end > simple->blocks[block].start &&
            opaque->start < simple->blocks[block].end &&
            (first == NULL || opaque->start < first->start))
            first = opaque;
    }
    return simple_flood_verdict == CRN_VERDICT_COMPLETED && first != NULL &&
           simple->snap->coros[first->coro].state != CRN_CORO_COMPLETED &&
           !simple->is_reached[first->coro];
}

static void simple_spread(struct simple *simple, uintptr_t word, int coro)
{
    int block = simple_block(simple, word);
    (void)coro;
    if (block >= 0 && simple->blocks[block].verdict == CRN_VERDICT_COUNT &&
        !simple_is_anothers(simple, block)) {
        simple->blocks[block].verdict = simple_flood_verdict;
        simple->has_changed = true;
    }
}

static void simple_reach(struct simple *simple, int coro)
{
    if (coro >= 0 && !simple->is_reached[coro] &&
        simple->snap->coros[coro].state != CRN_CORO_COMPLETED)
        simple->is_reached[coro] = simple->has_changed = true;
}

static void simple_live(struct simple *simple, uintptr_t word, int coro)
{
    simple_spread(simple, word, coro);
    simple_reach(simple, simple_coro(simple, word));
}

/* Ranges that hold a context which is a handle lead to its coroutine. */
static void simple_contexts(struct simple *simple, uintptr_t start, uintptr_t end)
{
    for (size_t i = 0; i < simple->snap->opaque_count; i++) {
        const struct crn_opaque *opaque = &simple->snap->opaques[i];
        if (opaque->is_handle && opaque->start < end && opaque->end > start)
            simple_reach(simple, (int)opaque->coro);
    }
}

static void simple_closure(struct simple *simple, enum crn_verdict verdict)
{
    simple_flood_verdict = verdict;
    do {
        simple->has_changed = false;
        for (unsigned i = 0; i < simple->block_count; i++)
            if (simple->blocks[i].verdict == verdict)
                simple_scan(simple, simple->blocks[i].start, simple->blocks[i].end, 8, -1,
                            simple_spread);
    } while (simple->has_changed);
}

static void simple_flood_live(struct simple *simple)
{
    const struct crn_snap *snap = simple->snap;
    simple_flood_verdict = CRN_VERDICT_LIVE;
    for (unsigned i = 0; i < snap->coro_count; i++)
        if (snap->coros[i].is_root)
            simple_reach(simple, (int)i);
    do {
        simple->has_changed = false;
        for (size_t i = 0; i < snap->root_count; i++) {
            simple_contexts(simple, snap->roots[i].start, snap->roots[i].end);
            simple_scan(simple, snap->roots[i].start, snap->roots[i].end, snap->roots[i].step, -1,
                        simple_live);
        }
        for (unsigned i = 0; i < simple->block_count; i++) {
            if (simple->blocks[i].verdict != CRN_VERDICT_LIVE)
                continue;
            simple_contexts(simple, simple->blocks[i].start, simple->blocks[i].end);
            simple_scan(simple, simple->blocks[i].start, simple->blocks[i].end, 8, -1, simple_live);
        }
        for (unsigned i = 0; i < snap->coro_count; i++)
            if (simple->is_reached[i])
                simple_body(simple, i, simple_live);
    } while (simple->has_changed);
}

/* A dead body's own pointer to a block that is not judged yet. */
static void simple_direct(struct simple *simple, uintptr_t word, int coro)
{
    int block = simple_block(simple, word);
    const struct crn_snap_coro *row = &simple->snap->coros[coro];
    if (block < 0 || simple->blocks[block].verdict != CRN_VERDICT_COUNT ||
        simple->blocks[block].is_foreign || simple_is_anothers(simple, block) ||
        (word >= row->stack_start && word < row->stack_end))
        return;
    simple->blocks[block].verdict = simple_flood_verdict;
    simple->blocks[block].is_direct = true;
}

static void simple_own(struct simple *simple, uintptr_t address)
{
    int block = simple_cover(simple, address);
    if (block >= 0 && simple->blocks[block].verdict == CRN_VERDICT_COUNT &&
        !simple->blocks[block].is_foreign) {
        simple->blocks[block].verdict = simple_flood_verdict;
        simple->blocks[block].is_direct = true;
    }
}

static void simple_dead(struct simple *simple, enum crn_verdict verdict, bool is_sure)
{
    const struct crn_snap *snap = simple->snap;
    simple_flood_verdict = verdict;
    for (unsigned i = 0; i < snap->coro_count; i++) {
        const struct crn_snap_coro *coro = &snap->coros[i];
        bool is_completed = coro->state == CRN_CORO_COMPLETED;
        if (coro->is_sure != is_sure || simple->is_reached[i] ||
            is_completed != (verdict == CRN_VERDICT_COMPLETED))
            continue;
        if (is_completed) {
            simple_scan(simple, coro->stack_start, coro->stack_end, 4, (int)i, simple_direct);
            continue;
        }
        simple_body(simple, i, simple_direct);
        for (size_t k = 0; k < snap->opaque_count; k++)
            if (snap->opaques[k].coro == i &&
                (!snap->opaques[k].is_context || snap->opaques[k].is_handle))
                simple_own(simple, snap->opaques[k].start);
    }
    simple_closure(simple, verdict);
}

static void simple_mark(struct simple *simple)
{
    for (unsigned i = 0; i < simple->block_count; i++)
        simple->blocks[i].verdict = CRN_VERDICT_COUNT;
    simple_flood_live(simple);
    for (int is_sure = 0; is_sure < 2; is_sure++)
        simple_dead(simple, CRN_VERDICT_COMPLETED, is_sure);
    for (int is_sure = 0; is_sure < 2; is_sure++)
        simple_dead(simple, CRN_VERDICT_ABANDONED, is_sure);
    for (unsigned i = 0; i < simple->block_count; i++)
        if (simple->blocks[i].verdict == CRN_VERDICT_COUNT && simple->blocks[i].is_foreign)
            simple->blocks[i].verdict = CRN_VERDICT_LIVE;
    simple_closure(simple, CRN_VERDICT_LIVE);
    for (unsigned i = 0; i < simple->block_count; i++)
        if (simple->blocks[i].verdict == CRN_VERDICT_COUNT)
            simple->blocks[i].verdict = CRN_VERDICT_LOST;
}

static uint64_t simple_leads_to; /* blocks, as bits */
static void simple_edge(struct simple *simple, uintptr_t word, int coro)
{
    int block = simple_block(simple, word);
    (void)coro;
    if (block >= 0 && simple->blocks[block].verdict == CRN_VERDICT_LOST)
        simple_leads_to |= (uint64_t)1 << block;
}

/* Exactly one direct block in each component of lost blocks that no other lost one leads to. */
static void lost_is_well_owned(struct simple *simple, uint64_t direct, unsigned seed)
{
    uint64_t reach[BLOCKS_MAX];
    for (unsigned i = 0; i < simple->block_count; i++) {
        simple_leads_to = (uint64_t)1 << i;
        if (simple->blocks[i].verdict == CRN_VERDICT_LOST)
            simple_scan(simple, simple->blocks[i].start, simple->blocks[i].end, 8, -1, simple_edge);
        reach[i] = simple_leads_to;
    }
    for (unsigned k = 0; k < simple->block_count; k++)
        for (unsigned i = 0; i < simple->block_count; i++)
            if (reach[i] >> k & 1)
                reach[i] |= reach[k];
    for (unsigned i = 0; i < simple->block_count; i++) {
        if (simple->blocks[i].verdict != CRN_VERDICT_LOST)
            continue;
        uint64_t before = 0, same = 0;
        for (unsigned k = 0; k < simple->block_count; k++) {
            if (simple->blocks[k].verdict != CRN_VERDICT_LOST || !(reach[k] >> i & 1))
                continue;
            if (reach[i] >> k & 1)
                same |= (uint64_t)1 << k;
            else
                before |= (uint64_t)1 << k;
        }
        int wanted = before == 0 ? 1 : 0;
        cr_assert(__builtin_popcountll(same & direct) == wanted,
                  "seed %u: the component of block %u has %d direct blocks, not %d", seed, i,
                  __builtin_popcountll(same & direct), wanted);
    }
}

/* A random picture. */

struct scene {
    struct maker_random random;
    struct simple simple;
    uintptr_t interesting[BLOCKS_MAX + 4 * MAKER_COROS]; /* where pointers may go */
    size_t interesting_bytes[BLOCKS_MAX + 4 * MAKER_COROS];
    unsigned interesting_count;
    unsigned density; /* one word in so many is a pointer */
};

static void scene_interesting(struct scene *scene, uintptr_t start, size_t bytes)
{
    scene->interesting[scene->interesting_count] = start;
    scene->interesting_bytes[scene->interesting_count++] = bytes;
}

static void *scene_block(struct scene *scene, size_t bytes)
{
    struct simple *simple = &scene->simple;
    void *start = maker_block(&maker.heap, bytes);
    struct crn_block block;
    cr_assert(crn_index_find(&maker.heap.heap.index, (uintptr_t)start, &block));
    simple->blocks[simple->block_count].start = (uintptr_t)start;
    simple->blocks[simple->block_count].end = (uintptr_t)start + block.usable;
    simple->blocks[simple->block_count].size = bytes;
    simple->blocks[simple->block_count++].is_foreign =
        crn_birth_of(&maker.heap.heap, block.record) < maker.snap.birth_from;
    scene_interesting(scene, (uintptr_t)start, block.usable);
    return start;
}

static uintptr_t scene_word(struct scene *scene)
{
    struct maker_random *random = &scene->random;
    if (maker_below(random, scene->density) != 0)
        return maker_below(random, 4) == 0 ? maker_random(random) : 0;
    size_t which = maker_below(random, scene->interesting_count);
    uintptr_t word = scene->interesting[which];
    switch (maker_below(random, 8)) {
    case 0:
        return word + maker_below(random, scene->interesting_bytes[which]);
    case 1:
        return word + scene->interesting_bytes[which];
    case 2:
        return word | maker_random(random) << 48;
    default:
        return word;
    }
}

static void scene_fill(struct scene *scene, uintptr_t start, size_t bytes)
{
    bool is_packed = maker_below(&scene->random, 4) == 0;
    for (size_t at = is_packed ? 4 : 0; at + 8 <= bytes; at += 8) {
        uintptr_t word = scene_word(scene);
        if (word != 0)
            memcpy((void *)(start + at), &word, sizeof word);
    }
}

static void scene_coro(struct scene *scene)
{
    static const enum crn_coro_state states[] = {CRN_CORO_CREATED,   CRN_CORO_SUSPENDED,
                                                 CRN_CORO_SUSPENDED, CRN_CORO_SUSPENDED,
                                                 CRN_CORO_COMPLETED, CRN_CORO_RUNNING};
    struct maker_random *random = &scene->random;
    size_t before = maker_below(random, 3) * 16, behind = maker_below(random, 3) * 512;
    size_t bytes = 128 + maker_below(random, 24) * 16;
    bool is_heap = maker_below(random, 2) == 0;
    size_t whole = before + bytes + behind;
    char *memory = is_heap ? scene_block(scene, whole) : maker_memory(&maker, whole);
    char *stack = memory + before;
    uint32_t coro = maker_coro(&maker, states[maker_below(random, CRN_COUNT_OF(states))], stack,
                               bytes, stack + maker_below(random, bytes / 4) * 4);
    maker.coros[coro].is_sure = maker_below(random, 3) != 0;
    if (maker_below(random, 4) == 0 && maker.coros[coro].state == CRN_CORO_SUSPENDED)
        maker.coros[coro].is_root = true;
    if (!is_heap && maker_below(random, 2) == 0)
        maker.coros[coro].mechanism = CRN_MECHANISM_SETJMP;
    scene_interesting(scene, (uintptr_t)stack, bytes);
    /* Its context: behind the stack, in a block of its own, in a global; or only a stale one. */
    bool is_handle = maker_below(random, 4) != 0;
    char *context = NULL;
    switch (maker_below(random, 4)) {
    case 0:
        context = behind >= 512 ? stack + bytes + 64 : NULL;
        break;
    case 1:
        context = (char *)scene_block(scene, 320) + 32;
        break;
    case 2:
        context = maker_memory(&maker, 288);
        if (maker_below(random, 3) == 0)
            maker_root(&maker, context, 288, CRN_ROOT_GLOBAL, 8);
        break;
    }
    if (context != NULL) {
        maker_opaque(&maker, context, 240, coro, true, is_handle);
        scene_interesting(scene, (uintptr_t)context, 240);
    }
}

static void scene_make(struct scene *scene, unsigned seed)
{
    static const size_t sizes[] = {8,   16,   40,   64,   64,   100,   300,
                                   720, 2000, 3000, 5000, 9000, 14000, 20000};
    struct maker_random *random = &scene->random;
    memset(scene, 0, sizeof *scene);
    scene->random = maker_random_from(seed);
    scene->simple.snap = &maker.snap;
    scene->density = 2 + (unsigned)maker_below(random, 60);
    maker.snap.birth_from = maker_below(random, 4) == 0 ? 2 : 1;
    maker.snap.is_aligned_only = true; /* the second look has tests of its own */
    size_t blocks = 1 + maker_below(random, 36), coros = maker_below(random, 8);
    for (size_t i = 0; i < blocks; i++) {
        size_t bytes = sizes[maker_below(random, CRN_COUNT_OF(sizes))];
        maker.heap.heap.birth_now = maker_below(random, 3) == 0 ? 1 : 2;
        if (maker_below(random, 12) != 0 || maker.snap.outside_count == MAKER_OUTSIDE) {
            scene_block(scene, bytes);
            continue;
        }
        /* Outside the region: always ours. */
        uintptr_t start = (uintptr_t)maker_outside(&maker, bytes);
        struct crn_outside_block *row = &maker.outside[maker.snap.outside_count - 1];
        row->record.meta = crn_meta(bytes, 2, CRN_RECORD_LIVE);
        scene->simple.blocks[scene->simple.block_count].start = start;
        scene->simple.blocks[scene->simple.block_count].size = bytes;
        scene->simple.blocks[scene->simple.block_count++].end = start + row->usable;
        scene_interesting(scene, start, row->usable);
    }
    maker.heap.heap.birth_now = 2;
    for (size_t i = 0; i < coros; i++)
        scene_coro(scene);
    for (size_t i = 0, count = maker_below(random, 4); i < count; i++) {
        size_t bytes = 8 + maker_below(random, 64);
        uintptr_t *memory = maker_memory(&maker, bytes);
        maker_root(&maker, memory, bytes, CRN_ROOT_GLOBAL, maker_below(random, 2) == 0 ? 4 : 8)
            ->must_be_sparse = maker_below(random, 2) == 0;
        scene_fill(scene, (uintptr_t)memory, bytes);
    }
    for (unsigned i = 0; i < scene->simple.block_count; i++)
        scene_fill(scene, scene->simple.blocks[i].start,
                   scene->simple.blocks[i].end - scene->simple.blocks[i].start > 512
                       ? 512
                       : scene->simple.blocks[i].end - scene->simple.blocks[i].start);
    for (size_t i = 0; i < coros; i++) {
        struct crn_snap_coro *coro = &maker.coros[i];
        scene_fill(scene, coro->stack_start, coro->stack_end - coro->stack_start);
        coro->first_word = (uint32_t)maker.snap.word_count;
        coro->word_count = (uint32_t)maker_below(random, 4);
        for (uint32_t k = 0; k < coro->word_count; k++)
            maker.words[maker.snap.word_count++] = scene_word(scene);
    }
    if (maker_below(random, 4) == 0) { /* said to be unreadable; the words there do not count */
        uintptr_t start = scene->simple.blocks[0].start + 16;
        maker.unreadable[maker.snap.unreadable_count++] =
            (struct crn_unreadable){.start = start, .end = start + 100};
    }
}

static void scene_check(struct scene *scene, unsigned seed)
{
    struct simple *simple = &scene->simple;
    uint64_t direct = 0;
    size_t leaked = 0, ours = 0;
    size_t counted[2] = {0, 0}, expected[2] = {0, 0}; /* direct, indirect */
    for (unsigned i = 0; i < simple->block_count; i++) {
        bool is_direct = false;
        enum crn_verdict found = crn_mark_verdict(&maker.mark, simple->blocks[i].start, &is_direct);
        enum crn_verdict wanted = simple->blocks[i].verdict;
        cr_assert(found == wanted, "seed %u: block %u is %s, not %s", seed, i, verdict_word(found),
                  verdict_word(wanted));
        if (wanted != CRN_VERDICT_LOST)
            cr_assert(is_direct == simple->blocks[i].is_direct,
                      "seed %u: block %u (%s) is %sdirect", seed, i, verdict_word(found),
                      is_direct ? "" : "in");
        direct |= (uint64_t)is_direct << i;
        ours += !simple->blocks[i].is_foreign;
        if (wanted != CRN_VERDICT_LIVE && !simple->blocks[i].is_foreign) {
            leaked++;
            expected[!is_direct]++;
        }
    }
    lost_is_well_owned(simple, direct, seed);
    for (size_t i = 0; i < maker.mark.group_count; i++) {
        counted[0] += maker.mark.groups[i].blocks;
        counted[1] += maker.mark.groups[i].indirect_blocks;
    }
    cr_assert(maker.mark.suspect_count == leaked && maker.mark.live_blocks == ours,
              "seed %u: %zu suspects of %zu", seed, maker.mark.suspect_count, leaked);
    cr_assert(counted[0] == expected[0] && counted[1] == expected[1],
              "seed %u: groups count %zu + %zu blocks, not %zu + %zu", seed, counted[0], counted[1],
              expected[0], expected[1]);
    size_t abandoned = 0;
    for (unsigned i = 0; i < maker.snap.coro_count; i++)
        abandoned += maker.coros[i].state != CRN_CORO_COMPLETED && !simple->is_reached[i];
    cr_assert(maker.mark.coros_in_state[CRN_CORO_ABANDONED] == abandoned, "seed %u", seed);
}

Test(random_heaps, get_the_verdicts_of_a_simple_quadratic_marker)
{
    enum { SEEDS = 2000 };
    static struct scene scene;
    size_t verdicts[CRN_VERDICT_COUNT + 1] = {0};
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        maker_snap_init(&maker);
        scene_make(&scene, seed);
        maker_mark_counted(&maker);
        simple_mark(&scene.simple);
        scene_check(&scene, seed);
        for (unsigned i = 0; i < scene.simple.block_count; i++)
            verdicts[scene.simple.blocks[i].verdict]++;
        maker_snap_fini(&maker);
    }
    /* The scenes are worth something: every verdict occurs a lot. */
    cr_assert(verdicts[CRN_VERDICT_LIVE] > SEEDS && verdicts[CRN_VERDICT_LOST] > SEEDS &&
                  verdicts[CRN_VERDICT_COMPLETED] > SEEDS / 4 &&
                  verdicts[CRN_VERDICT_ABANDONED] > SEEDS / 4,
              "%zu live, %zu completed, %zu abandoned, %zu lost", verdicts[CRN_VERDICT_LIVE],
              verdicts[CRN_VERDICT_COMPLETED], verdicts[CRN_VERDICT_ABANDONED],
              verdicts[CRN_VERDICT_LOST]);
}
