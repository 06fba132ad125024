/*
 * The birth clock.  See births.h.
 */
#include "heap/heap.h"
#include "base/sort.h"
#include "base/sys.h"

static const uint64_t SECOND_NS = 1000000000;

enum { STAMP_MASK = (1 << CRN_BIRTH_STAMP_BITS) - 1 };

static uint32_t stamp_of(uint64_t birth)
{
    return (uint32_t)birth & STAMP_MASK;
}

/* The next birth whose stamp is not one of the kept ones'. */
static uint64_t successor(uint64_t birth)
{
    uint64_t next = birth + 1;
    bool is_kept_ones = stamp_of(next) < CRN_BIRTH_KEPT && next >= CRN_BIRTH_OWN;
    return is_kept_ones ? next + CRN_BIRTH_KEPT - stamp_of(next) : next;
}

static uint64_t elapsed_ns(const struct crn_heap *heap)
{
    return crn_now_ns() - heap->started_ns;
}

/* How long a birth lasts at least. */
static uint64_t granularity_ns(uint64_t elapsed)
{
    return elapsed >> 17 > SECOND_NS ? elapsed >> 17 : SECOND_NS;
}

/* Of `times` or `levels`. */
static uint64_t table_get(const struct crn_span *table, uint32_t stamp)
{
    size_t bytes = ((size_t)stamp + 1) * sizeof(uint64_t);
    return bytes <= table->committed ? ((uint64_t *)table->base)[stamp] : 0;
}

static void table_set(struct crn_span *table, uint32_t stamp, uint64_t value)
{
    size_t bytes = ((size_t)stamp + 1) * sizeof value;
    if (table->reserved >= bytes && crn_span_ensure(table, bytes))
        __atomic_store_n((uint64_t *)table->base + stamp, value, __ATOMIC_RELAXED);
}

static uint64_t time_get(struct crn_births *births, uint32_t stamp)
{
    return table_get(&births->times, stamp);
}

static void time_note(struct crn_heap *heap, uint64_t birth, uint64_t elapsed)
{
    int64_t level = heap->live_bytes;
    table_set(&heap->births.times, stamp_of(birth), elapsed);
    table_set(&heap->births.levels, stamp_of(birth), level > 0 ? (uint64_t)level : 0);
    heap->births.last_ns = elapsed;
}

void crn_births_init(struct crn_heap *heap)
{
    struct crn_births *births = &heap->births;
    size_t bytes = sizeof(uint64_t) << CRN_BIRTH_STAMP_BITS;
    heap->birth_now = 1;
    for (uint32_t stamp = 1; stamp < CRN_BIRTH_OWN; stamp++)
        births->kept[stamp] = stamp;
    births->sweep_at = CRN_BIRTH_EXACT + CRN_BIRTH_SWEEP_EVERY;
    if (!crn_span_init(&births->times, bytes))
        births->times.base = NULL; /* ages are not known, then; all else is */
    crn_span_init(&births->levels, bytes);
}

/*
 * Choosing what is kept.  Guarded by the lock, as the whole sweep is.
 */

struct choice {
    uint64_t birth, ns, level;
    uint32_t stamp; /* 0: none yet */
};
enum { FRESH_MOST = 256, KEEP_MOST = CRN_BIRTH_KEPT / 2 - 32 };
static struct choice choices[CRN_BIRTH_KEPT + FRESH_MOST + 1];

static bool choice_less(const void *a, const void *b)
{
    return ((const struct choice *)a)->birth < ((const struct choice *)b)->birth;
}

/* A birth whose stamp is `now`, and will be `stamp`. */
static struct choice choice_of(const struct crn_births *births, uint64_t birth, uint32_t now,
                               uint32_t stamp)
{
    return (struct choice){birth, table_get(&births->times, now), table_get(&births->levels, now),
                           stamp};
}

/* All that could be kept: what was until now, some of those that are to be swept now, the line. */
static size_t candidates_list(struct crn_heap *heap, uint64_t cutoff)
{
    struct crn_births *births = &heap->births;
    size_t count = 0;
    for (uint32_t stamp = 1; stamp < CRN_BIRTH_KEPT; stamp++)
        if (births->kept[stamp] != 0)
            choices[count++] = choice_of(births, births->kept[stamp], stamp, stamp);
    uint64_t first = successor(births->swept < CRN_BIRTH_OWN ? CRN_BIRTH_OWN : births->swept);
    uint64_t step = cutoff > first ? (cutoff - first) / FRESH_MOST + 1 : 1;
    for (uint64_t at = first; at <= cutoff; at += step) {
        uint64_t birth = successor(at - 1);
        choices[count++] = choice_of(births, birth, stamp_of(birth), 0);
    }
    bool is_new = heap->birth_line >= first && heap->birth_line <= cutoff;
    for (size_t i = 0; i < count; i++)
        is_new &= choices[i].birth != heap->birth_line;
    if (is_new)
        choices[count++] = choice_of(births, heap->birth_line, stamp_of(heap->birth_line), 0);
    crn_sort(choices, count, sizeof *choices, choice_less);
    return count;
}

static uint32_t stamp_take(const struct crn_births *births, uint32_t *at)
{
    while (*at < CRN_BIRTH_KEPT && births->kept[*at] != 0)
        ++*at;
    return *at < CRN_BIRTH_KEPT ? (*at)++ : 0;
}

/* Thins the candidates out and gives the rest stamps that are free; answers how many are left. */
static size_t kept_choose(struct crn_heap *heap, uint64_t cutoff)
{
    struct crn_births *births = &heap->births;
    size_t count = candidates_list(heap, cutoff), left = 0;
    uint64_t now_ns = elapsed_ns(heap);
    uint32_t next_free = 1;
    for (size_t i = 0; i < count; i++) {
        struct choice choice = choices[i];
        uint64_t age = now_ns - choice.ns, apart = age / 16 > SECOND_NS ? age / 16 : SECOND_NS;
        bool is_line = choice.birth == heap->birth_line;
        bool is_far = left == 0 || choice.ns - choices[left - 1].ns >= apart;
        if (!is_line && (!is_far || left >= KEEP_MOST))
            continue;
        if (choice.stamp == 0) {
            choice.stamp = stamp_take(births, &next_free);
            if (choice.stamp == 0)
                continue; /* cannot be: fewer than half of them are in use */
            table_set(&births->times, choice.stamp, choice.ns);
            table_set(&births->levels, choice.stamp, choice.level);
        }
        choices[left++] = choice;
    }
    for (size_t i = 0; i < left; i++)
        __atomic_store_n(&births->kept[choices[i].stamp], choices[i].birth, __ATOMIC_RELEASE);
    return left;
}

/*
 * The sweep itself.
 */

struct sweep {
    struct crn_heap *heap;
    uint64_t cutoff;
    size_t count; /* of choices */
};

/* The stamp under which a birth is kept: that of the last one not after it. */
static uint32_t kept_stamp(const struct sweep *sweep, uint64_t birth)
{
    size_t low = 0, high = sweep->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (choices[middle].birth <= birth)
            low = middle;
        else
            high = middle;
    }
    return choices[low].stamp;
}

static void record_stamp(const struct sweep *sweep, struct crn_record *record)
{
    uint64_t seen = __atomic_load_n(&record->meta, __ATOMIC_RELAXED), wanted;
    do {
        uint64_t birth = crn_birth_of_stamp(sweep->heap, crn_meta_stamp(seen));
        if ((seen & CRN_META_LIVE) == 0 || birth > sweep->cutoff)
            return;
        wanted = crn_meta_restamp(seen, kept_stamp(sweep, birth));
    } while (wanted != seen && !__atomic_compare_exchange_n(&record->meta, &seen, wanted, true,
                                                            __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

static bool block_stamp(const struct crn_block *block, void *user)
{
    record_stamp(user, block->record);
    return true;
}

/*
 * Every stamp says the same before, meanwhile and afterwards: those that are given are free before,
 * and those that get free are so only when nobody bears them any more.
 */
static void sweep_locked(struct crn_heap *heap, int tid)
{
    struct crn_births *births = &heap->births;
    uint64_t now = heap->birth_now;
    /* The stamps of kept births are left out when births come to them: fewer than that are exact.
     */
    struct sweep sweep = {heap, now - CRN_BIRTH_EXACT - CRN_BIRTH_KEPT, 0};
    sweep.count = kept_choose(heap, sweep.cutoff);
    crn_index_for_each(&heap->index, heap->region.next, block_stamp, &sweep);
    crn_lock_acquire(&heap->outside.lock, tid);
    for (size_t i = 0; i < heap->outside.capacity; i++)
        if (heap->outside.rows[i].start != 0)
            record_stamp(&sweep, &heap->outside.rows[i].record);
    crn_lock_release(&heap->outside.lock);
    for (uint32_t stamp = 1; stamp < CRN_BIRTH_KEPT; stamp++) {
        bool is_kept = false;
        for (size_t i = 0; i < sweep.count && !is_kept; i++)
            is_kept = choices[i].stamp == stamp;
        if (!is_kept)
            births->kept[stamp] = 0;
    }
    births->swept = sweep.cutoff;
    births->sweep_at = now + CRN_BIRTH_SWEEP_EVERY;
}

/*
 * A tick leaves it to the next one while somebody else sweeps.  Whoever draws a line waits, unless
 * he is a handler on top of the one who sweeps; there are a million births left for his like.
 */
static void sweep_if_due(struct crn_heap *heap, bool waits)
{
    struct crn_births *births = &heap->births;
    if (CRN_LIKELY_TRUE(heap->birth_now < births->sweep_at))
        return;
    int tid = crn_sys_gettid();
    if (crn_lock_try_for(&births->lock, tid, waits ? 10 * SECOND_NS : 0)) {
        if (heap->birth_now >= births->sweep_at)
            sweep_locked(heap, tid);
        crn_lock_release(&births->lock);
    }
}

uint64_t crn_heap_line_draw(struct crn_heap *heap)
{
    sweep_if_due(heap, true);
    uint64_t seen = heap->birth_now, line;
    do {
        line = successor(seen);
    } while (!atomic_compare_exchange_weak_explicit(&heap->birth_now, &seen, line,
                                                    memory_order_relaxed, memory_order_relaxed));
    time_note(heap, line, elapsed_ns(heap));
    return line;
}

void crn_births_tick(struct crn_heap *heap)
{
    uint64_t elapsed = elapsed_ns(heap), last = heap->births.last_ns;
    if (CRN_LIKELY_TRUE(elapsed <= last || elapsed - last < granularity_ns(elapsed)))
        return;
    sweep_if_due(heap, false);
    uint64_t seen = heap->birth_now, next = successor(seen);
    if (atomic_compare_exchange_strong_explicit(&heap->birth_now, &seen, next, memory_order_relaxed,
                                                memory_order_relaxed))
        time_note(heap, next, elapsed);
}

struct crn_birth_span crn_birth_time(struct crn_heap *heap, uint64_t birth)
{
    struct crn_births *births = &heap->births;
    uint64_t next = successor(birth > births->swept ? birth : births->swept);
    uint32_t stamp = stamp_of(birth), next_stamp;
    if (birth <= births->swept) {
        stamp = 0;
        for (uint32_t i = 1; i < CRN_BIRTH_KEPT; i++) {
            if (births->kept[i] == birth)
                stamp = i;
            else if (births->kept[i] > birth && births->kept[i] < next)
                next = births->kept[i];
        }
    }
    next_stamp = stamp_of(next);
    for (uint32_t i = 1; i < CRN_BIRTH_KEPT && next <= births->swept; i++)
        if (births->kept[i] == next)
            next_stamp = i;
    struct crn_birth_span span = {stamp != 0 ? time_get(births, stamp) : 0, elapsed_ns(heap)};
    if (next <= heap->birth_now && time_get(births, next_stamp) != 0)
        span.to_ns = time_get(births, next_stamp);
    return span;
}

/* The stamp that blocks of a birth bear; 0: none does any more. */
static uint32_t borne_stamp(const struct crn_births *births, uint64_t birth)
{
    if (birth > births->swept)
        return stamp_of(birth);
    for (uint32_t stamp = 1; stamp < CRN_BIRTH_KEPT; stamp++)
        if (births->kept[stamp] == birth)
            return stamp;
    return 0;
}

uint64_t crn_birth_level(struct crn_heap *heap, uint64_t birth)
{
    uint32_t stamp = borne_stamp(&heap->births, birth);
    return stamp != 0 ? table_get(&heap->births.levels, stamp) : 0;
}

void crn_births_visit(struct crn_heap *heap, uint64_t from,
                      void (*visit)(void *user, uint64_t birth, uint32_t stamp), void *user)
{
    struct crn_births *births = &heap->births;
    uint64_t birth = heap->birth_now;
    for (; birth > births->swept && birth >= from; birth--)
        if (birth < CRN_BIRTH_OWN || stamp_of(birth) >= CRN_BIRTH_KEPT)
            visit(user, birth, stamp_of(birth));
    while (birth >= from && birth > 0) { /* the kept ones, which stand in no order */
        uint64_t next = 0;
        uint32_t next_stamp = 0;
        for (uint32_t stamp = 1; stamp < CRN_BIRTH_KEPT; stamp++)
            if (births->kept[stamp] <= birth && births->kept[stamp] > next)
                next = births->kept[next_stamp = stamp];
        if (next < from || next == 0)
            return;
        visit(user, next, next_stamp);
        birth = next - 1;
    }
}

void crn_births_after_fork(struct crn_heap *heap)
{
    crn_lock_init(&heap->births.lock);
}
