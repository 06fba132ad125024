/*
 * Ages of what is alike.  See ages.h.
 */
#include "check/ages.h"
#include "base/sort.h"
#include "base/sys.h"

void crn_ages_note(struct crn_ages *ages, uint64_t birth)
{
    if (ages->count == 0 || birth < ages->oldest)
        ages->oldest = birth;
    if (ages->count == 0 || birth > ages->youngest)
        ages->youngest = birth;
    uint64_t at = ages->count++;
    if (at >= CRN_AGES_KEPT)
        at = crn_hash64(ages->count) % ages->count; /* as good as random: nobody chose it */
    if (at < CRN_AGES_KEPT)
        ages->kept[at] = birth;
}

static bool is_less(const void *a, const void *b)
{
    return *(const uint64_t *)a < *(const uint64_t *)b;
}

/* A birth takes a second: its middle stands for all of it. */
static uint64_t age_of(struct crn_heap *heap, uint64_t birth, uint64_t now_ns)
{
    struct crn_birth_span span = crn_birth_time(heap, birth);
    uint64_t middle = span.from_ns + (span.to_ns - span.from_ns) / 2;
    return middle < now_ns ? now_ns - middle : 0;
}

struct crn_record_ages crn_ages_get(struct crn_ages *ages, struct crn_heap *heap)
{
    uint64_t now_ns = crn_now_ns() - heap->started_ns;
    size_t kept = ages->count < CRN_AGES_KEPT ? ages->count : CRN_AGES_KEPT;
    if (kept == 0 || heap->births.times.base == NULL)
        return (struct crn_record_ages){UINT64_MAX, UINT64_MAX, UINT64_MAX};
    crn_sort(ages->kept, kept, sizeof ages->kept[0], is_less);
    return (struct crn_record_ages){.oldest_ns = age_of(heap, ages->oldest, now_ns),
                                    .median_ns = age_of(heap, ages->kept[kept / 2], now_ns),
                                    .youngest_ns = age_of(heap, ages->youngest, now_ns)};
}
