/*
 * Growing arrays of a snapshot.  See build.h.
 */
#include "snap/build.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Makes room for `more` rows behind the `count` there are; the old array's pages go. */
static void *rows_grow(struct crn_arena *arena, void *rows, size_t row_bytes, size_t count,
                       size_t more, size_t *room)
{
    if (count + more <= *room)
        return rows;
    size_t wanted = *room < 256 ? 256 : *room * 2;
    while (wanted < count + more)
        wanted *= 2;
    void *fresh = crn_arena_alloc(arena, wanted * row_bytes);
    if (fresh == NULL)
        return NULL;
    if (count > 0)
        memcpy(fresh, rows, count * row_bytes);
    crn_arena_forget(rows, count * row_bytes);
    *room = wanted;
    return fresh;
}

#define GROW(rows, count, more, room)                                                          \
    do {                                                                                       \
        void *grown =                                                                          \
            rows_grow(&builder->snap->arena, builder->snap->rows, sizeof *builder->snap->rows, \
                      builder->snap->count, (more), &builder->room);                           \
        if (grown == NULL)                                                                     \
            return GROW_FAILED;                                                                \
        builder->snap->rows = grown;                                                           \
    } while (0)

struct crn_root_choice crn_root_choice;

void crn_snap_choose_roots(const struct crn_root_choice *choice)
{
    crn_root_choice = *choice;
}

#define GROW_FAILED
void crn_build_root(struct crn_snap_builder *builder, struct crn_root root)
{
    if (root.start >= root.end || (crn_root_is_left_out(root.kind) && !root.is_written))
        return;
    if (crn_root_choice.is_unaligned)
        root.step = 1;
    GROW(roots, root_count, 1, roots_room);
    builder->snap->roots[builder->snap->root_count++] = root;
}

void crn_build_opaque(struct crn_snap_builder *builder, struct crn_opaque opaque)
{
    GROW(opaques, opaque_count, 1, opaques_room);
    builder->snap->opaques[builder->snap->opaque_count++] = opaque;
}

void crn_build_unreadable(struct crn_snap_builder *builder, struct crn_unreadable row)
{
    if (row.start >= row.end)
        return;
    GROW(unreadable, unreadable_count, 1, unreadable_room);
    builder->snap->unreadable[builder->snap->unreadable_count++] = row;
}

void crn_build_shared(struct crn_snap_builder *builder, struct crn_shared row)
{
    GROW(shared, shared_count, 1, shared_room);
    builder->snap->shared[builder->snap->shared_count++] = row;
}

void crn_build_output(struct crn_snap_builder *builder, struct crn_range output)
{
    GROW(outputs, output_count, 1, outputs_room);
    builder->snap->outputs[builder->snap->output_count++] = output;
}

void crn_build_link(struct crn_snap_builder *builder, uintptr_t link)
{
    GROW(links, link_count, 1, links_room);
    builder->snap->links[builder->snap->link_count++] = link;
}

void crn_build_code(struct crn_snap_builder *builder, struct crn_range range)
{
    struct crn_code *code = &builder->snap->code;
    struct crn_range *ranges = rows_grow(&builder->snap->arena, (void *)(uintptr_t)code->ranges,
                                         sizeof range, code->count, 1, &builder->code_room);
    if (ranges == NULL)
        return;
    ranges[code->count] = range;
    code->ranges = ranges;
    code->count++;
}

const uintptr_t *crn_build_root_words(struct crn_snap_builder *builder, const uintptr_t *words,
                                      size_t count, enum crn_root_kind kind, uint32_t name)
{
    uintptr_t *copy = crn_arena_alloc(&builder->snap->arena, count * sizeof *copy);
    if (copy == NULL)
        return NULL;
    memcpy(copy, words, count * sizeof *copy);
    crn_build_root(builder, (struct crn_root){.start = (uintptr_t)copy,
                                              .end = (uintptr_t)(copy + count),
                                              .kind = (uint8_t)kind,
                                              .step = 8,
                                              .name = name});
    return copy;
}

void crn_build_walk(struct crn_snap_builder *builder, struct crn_frame frame,
                    const uintptr_t *registers)
{
    if (!builder->snap->asks_stale)
        return;
    GROW(walks, walk_count, 1, walks_room);
    builder->snap->walks[builder->snap->walk_count++] = (struct crn_snap_walk){frame, registers};
}
#undef GROW_FAILED

#define GROW_FAILED 0
uint32_t crn_build_words(struct crn_snap_builder *builder, const uintptr_t *words, size_t count)
{
    GROW(words, word_count, count, words_room);
    struct crn_snap *snap = builder->snap;
    memcpy(snap->words + snap->word_count, words, count * sizeof *words);
    snap->word_count += count;
    return (uint32_t)(snap->word_count - count);
}

#undef GROW_FAILED
#define GROW_FAILED UINT32_MAX
uint32_t crn_build_coro(struct crn_snap_builder *builder, struct crn_snap_coro coro)
{
    GROW(coros, coro_count, 1, coros_room);
    builder->snap->coros[builder->snap->coro_count] = coro;
    return (uint32_t)builder->snap->coro_count++;
}
#undef GROW_FAILED
#define GROW_FAILED 0

uint32_t crn_build_name(struct crn_snap_builder *builder, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t bytes = strlen(text) + 1;
    GROW(names, names_bytes, bytes + 1, names_room);
    struct crn_snap *snap = builder->snap;
    if (snap->names_bytes == 0)
        snap->names[snap->names_bytes++] = 0;
    memcpy(snap->names + snap->names_bytes, text, bytes);
    snap->names_bytes += bytes;
    return (uint32_t)(snap->names_bytes - bytes);
}

void crn_build_unknown_holder(struct crn_snap_builder *builder, const char *who)
{
    if (builder->snap->unknown_holder == NULL)
        builder->snap->unknown_holder = who;
}
