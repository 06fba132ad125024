/*
 * Weighs samples.  See sampled.h.
 */
#include "report/sampled.h"

#include <math.h>
#include <stdlib.h>

#include "stack/sample.h"

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

double crn_sample_weight(uint64_t bytes, uint64_t mean_bytes)
{
    if (mean_bytes <= 1)
        return 1;
    bytes =
        bytes < (uint64_t)INT64_MAX ? bytes : (uint64_t)INT64_MAX - 1; /* no block is so large */
    return -1 / expm1(-(double)crn_sample_span(bytes) / (double)mean_bytes);
}

uint64_t crn_count_of(double value)
{
    /* 2^64 as a double is the first that does not fit; no comparison holds for a NaN. */
    if (!(value > 0))
        return 0;
    return value < 0x1p64 ? (uint64_t)value : UINT64_MAX;
}

/* A recording may say anything; nothing that there is comes to more than that. */
static double amount_of(double value)
{
    return value >= 0 ? fmin(value, 0x1p64) : 0;
}

static void estimate_add(struct crn_estimate *sum, const struct crn_estimate *more)
{
    sum->blocks += more->blocks;
    sum->bytes += more->bytes;
    sum->sampled += more->sampled;
}

void crn_samples_take(struct crn_store *store, const struct crn_recording *recording,
                      struct crn_builder_stacks stacks, struct crn_leak *leaks)
{
    uint64_t mean = recording->process->sample_bytes;
    for (uint64_t i = 0; i < recording->counts[CRN_SECTION_SAMPLES]; i++) {
        const struct crn_record_sample *row = &recording->samples[i];
        struct crn_leak *leak = &leaks[row->leak];
        double blocks = amount_of(crn_sample_weight(row->bytes, mean) * row->blocks);
        struct crn_estimate estimate = {blocks, amount_of(blocks * (double)row->bytes),
                                        row->blocks};
        if (!row->is_indirect) {
            leak->is_sampled = true;
            estimate_add(&leak->estimate, &estimate);
            continue;
        }
        if (mean <= 1)
            continue; /* every block has a stack, the direct ones too */
        struct crn_behind *behind = crn_store_bytes(store, sizeof *behind);
        *behind = (struct crn_behind){stacks.get(stacks.user, row->node), estimate, leak->behind};
        leak->behind = behind;
    }
}

struct member {
    uint64_t family;
    size_t at;
};

static int member_compare(const void *a, const void *b)
{
    const struct member *left = a, *right = b;
    int order = COMPARE(left->family, right->family);
    return order != 0 ? order : COMPARE(left->at, right->at);
}

/* Calls visit() for the leaks of each family, by their indices. */
static void families_visit(const struct crn_leak *leaks, size_t count,
                           void (*visit)(const size_t *members, size_t member_count, void *user),
                           void *user)
{
    struct member *sorted = calloc(count + 1, sizeof *sorted);
    size_t *members = calloc(count + 1, sizeof *members);
    if (sorted == NULL || members == NULL)
        crn_out_of_memory();
    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct member){leaks[i].family, i};
    qsort(sorted, count, sizeof *sorted, member_compare);
    for (size_t i = 0; i < count; i++)
        members[i] = sorted[i].at;
    for (size_t first = 0, next; first < count; first = next) {
        for (next = first + 1; next < count && sorted[next].family == sorted[first].family; next++)
            ;
        visit(members + first, next - first, user);
    }
    free(sorted);
    free(members);
}

struct judging {
    struct crn_leak *leaks;
    struct crn_suppression **silencer;
    bool has_patterns;
};

static void family_judge(const size_t *members, size_t count, void *user)
{
    const struct judging *judging = user;
    const struct crn_leak *biggest = NULL;
    struct crn_suppression *by = NULL;
    size_t heard = 0;
    for (size_t i = 0; i < count; i++) {
        const struct crn_leak *leak = &judging->leaks[members[i]];
        if (!leak->is_sampled)
            continue;
        heard += judging->silencer[members[i]] == NULL;
        if (biggest == NULL || leak->estimate.bytes > biggest->estimate.bytes) {
            biggest = leak;
            by = judging->silencer[members[i]];
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct crn_leak *leak = &judging->leaks[members[i]];
        if (!leak->is_missed || judging->silencer[members[i]] != NULL)
            continue;
        if (biggest != NULL && heard == 0)
            judging->silencer[members[i]] = by;
        else
            leak->is_unjudged = judging->has_patterns && biggest == NULL;
    }
}

void crn_samples_judge(struct crn_leak *leaks, size_t count, struct crn_suppression **silencer,
                       bool has_patterns)
{
    struct judging judging = {leaks, silencer, has_patterns};
    families_visit(leaks, count, family_judge, &judging);
}

static void family_explain(const size_t *members, size_t count, void *user)
{
    struct crn_leak *leaks = user;
    double explained = 0;
    for (size_t i = 0; i < count; i++) {
        const struct crn_leak *leak = &leaks[members[i]];
        if (leak->is_sampled)
            explained += leak->estimate.bytes - (double)leak->bytes;
    }
    for (size_t i = 0; i < count; i++) {
        struct crn_leak *leak = &leaks[members[i]];
        if (!leak->is_missed || explained <= 0)
            continue;
        leak->explained_bytes =
            explained < (double)leak->bytes ? crn_count_of(explained) : leak->bytes;
    }
}

void crn_samples_explain(struct crn_leak *leaks, size_t count)
{
    families_visit(leaks, count, family_explain, leaks);
}

static uint64_t stack_key(const struct crn_behind *behind)
{
    return behind->stack != NULL ? behind->stack->key : 0;
}

static int behind_compare_key(const void *a, const void *b)
{
    return COMPARE(stack_key(*(struct crn_behind *const *)a),
                   stack_key(*(struct crn_behind *const *)b));
}

static int behind_compare_bytes(const void *a, const void *b)
{
    const struct crn_behind *left = *(struct crn_behind *const *)a;
    const struct crn_behind *right = *(struct crn_behind *const *)b;
    int order = COMPARE(right->estimate.bytes, left->estimate.bytes);
    return order != 0 ? order : COMPARE(stack_key(left), stack_key(right));
}

void crn_behind_merge(struct crn_leak *leak)
{
    size_t count = 0, kept = 0;
    for (const struct crn_behind *at = leak->behind; at != NULL; at = at->next)
        count++;
    if (count < 2)
        return;
    struct crn_behind **rows = calloc(count, sizeof(struct crn_behind *));
    if (rows == NULL)
        crn_out_of_memory();
    count = 0;
    for (struct crn_behind *at = leak->behind; at != NULL; at = at->next)
        rows[count++] = at;
    qsort(rows, count, sizeof(struct crn_behind *), behind_compare_key);
    for (size_t i = 1; i < count; i++) {
        if (stack_key(rows[i]) == stack_key(rows[kept]))
            estimate_add(&rows[kept]->estimate, &rows[i]->estimate);
        else
            rows[++kept] = rows[i];
    }
    qsort(rows, ++kept, sizeof(struct crn_behind *), behind_compare_bytes);
    for (size_t i = 0; i < kept; i++)
        rows[i]->next = i + 1 < kept ? rows[i + 1] : NULL;
    leak->behind = rows[0];
    free(rows);
}
