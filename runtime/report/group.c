/*
 * Makes one of what a reader could not tell apart.  See group.h.
 *
 * Sorting brings equal keys together; the first of them lends its chain to all.
 */
#include "report/group.h"
#include "report/sampled.h"

#include <stdlib.h>
#include <string.h>

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int text_compare(const char *a, const char *b)
{
    return a == b ? 0 : strcmp(a != NULL ? a : "", b != NULL ? b : "");
}

/* By what they say, which is the same from run to run, as addresses and hashes of them are not. */
static int stack_compare(const struct crn_stack *a, const struct crn_stack *b)
{
    uint32_t left_count = a != NULL ? a->count : 0, right_count = b != NULL ? b->count : 0;
    int order = a == b ? 0 : COMPARE(left_count, right_count);
    for (uint32_t i = 0; a != b && order == 0 && i < left_count; i++) {
        const struct crn_named_frame *left = a->frames[i], *right = b->frames[i];
        order = text_compare(left->function, right->function);
        if (order == 0)
            order = COMPARE(left->line, right->line);
        if (order == 0)
            order = COMPARE(left->offset, right->offset);
    }
    return order;
}

static int coroutine_compare(const struct crn_coroutine *a, const struct crn_coroutine *b)
{
    if (a == b || a == NULL || b == NULL)
        return COMPARE(a != NULL, b != NULL);
    int order = text_compare(a->name, b->name);
    if (order == 0)
        order = stack_compare(a->suspended, b->suspended);
    return order != 0 ? order : stack_compare(a->created, b->created);
}

uint64_t crn_leak_bytes(const struct crn_leak *leak)
{
    uint64_t direct = leak->is_sampled && leak->estimate.bytes > (double)leak->bytes
                          ? crn_count_of(leak->estimate.bytes)
                          : leak->bytes - leak->explained_bytes;
    return direct + leak->indirect_bytes;
}

static int leak_compare_size(const void *a, const void *b)
{
    const struct crn_leak *left = a, *right = b;
    int order = COMPARE(crn_leak_bytes(right), crn_leak_bytes(left));
    if (order == 0)
        order = COMPARE(right->blocks, left->blocks);
    if (order == 0)
        order = COMPARE(left->verdict, right->verdict);
    if (order == 0)
        order = COMPARE(left->id, right->id);
    if (order == 0)
        order = stack_compare(left->allocated, right->allocated);
    if (order == 0)
        order = coroutine_compare(left->coroutine, right->coroutine);
    return order != 0 ? order : COMPARE(left->row, right->row);
}

static int leak_compare_key(const void *a, const void *b)
{
    const struct crn_leak *left = a, *right = b;
    int order = COMPARE(left->key, right->key);
    if (order == 0)
        order = COMPARE((uintptr_t)left->coroutine, (uintptr_t)right->coroutine);
    return order != 0 ? order : leak_compare_size(a, b);
}

/* Joins the ages of `added` things with those of others; all together are `total`. */
static void ages_merge(struct crn_age_range *into, const struct crn_age_range *from, double added,
                       double total)
{
    if (into->oldest_s < 0 || from->oldest_s < 0) {
        into->oldest_s = into->median_s = into->youngest_s = -1;
        return;
    }
    into->oldest_s = from->oldest_s > into->oldest_s ? from->oldest_s : into->oldest_s;
    into->youngest_s = from->youngest_s < into->youngest_s ? from->youngest_s : into->youngest_s;
    /* The median of all together nobody knows; between both it lies. */
    if (total > 0)
        into->median_s += (from->median_s - into->median_s) * (added / total);
}

/*
 * Adds a leak to one like it.  `last` is the leak added before: the same coroutines may hold
 * blocks of both, and are then counted once.
 */
static void leak_merge(struct crn_leak *into, const struct crn_leak *from,
                       const struct crn_leak *last)
{
    if (from->coroutine != last->coroutine)
        into->coroutine_count += from->coroutine_count;
    into->blocks += from->blocks;
    into->bytes += from->bytes;
    into->indirect_blocks += from->indirect_blocks;
    into->indirect_bytes += from->indirect_bytes;
    into->retained_bytes += from->retained_bytes;
    ages_merge(&into->ages, &from->ages, (double)from->blocks, (double)into->blocks);
    into->is_sampled |= from->is_sampled;
    into->estimate.blocks += from->estimate.blocks;
    into->estimate.bytes += from->estimate.bytes;
    into->estimate.sampled += from->estimate.sampled;
    if (from->behind != NULL) {
        struct crn_behind *last_behind = from->behind;
        while (last_behind->next != NULL)
            last_behind = last_behind->next;
        last_behind->next = into->behind;
        into->behind = from->behind;
    }
    if (into->objects == NULL)
        into->objects = from->objects;
    else if (from->objects != NULL)
        into->last_object->next = from->objects;
    if (from->objects != NULL)
        into->last_object = from->last_object;
}

size_t crn_leaks_group(struct crn_leak *leaks, size_t count, bool are_sampled)
{
    size_t kept = 0;
    if (count == 0)
        return 0;
    qsort(leaks, count, sizeof *leaks, leak_compare_key);
    struct crn_leak last = leaks[0];
    for (size_t i = 1; i < count; i++) {
        struct crn_leak leak = leaks[i];
        if (leak.key == leaks[kept].key)
            leak_merge(&leaks[kept], &leak, &last);
        else
            leaks[++kept] = leak;
        last = leak;
    }
    kept++;
    for (size_t i = 0; i < kept; i++)
        crn_behind_merge(&leaks[i]);
    if (are_sampled)
        crn_samples_explain(leaks, kept);
    qsort(leaks, kept, sizeof *leaks, leak_compare_size);
    return kept;
}

static int coroutine_compare_key(const void *a, const void *b)
{
    const struct crn_coroutine *left = a, *right = b;
    return COMPARE(left->key, right->key);
}

/* Adds what is known of both. */
static uint64_t sum(uint64_t a, uint64_t b)
{
    return a == UINT64_MAX || b == UINT64_MAX ? UINT64_MAX : a + b;
}

/* The dead first, then by how many there are. */
static int coroutine_compare_weight(const void *a, const void *b)
{
    const struct crn_coroutine *left = a, *right = b;
    bool left_is_dead = left->state >= CRN_CORO_COMPLETED && left->state <= CRN_CORO_ABANDONED;
    bool right_is_dead = right->state >= CRN_CORO_COMPLETED && right->state <= CRN_CORO_ABANDONED;
    int order = COMPARE(right_is_dead, left_is_dead);
    if (order == 0)
        order = COMPARE(right->count, left->count);
    if (order == 0)
        order = COMPARE(left->state, right->state);
    return order != 0 ? order : coroutine_compare(left, right);
}

size_t crn_coroutines_group(struct crn_coroutine *coroutines, size_t count)
{
    size_t kept = 0;
    if (count == 0)
        return 0;
    qsort(coroutines, count, sizeof *coroutines, coroutine_compare_key);
    for (size_t i = 1; i < count; i++) {
        struct crn_coroutine *into = &coroutines[kept];
        if (coroutines[i].key != into->key) {
            coroutines[++kept] = coroutines[i];
            continue;
        }
        into->count += coroutines[i].count;
        into->stack_bytes += coroutines[i].stack_bytes;
        into->touched_bytes = sum(into->touched_bytes, coroutines[i].touched_bytes);
        into->retained_bytes = sum(into->retained_bytes, coroutines[i].retained_bytes);
        ages_merge(&into->ages, &coroutines[i].ages, (double)coroutines[i].count,
                   (double)into->count);
    }
    qsort(coroutines, ++kept, sizeof *coroutines, coroutine_compare_weight);
    return kept;
}

static uint64_t live_bytes(const struct crn_live *row)
{
    return row->is_sampled ? crn_count_of(row->estimate.bytes) : row->bytes;
}

static int live_compare_weight(const void *a, const void *b)
{
    const struct crn_live *left = a, *right = b;
    int order = COMPARE(right->bytes_per_s, left->bytes_per_s);
    if (order == 0)
        order = COMPARE(live_bytes(right), live_bytes(left));
    if (order == 0)
        order = COMPARE(right->blocks, left->blocks);
    if (order == 0)
        order = COMPARE(left->id, right->id);
    return order != 0 ? order : stack_compare(left->allocated, right->allocated);
}

static int live_compare_key(const void *a, const void *b)
{
    const struct crn_live *left = a, *right = b;
    int order = COMPARE(left->key, right->key);
    return order != 0 ? order : live_compare_weight(a, b);
}

/* Adds a row to one like it, which grows faster or is bigger and lends its chain. */
static void live_merge(struct crn_live *into, const struct crn_live *from)
{
    into->blocks += from->blocks;
    into->bytes += from->bytes;
    into->is_sampled |= from->is_sampled;
    into->estimate.blocks += from->estimate.blocks;
    into->estimate.bytes += from->estimate.bytes;
    into->estimate.sampled += from->estimate.sampled;
    into->retained_bytes = sum(into->retained_bytes, from->retained_bytes);
    if (from->bytes_per_s > 0) /* else the faster one's counts */
        into->bytes_per_s = (into->bytes_per_s > 0 ? into->bytes_per_s : 0) + from->bytes_per_s;
    if (from->shape == CRN_GROWTH_STEADY && from->since_s > into->since_s)
        into->since_s = from->since_s;
    if (from->shape > into->shape)
        into->shape = from->shape;
    for (unsigned age = 0; age < CRN_AGE_COUNT; age++) {
        into->ages[age].blocks += from->ages[age].blocks;
        into->ages[age].bytes += from->ages[age].bytes;
    }
}

size_t crn_live_group(struct crn_live *rows, size_t count)
{
    size_t kept = 0;
    if (count == 0)
        return 0;
    qsort(rows, count, sizeof *rows, live_compare_key);
    for (size_t i = 1; i < count; i++) {
        if (rows[i].key == rows[kept].key)
            live_merge(&rows[kept], &rows[i]);
        else
            rows[++kept] = rows[i];
    }
    qsort(rows, ++kept, sizeof *rows, live_compare_weight);
    return kept;
}
