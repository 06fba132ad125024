/*
 * An ordered map of ranges.  See ranges.h.
 *
 * Invariants:
 *   I1  directory[i].first is the start of chunk i's first item, ascending in i.
 *   I2  every chunk in the directory has 1 .. ITEMS_MAX items, ascending and disjoint.
 */
#include "base/ranges.h"

#include <string.h>

enum { ITEMS_MAX = (CRN_PAGE_BYTES - 16) / sizeof(struct crn_ranges_item) };

struct chunk {
    uint32_t count;
    uint32_t next_free;
    uint64_t padding;
    struct crn_ranges_item items[ITEMS_MAX];
};

struct entry {
    uintptr_t first;
    uint64_t chunk; /* index in the span of chunks */
};

static struct entry *directory_of(const struct crn_ranges *ranges)
{
    return (struct entry *)ranges->directory.base;
}

static struct chunk *chunk_at(const struct crn_ranges *ranges, uint32_t slot)
{
    return (struct chunk *)(ranges->chunks.base + directory_of(ranges)[slot].chunk * CRN_PAGE_BYTES);
}

bool crn_ranges_init(struct crn_ranges *ranges, size_t items_max)
{
    memset(ranges, 0, sizeof *ranges);
    size_t chunks_max = items_max / (ITEMS_MAX / 2) + 2;
    return crn_span_init(&ranges->directory, chunks_max * sizeof(struct entry)) &&
           crn_span_init(&ranges->chunks, chunks_max * CRN_PAGE_BYTES);
}

/* The last slot whose first item starts at or below `address`; 0 when there is none. */
static uint32_t slot_find(const struct crn_ranges *ranges, uintptr_t address)
{
    const struct entry *directory = directory_of(ranges);
    uint32_t low = 0, high = ranges->chunk_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (directory[middle].first <= address)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* How many items of the chunk start at or below `address`. */
static uint32_t items_below(const struct chunk *chunk, uintptr_t address)
{
    uint32_t low = 0, high = chunk->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (chunk->items[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct crn_ranges_item *crn_ranges_first_above(const struct crn_ranges *ranges, uintptr_t address)
{
    if (ranges->chunk_count == 0)
        return NULL;
    uint32_t slot = slot_find(ranges, address);
    struct chunk *chunk = chunk_at(ranges, slot);
    uint32_t below = items_below(chunk, address);
    if (below > 0 && chunk->items[below - 1].end > address)
        return &chunk->items[below - 1];
    if (below < chunk->count)
        return &chunk->items[below];
    return slot + 1 < ranges->chunk_count ? &chunk_at(ranges, slot + 1)->items[0] : NULL;
}

struct crn_ranges_item *crn_ranges_find(const struct crn_ranges *ranges, uintptr_t address)
{
    struct crn_ranges_item *item = crn_ranges_first_above(ranges, address);
    return item != NULL && item->start <= address ? item : NULL;
}

/* Opens a fresh, empty chunk at directory slot `slot`. */
static bool slot_open(struct crn_ranges *ranges, uint32_t slot)
{
    uint64_t index;
    if (!crn_span_ensure(&ranges->directory, (ranges->chunk_count + 1) * sizeof(struct entry)))
        return false;
    if (ranges->free_chunk != 0) {
        index = ranges->free_chunk - 1;
        ranges->free_chunk = ((struct chunk *)(ranges->chunks.base + index * CRN_PAGE_BYTES))->next_free;
    } else {
        index = ranges->chunks_made;
        if (!crn_span_ensure(&ranges->chunks, (index + 1) * CRN_PAGE_BYTES))
            return false;
        ranges->chunks_made++;
    }
    struct entry *directory = directory_of(ranges);
    memmove(directory + slot + 1, directory + slot,
            (ranges->chunk_count - slot) * sizeof(struct entry));
    directory[slot].chunk = index;
    ranges->chunk_count++;
    chunk_at(ranges, slot)->count = 0;
    return true;
}

bool crn_ranges_insert(struct crn_ranges *ranges, uintptr_t start, uintptr_t end, uint64_t value)
{
    if (ranges->chunk_count == 0 && !slot_open(ranges, 0))
        return false;
    uint32_t slot = slot_find(ranges, start);
    struct chunk *chunk = chunk_at(ranges, slot);
    if (chunk->count == ITEMS_MAX) {
        if (!slot_open(ranges, slot + 1))
            return false;
        struct chunk *upper = chunk_at(ranges, slot + 1);
        chunk->count = ITEMS_MAX / 2;
        upper->count = ITEMS_MAX - chunk->count;
        memcpy(upper->items, chunk->items + chunk->count, upper->count * sizeof upper->items[0]);
        directory_of(ranges)[slot + 1].first = upper->items[0].start;
        if (start >= upper->items[0].start) {
            chunk = upper;
            slot++;
        }
    }
    uint32_t at = items_below(chunk, start);
    memmove(chunk->items + at + 1, chunk->items + at, (chunk->count - at) * sizeof chunk->items[0]);
    chunk->items[at] = (struct crn_ranges_item){start, end, value};
    chunk->count++;
    directory_of(ranges)[slot].first = chunk->items[0].start;
    ranges->item_count++;
    return true;
}

void crn_ranges_remove(struct crn_ranges *ranges, uintptr_t start)
{
    struct crn_ranges_item *item = crn_ranges_find(ranges, start);
    if (item == NULL || item->start != start)
        return;
    uint32_t slot = slot_find(ranges, start);
    struct chunk *chunk = chunk_at(ranges, slot);
    struct entry *directory = directory_of(ranges);
    uint32_t at = (uint32_t)(item - chunk->items);
    chunk->count--;
    memmove(item, item + 1, (chunk->count - at) * sizeof *item);
    ranges->item_count--;
    if (chunk->count > 0) {
        directory[slot].first = chunk->items[0].start;
        return;
    }
    chunk->next_free = ranges->free_chunk;
    ranges->free_chunk = (uint32_t)directory[slot].chunk + 1;
    ranges->chunk_count--;
    memmove(directory + slot, directory + slot + 1,
            (ranges->chunk_count - slot) * sizeof(struct entry));
}
