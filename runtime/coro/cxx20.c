/*
 * The C++20 recogniser.  See cxx20.h.
 *
 * A check asks about every live block, millions of them, so what is not a frame must be cheap: its
 * second word is no address of code.  The rest goes by a table of pairs that were asked before.
 */
#include "coro/cxx20.h"
#include "coro/cxx20_code.h"
#include "coro/cxx20_symbols.h"

#include <string.h>

enum {
    FRAME_BYTES_MIN = 24, /* two functions, and an empty promise or an index */
    HEADER_BYTES_MAX = 16,
    ANSWERS_MIN = 1 << 8,
    ANSWERS_MAX = 1 << 14,
    POINTS = 1 << 12,
    NO_KIND = UINT32_MAX,
};

struct crn_cxx20_answer {
    uintptr_t words[2];
    uint32_t kind; /* NO_KIND: no frame; else without a suspension point */
};

struct crn_cxx20_point {
    uint32_t function; /* kind without a suspension point, + 1; 0: an empty row */
    uint32_t kind;     /* with it */
    uint16_t suspension;
};

struct ramp {
    uintptr_t resume, destroy;
};

struct crn_cxx20_module {
    struct crn_cxx20_module *next;
    uintptr_t start;
    struct crn_cxx20_symbols symbols;
    bool has_ramps; /* they were looked for */
    struct ramp *ramps;
    size_t count, room;
};

bool crn_cxx20_init(struct crn_cxx20 *cxx20, struct crn_arena *arena, const struct crn_code *code,
                    size_t block_count)
{
    enum { BLOCKS_PER_ANSWER = 8 };
    /* Small for a small heap: each answer touches a page, and there it would be its only one. */
    size_t answers = ANSWERS_MIN;
    while (answers < ANSWERS_MAX && answers * BLOCKS_PER_ANSWER < block_count)
        answers *= 2;
    *cxx20 = (struct crn_cxx20){.arena = arena, .code = code, .answer_mask = answers - 1};
    cxx20->answers = crn_arena_alloc(arena, answers * sizeof *cxx20->answers);
    cxx20->points = crn_arena_alloc(arena, POINTS * sizeof *cxx20->points);
    for (size_t i = 1; i < code->count; i++) {
        uintptr_t bytes = code->ranges[i].start - code->ranges[i - 1].end;
        if (bytes > cxx20->gap_bytes) {
            cxx20->gap_bytes = bytes;
            cxx20->gap_start = code->ranges[i - 1].end;
        }
    }
    return cxx20->answers != NULL && cxx20->points != NULL;
}

/* Makes room for one more row; the old rows stay in the arena. */
static void *rows_grow(struct crn_arena *arena, void *rows, size_t count, size_t *room,
                       size_t row_bytes)
{
    if (count < *room)
        return rows;
    size_t wanted = *room == 0 ? 64 : *room * 2;
    void *fresh = crn_arena_alloc(arena, wanted * row_bytes);
    if (fresh == NULL)
        return NULL;
    if (count > 0)
        memcpy(fresh, rows, count * row_bytes);
    *room = wanted;
    return fresh;
}

static uint32_t kind_intern(struct crn_cxx20 *cxx20, const struct crn_cxx20_kind *kind)
{
    for (size_t i = 0; i < cxx20->kind_count; i++)
        if (cxx20->kinds[i].destroy == kind->destroy && cxx20->kinds[i].resume == kind->resume &&
            cxx20->kinds[i].suspension == kind->suspension)
            return (uint32_t)i;
    struct crn_cxx20_kind *kinds =
        rows_grow(cxx20->arena, cxx20->kinds, cxx20->kind_count, &cxx20->kind_room, sizeof *kinds);
    if (kinds == NULL)
        return NO_KIND;
    cxx20->kinds = kinds;
    kinds[cxx20->kind_count] = *kind;
    return (uint32_t)cxx20->kind_count++;
}

struct ramp_walk {
    struct crn_arena *arena;
    struct crn_cxx20_module *module;
};

static void ramp_add(uintptr_t resume, uintptr_t destroy, void *user)
{
    const struct ramp_walk *walk = user;
    struct crn_cxx20_module *module = walk->module;
    for (size_t i = module->count; i-- > 0 && i + 64 > module->count;)
        if (module->ramps[i].destroy == destroy)
            return; /* inlined in several places, mostly near each other */
    struct ramp *ramps =
        rows_grow(walk->arena, module->ramps, module->count, &module->room, sizeof *ramps);
    if (ramps == NULL)
        return;
    module->ramps = ramps;
    ramps[module->count++] = (struct ramp){resume, destroy};
}

/* The module that a function lies in. */
static struct crn_cxx20_module *module_get(struct crn_cxx20 *cxx20,
                                           const struct crn_function *function)
{
    struct crn_cxx20_module *module = cxx20->modules;
    while (module != NULL && module->start != function->module_start)
        module = module->next;
    if (module != NULL)
        return module;
    module = crn_arena_alloc(cxx20->arena, sizeof *module);
    if (module == NULL)
        return NULL;
    *module = (struct crn_cxx20_module){.next = cxx20->modules, .start = function->module_start};
    module->symbols =
        crn_cxx20_symbols_read(cxx20->arena, function->module_start, function->module_end);
    return cxx20->modules = module;
}

/* Whether a ramp in the module's code stores this function. */
static bool has_ramp(struct crn_cxx20 *cxx20, struct crn_cxx20_module *module,
                     const struct crn_function *destroy)
{
    struct ramp_walk walk = {cxx20->arena, module};
    for (size_t i = 0; i < cxx20->code->count && !module->has_ramps; i++) {
        const struct crn_range *range = &cxx20->code->ranges[i];
        if (range->start >= destroy->module_start && range->start < destroy->module_end)
            crn_ramps_for_each(cxx20->code, range->start, range->end, ramp_add, &walk);
    }
    module->has_ramps = true;
    for (size_t i = 0; i < module->count; i++)
        if (module->ramps[i].destroy == destroy->start)
            return true;
    return false;
}

static bool is_gcc(const struct crn_cxx20 *cxx20, uintptr_t resume,
                   const struct crn_function *destroy, struct crn_cxx20_kind *kind)
{
    struct crn_gcc_destroy read;
    if (!crn_gcc_destroy_read(cxx20->code, destroy, resume, &read))
        return false;
    *kind = (struct crn_cxx20_kind){read.actor, destroy->start, read.index_at, 0, 0};
    return true;
}

static bool is_clang(struct crn_cxx20 *cxx20, uintptr_t resume, const struct crn_function *destroy,
                     struct crn_cxx20_kind *kind)
{
    struct crn_function before;
    bool has_before = crn_function_find(destroy->start - 1, &before) &&
                      before.module_start == destroy->module_start;
    bool is_next = has_before && (resume != 0 ? before.start == resume
                                              : crn_code_clears_first_word(cxx20->code, &before));
    struct crn_cxx20_module *module = module_get(cxx20, destroy);
    if (module == NULL)
        return false;
    /* A name decides.  Without names, what is cheap to ask comes before reading a whole module. */
    bool is_proven = module->symbols.is_known
                         ? crn_cxx20_symbols_has(&module->symbols, destroy->start)
                         : is_next && module->symbols.is_clangs && has_ramp(cxx20, module, destroy);
    if (!is_proven || (resume != 0 && !is_next))
        return false;
    *kind =
        (struct crn_cxx20_kind){is_next ? before.start : destroy->start, destroy->start, 0, 0, 0};
    return true;
}

/* What kind of frame begins with these words; NO_KIND: none. */
static uint32_t kind_make(struct crn_cxx20 *cxx20, uintptr_t first, uintptr_t second)
{
    struct crn_function resume, destroy;
    struct crn_cxx20_kind kind;
    if (!crn_code_is_function(second, &destroy) ||
        (first != 0 &&
         (!crn_code_is_function(first, &resume) || resume.module_start != destroy.module_start)))
        return NO_KIND;
    if (is_gcc(cxx20, first, &destroy, &kind) || is_clang(cxx20, first, &destroy, &kind))
        return kind_intern(cxx20, &kind);
    return NO_KIND;
}

static uint32_t kind_get(struct crn_cxx20 *cxx20, uintptr_t first, uintptr_t second)
{
    size_t at = crn_hash64(first * 31 + second) & cxx20->answer_mask;
    struct crn_cxx20_answer *answer = &cxx20->answers[at];
    if (answer->words[1] != second || answer->words[0] != first)
        *answer = (struct crn_cxx20_answer){{first, second}, kind_make(cxx20, first, second)};
    return answer->kind;
}

/* gcc's frame holds its own address before the resume index, and the index is even. */
static bool contents_are_gccs(const uintptr_t *frame, size_t bytes, uint32_t index_at,
                              uint16_t *suspension)
{
    uint16_t index;
    if (index_at + sizeof index > bytes)
        return false;
    memcpy(&index, (const char *)frame + index_at, sizeof index);
    if (index == 0 || (index & 1) != 0)
        return false;
    *suspension = (uint16_t)(index / 2);
    for (size_t i = 2; (i + 1) * sizeof *frame <= index_at; i++)
        if (frame[i] == (uintptr_t)frame)
            return true;
    return false;
}

/* The kind of frames of a function that are suspended there. */
static uint32_t point_get(struct crn_cxx20 *cxx20, uint32_t function, uint16_t suspension)
{
    size_t at = crn_hash64((uint64_t)function << 16 | suspension) & (POINTS - 1);
    struct crn_cxx20_point *point = &cxx20->points[at];
    if (point->function != function + 1 || point->suspension != suspension) {
        struct crn_cxx20_kind kind = cxx20->kinds[function];
        kind.suspension = suspension;
        kind.stopped_at = crn_gcc_suspension_find(cxx20->code, kind.resume, kind.index_at,
                                                  (uint16_t)(2 * suspension));
        *point = (struct crn_cxx20_point){function + 1, kind_intern(cxx20, &kind), suspension};
    }
    return point->kind != NO_KIND ? point->kind : function;
}

bool crn_cxx20_find(struct crn_cxx20 *cxx20, const void *start, size_t bytes,
                    struct crn_cxx20_frame *frame)
{
    for (unsigned offset = 0; offset <= HEADER_BYTES_MAX && offset + FRAME_BYTES_MIN <= bytes;
         offset += sizeof(uintptr_t)) {
        const uintptr_t *words = (const uintptr_t *)((const char *)start + offset);
        if (words[1] - cxx20->gap_start < cxx20->gap_bytes ||
            !crn_code_holds(cxx20->code, words[1], 1) ||
            (words[0] != 0 && !crn_code_holds(cxx20->code, words[0], 1)))
            continue;
        uint32_t kind = kind_get(cxx20, words[0], words[1]);
        if (kind == NO_KIND)
            continue;
        *frame = (struct crn_cxx20_frame){kind, 0, (uint8_t)offset, words[0] == 0};
        uint32_t index_at = cxx20->kinds[kind].index_at;
        if (index_at == 0)
            return true;
        if (contents_are_gccs(words, bytes - offset, index_at, &frame->suspension)) {
            frame->kind = point_get(cxx20, kind, frame->suspension);
            return true;
        }
    }
    return false;
}
