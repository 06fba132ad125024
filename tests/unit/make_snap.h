#ifndef TESTS_MAKE_SNAP_H
#define TESTS_MAKE_SNAP_H
/*
 * Hand-made snapshots: a heap, some memory that plays globals and stacks, and coroutines.
 *
 *     struct maker_snap maker;
 *     maker_snap_init(&maker);
 *     uintptr_t *block = maker_block(&maker.heap, 64);
 *     *maker_global(&maker) = (uintptr_t)block;
 *     maker_mark(&maker);
 *     assert_verdict(&maker, block, CRN_VERDICT_LIVE);
 *     maker_snap_fini(&maker);
 */
#include "make_heap.h"
#include "mark/mark.h"

enum {
    MAKER_PAGES = 512,
    MAKER_ROOTS = 64,
    MAKER_COROS = 32,
    MAKER_WORDS = 256,
    MAKER_OPAQUES = 128,
    MAKER_OUTSIDE = 8,
    MAKER_PLACE_BYTES = 256 * 1024
};

struct maker_snap {
    struct maker_heap heap;
    struct crn_snap snap;
    struct crn_mark mark;
    bool is_marked;
    struct crn_root roots[MAKER_ROOTS];
    struct crn_snap_coro coros[MAKER_COROS];
    uintptr_t words[MAKER_WORDS];
    struct crn_opaque opaques[MAKER_OPAQUES];
    struct crn_unreadable unreadable[4];
    struct crn_shared shared[4];
    struct crn_outside_block outside[MAKER_OUTSIDE];
    char *place; /* memory that is no heap: globals, stacks, blocks outside the region */
    size_t place_used;
};

/* Some zeroed memory outside the heap, with a gap behind it. */
static inline void *maker_memory(struct maker_snap *maker, size_t bytes)
{
    char *start = maker->place + maker->place_used;
    maker->place_used += crn_align_up(bytes, 16) + 64;
    cr_assert(maker->place_used <= MAKER_PLACE_BYTES);
    return start;
}

static inline void maker_snap_init(struct maker_snap *maker)
{
    memset(maker, 0, sizeof *maker);
    maker_heap_init(&maker->heap, MAKER_PAGES);
    maker->place =
        mmap(NULL, MAKER_PLACE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(maker->place != MAP_FAILED);
    maker->snap = (struct crn_snap){
        .heap = &maker->heap.heap,
        .heap_end = maker_end(&maker->heap),
        .birth_from = 1,
        .roots = maker->roots,
        .coros = maker->coros,
        .words = maker->words,
        .opaques = maker->opaques,
        .unreadable = maker->unreadable,
        .shared = maker->shared,
        .outside = maker->outside,
        .names = (char[]){""},
        .names_bytes = 1,
    };
}

static inline void maker_snap_fini(struct maker_snap *maker)
{
    if (maker->is_marked)
        crn_mark_free(&maker->mark);
    crn_arena_free_all(&maker->snap.arena);
    munmap(maker->place, MAKER_PLACE_BYTES);
    maker_heap_fini(&maker->heap);
}

static inline struct crn_root *maker_root(struct maker_snap *maker, const void *start, size_t bytes,
                                          enum crn_root_kind kind, uint8_t step)
{
    struct crn_root *root = &maker->roots[maker->snap.root_count++];
    cr_assert(maker->snap.root_count <= MAKER_ROOTS);
    *root = (struct crn_root){
        .start = (uintptr_t)start, .end = (uintptr_t)start + bytes, .kind = kind, .step = step};
    return root;
}

/* A global variable of one word. */
static inline uintptr_t *maker_global(struct maker_snap *maker)
{
    uintptr_t *word = maker_memory(maker, sizeof *word);
    maker_root(maker, word, sizeof *word, CRN_ROOT_GLOBAL, 8);
    return word;
}

static inline void maker_opaque(struct maker_snap *maker, const void *start, size_t bytes,
                                uint32_t coro, bool is_context, bool is_handle)
{
    cr_assert(maker->snap.opaque_count < MAKER_OPAQUES);
    maker->opaques[maker->snap.opaque_count++] = (struct crn_opaque){
        (uintptr_t)start, (uintptr_t)start + bytes, coro, is_context, is_handle};
}

/* A coroutine on the stack [start, start + bytes) whose saved sp is `body_start`. */
static inline uint32_t maker_coro(struct maker_snap *maker, enum crn_coro_state state,
                                  const void *start, size_t bytes, const void *body_start)
{
    uint32_t index = (uint32_t)maker->snap.coro_count++;
    cr_assert(index < MAKER_COROS);
    maker->coros[index] = (struct crn_snap_coro){
        .id = index + 1,
        .mechanism = CRN_MECHANISM_UCONTEXT,
        .state = (uint8_t)state,
        .is_root = state == CRN_CORO_RUNNING,
        .is_exact = true,
        .is_sure = true,
        .stack_start = (uintptr_t)start,
        .stack_end = (uintptr_t)start + bytes,
        .body_start = (uintptr_t)body_start,
        .body_end = (uintptr_t)start + bytes,
        .entry = 0x1000 + index,
    };
    maker_opaque(maker, start, bytes, index, false, false);
    return index;
}

/* Gives the coroutine made last a register, or an argument. */
static inline void maker_coro_word(struct maker_snap *maker, uintptr_t word)
{
    struct crn_snap_coro *coro = &maker->coros[maker->snap.coro_count - 1];
    cr_assert(maker->snap.word_count < MAKER_WORDS);
    if (coro->word_count++ == 0)
        coro->first_word = (uint32_t)maker->snap.word_count;
    maker->words[maker->snap.word_count++] = word;
}

/* A block outside the region; make them in ascending order of address. */
static inline void *maker_outside(struct maker_snap *maker, size_t bytes)
{
    void *start = maker_memory(maker, bytes);
    cr_assert(maker->snap.outside_count < MAKER_OUTSIDE);
    maker->outside[maker->snap.outside_count++] = (struct crn_outside_block){
        (uintptr_t)start, bytes, crn_align_up(bytes, 16), {0, 0, crn_meta(0, 1, CRN_RECORD_LIVE)}};
    return start;
}

static inline int maker_opaque_compare(const void *a, const void *b)
{
    const struct crn_opaque *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

static inline void maker_mark(struct maker_snap *maker)
{
    qsort(maker->opaques, maker->snap.opaque_count, sizeof maker->opaques[0], maker_opaque_compare);
    if (maker->is_marked)
        crn_mark_free(&maker->mark);
    cr_assert(crn_mark_run(&maker->mark, &maker->snap) == CRN_OK);
    maker->is_marked = true;
}

static inline const char *verdict_word(enum crn_verdict verdict)
{
    static const char *const words[] = {"live",      "stale", "completed", "cancelled",
                                        "abandoned", "lost",  "no block"};
    return words[verdict];
}

#define assert_verdict(maker, block, expected)                                                    \
    do {                                                                                          \
        bool unused_;                                                                             \
        enum crn_verdict found_ = crn_mark_verdict(&(maker)->mark, (uintptr_t)(block), &unused_); \
        cr_assert(found_ == (expected), "%s is %s, not %s", #block, verdict_word(found_),         \
                  verdict_word(expected));                                                        \
    } while (0)

#define assert_leak(maker, block, expected, direct)                                          \
    do {                                                                                     \
        bool is_direct_ = false;                                                             \
        assert_verdict(maker, block, expected);                                              \
        crn_mark_verdict(&(maker)->mark, (uintptr_t)(block), &is_direct_);                   \
        cr_assert(is_direct_ == (direct), "%s is %sdirect", #block, is_direct_ ? "" : "in"); \
    } while (0)

/* Marks, and counts the suspects into their groups. */
static inline void maker_mark_counted(struct maker_snap *maker)
{
    maker_mark(maker);
    for (size_t i = 0; i < maker->mark.suspect_count; i++) {
        const struct crn_suspect *suspect = &maker->mark.suspects[i];
        cr_assert(suspect->group > 0 && suspect->group <= maker->mark.group_count);
        struct crn_group *group = &maker->mark.groups[suspect->group - 1];
        *(suspect->is_direct ? &group->blocks : &group->indirect_blocks) += 1;
        *(suspect->is_direct ? &group->bytes : &group->indirect_bytes) += suspect->size;
    }
}

#endif
