/*
 * Gathers leaks under the coroutines that hold them.  See gather.h.
 *
 * Rows of (what they share, position) are sorted, which brings alike ones together and keeps the
 * order that the leaks had.
 */
#include "report/gather.h"
#include "report/fold.h"
#include "report/group.h"

#include <stdlib.h>

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

struct row {
    uint64_t key;
    size_t at;
    const struct crn_leak *leak;
};

static uint64_t hash_add(uint64_t hash, uint64_t value)
{
    return crn_hash64(hash * 0x9e3779b97f4a7c15u + value + 1);
}

/* Equal for leaks that are shown under one heading; names and stacks of a store are equal by key.
 */
static uint64_t key_of(const struct crn_leak *leak, size_t at)
{
    const struct crn_coroutine *coroutine = leak->coroutine;
    if (coroutine == NULL)
        return hash_add(0, at);
    uint64_t key =
        hash_add(hash_add(1, leak->verdict), coroutine->mechanism * 16u + coroutine->state);
    key = hash_add(key, (uintptr_t)coroutine->name);
    key = hash_add(key, coroutine->suspended != NULL ? coroutine->suspended->key : 0);
    if (coroutine->name == NULL)
        key = hash_add(key, coroutine->key);
    return key;
}

static int row_compare(const void *a, const void *b)
{
    const struct row *left = a, *right = b;
    int order = COMPARE(left->key, right->key);
    return order != 0 ? order : COMPARE(left->at, right->at);
}

static uint64_t cluster_bytes(const struct crn_cluster *cluster)
{
    return cluster->count == 1 ? crn_leak_bytes(cluster->leaks[0])
                               : cluster->direct.bytes + cluster->indirect.bytes;
}

static int cluster_compare(const void *a, const void *b)
{
    const struct crn_cluster *left = a, *right = b;
    int order = COMPARE(cluster_bytes(right), cluster_bytes(left));
    return order != 0 ? order : COMPARE(left->leaks[0], right->leaks[0]); /* rows of one array */
}

static int creation_compare(const void *a, const void *b)
{
    const struct crn_leak *left = *(const struct crn_leak *const *)a;
    const struct crn_leak *right = *(const struct crn_leak *const *)b;
    int order = COMPARE(left->coroutine->key, right->coroutine->key);
    return order != 0 ? order : COMPARE(right->coroutine_count, left->coroutine_count);
}

/* The same coroutines may hold blocks of several leaks, and count once. */
static void coroutines_count(struct crn_cluster *cluster)
{
    const struct crn_leak **leaks = malloc(cluster->count * sizeof(struct crn_leak *));
    if (leaks == NULL)
        crn_out_of_memory();
    for (size_t i = 0; i < cluster->count; i++)
        leaks[i] = cluster->leaks[i];
    qsort(leaks, cluster->count, sizeof *leaks, creation_compare);
    for (size_t i = 0; i < cluster->count; i++) {
        if (i > 0 && leaks[i]->coroutine->key == leaks[i - 1]->coroutine->key)
            continue;
        cluster->creations++;
        cluster->coroutine_count += leaks[i]->coroutine_count;
    }
    free(leaks);
}

static void leak_add(struct crn_amount *direct, struct crn_amount *indirect,
                     const struct crn_leak *leak)
{
    direct->blocks += leak->blocks;
    direct->bytes += leak->bytes;
    indirect->blocks += leak->indirect_blocks;
    indirect->bytes += leak->indirect_bytes;
}

static uint64_t held_bytes(const struct crn_held *held)
{
    return held->direct.bytes + held->indirect.bytes;
}

static int held_compare(const void *a, const void *b)
{
    const struct crn_held *left = a, *right = b;
    int order = COMPARE(left->leak->explained_bytes > 0, right->leak->explained_bytes > 0);
    if (order == 0)
        order = COMPARE(held_bytes(right), held_bytes(left));
    return order != 0 ? order : COMPARE(left->leak, right->leak); /* rows of one array */
}

static uint32_t depth_of(const struct crn_leak *leak)
{
    return leak->allocated != NULL ? leak->allocated->count : 0;
}

/* Makes one of the leaks that a recursion made several. */
static void held_fill(struct crn_store *store, struct crn_cluster *cluster)
{
    struct row *rows = calloc(cluster->count, sizeof *rows);
    struct crn_held *held = crn_store_bytes(store, cluster->count * sizeof *held);
    if (rows == NULL)
        crn_out_of_memory();
    for (size_t i = 0; i < cluster->count; i++) {
        const struct crn_leak *leak = cluster->leaks[i];
        uint64_t key = crn_stack_fold_key(leak->allocated);
        rows[i] = (struct row){hash_add(key, leak->confidence * 2u + leak->is_sampled), i, leak};
    }
    qsort(rows, cluster->count, sizeof *rows, row_compare);
    for (size_t i = 0; i < cluster->count; i++) {
        if (i == 0 || rows[i].key != rows[i - 1].key)
            held[cluster->held_count++].leak = rows[i].leak;
        struct crn_held *into = &held[cluster->held_count - 1];
        into->count++;
        leak_add(&into->direct, &into->indirect, rows[i].leak);
        into->estimate.blocks += rows[i].leak->estimate.blocks;
        into->estimate.bytes += rows[i].leak->estimate.bytes;
        into->estimate.sampled += rows[i].leak->estimate.sampled;
        if (depth_of(rows[i].leak) < depth_of(into->leak))
            into->leak = rows[i].leak;
    }
    free(rows);
    qsort(held, cluster->held_count, sizeof *held, held_compare);
    cluster->held = held;
}

static void cluster_fill(struct crn_store *store, struct crn_cluster *cluster,
                         const struct crn_leak *const *leaks, size_t count)
{
    *cluster = (struct crn_cluster){.leaks = leaks, .count = count};
    for (size_t i = 0; i < count; i++) {
        leak_add(&cluster->direct, &cluster->indirect, leaks[i]);
        cluster->is_mixed |= leaks[i]->confidence != leaks[0]->confidence;
    }
    if (leaks[0]->coroutine == NULL)
        return;
    coroutines_count(cluster);
    held_fill(store, cluster);
}

size_t crn_leaks_gather(struct crn_store *store, const struct crn_leak *leaks, size_t count,
                        struct crn_cluster **clusters)
{
    size_t made = 0;
    struct row *rows = calloc(count + 1, sizeof *rows);
    const struct crn_leak **sorted = crn_store_bytes(store, count * sizeof(struct crn_leak *));
    *clusters = crn_store_bytes(store, count * sizeof **clusters);
    if (rows == NULL)
        crn_out_of_memory();
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct row){key_of(&leaks[i], i), i, &leaks[i]};
    qsort(rows, count, sizeof *rows, row_compare);
    for (size_t i = 0; i < count; i++)
        sorted[i] = rows[i].leak;
    for (size_t first = 0, next; first < count; first = next) {
        for (next = first + 1; next < count && rows[next].key == rows[first].key; next++)
            ;
        cluster_fill(store, &(*clusters)[made++], &sorted[first], next - first);
    }
    free(rows);
    qsort(*clusters, made, sizeof **clusters, cluster_compare);
    return made;
}

size_t crn_clusters_find(const struct crn_cluster *clusters, size_t count,
                         const struct crn_coroutine *coroutine)
{
    for (size_t i = 0; i < count; i++)
        if (clusters[i].leaks[0]->coroutine != NULL &&
            clusters[i].leaks[0]->coroutine->key == coroutine->key)
            return i + 1;
    return 0;
}
