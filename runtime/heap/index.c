/*
 * The page map and its records.  See index.h.
 *
 * Records come in chunks, one for each page that has blocks: as many as blocks start in it.
 * Chunks are carved from one span and, when a page changes its class, go to a free list of
 * their length, so the space follows the largest number of blocks there ever was.
 */
#include "heap/index.h"

#include <string.h>

enum crn_status crn_index_init(struct crn_index *index, uintptr_t base, size_t span)
{
    memset(index, 0, sizeof *index);
    index->records_made = 1;
    if (span == 0)
        return CRN_OK;
    /* A record for every 256 bytes of the region on average, up to what 32 bits can number. */
    size_t records_bytes = span / 16 < ((size_t)1 << 36) ? span / 16 : (size_t)1 << 36;
    if (span <= (size_t)1 << 32)
        records_bytes = span / 4;
    if (!crn_span_init(&index->pages_span, (span >> CRN_PAGE_SHIFT) * sizeof(uint64_t)) ||
        !crn_span_init(&index->records_span, records_bytes) ||
        !crn_huge_init(&index->huge, base, span))
        return CRN_ERR_NO_MEMORY;
    index->pages = (_Atomic uint64_t *)index->pages_span.base;
    index->records = (struct crn_record *)index->records_span.base;
    index->base = base;
    index->span = span;
    return CRN_OK;
}

bool crn_index_cover(struct crn_index *index, uintptr_t end)
{
    size_t pages = (end - index->base + CRN_PAGE_BYTES - 1) >> CRN_PAGE_SHIFT;
    return crn_span_ensure(&index->pages_span, pages * sizeof(uint64_t));
}

/*
 * Records are dense and stay, so huge pages suit them: a check reads them all, and fork copies a
 * page table for every page of them.  A small program keeps small ones.
 */
static bool records_ensure_locked(struct crn_index *index, size_t count)
{
    const size_t huge_from = (size_t)8 << 20;
    struct crn_span *span = &index->records_span;
    size_t before = span->committed;
    if (!crn_span_ensure(span, count * sizeof(struct crn_record)))
        return false;
    if (span->committed != before && span->committed >= huge_from)
        crn_vm_wish_huge(span->base, span->committed);
    return true;
}

static uint32_t chunk_take_locked(struct crn_index *index, unsigned count)
{
    uint32_t first = index->free_chunks[count];
    if (first != 0) {
        index->free_chunks[count] = index->records[first].stack;
        return first;
    }
    first = index->records_made;
    if (!records_ensure_locked(index, (size_t)first + count))
        return 0;
    index->records_made = first + count;
    return first;
}

static void chunk_give_locked(struct crn_index *index, uint32_t first, unsigned count)
{
    index->records[first].stack = index->free_chunks[count];
    index->free_chunks[count] = first;
}

struct crn_record *crn_index_slot_make(struct crn_index *index, uintptr_t address,
                                       unsigned class_index, int tid)
{
    const struct crn_class *class = &crn_classes[class_index];
    _Atomic uint64_t *page = &index->pages[(address - index->base) >> CRN_PAGE_SHIFT];
    unsigned offset = address & (CRN_PAGE_BYTES - 1);
    unsigned phase = class->bytes < CRN_PAGE_BYTES ? offset % class->bytes : offset;
    struct crn_record *record = NULL;

    crn_lock_acquire(&index->lock, tid);
    uint64_t word = *page;
    bool is_current =
        word != 0 && crn_page_class(word) == class_index && crn_page_phase(word) == phase;
    if (!is_current) {
        uint64_t fresh = crn_page_word(0, class_index, phase);
        unsigned count = crn_page_slots(fresh);
        uint32_t first;
        bool is_resized = word != 0 && class->is_large &&
                          crn_classes[crn_page_class(word)].is_large &&
                          crn_page_phase(word) == phase;
        if (word != 0 && crn_page_slots(word) == count) {
            first = crn_page_first(word); /* same length: the chunk stays */
        } else {
            first = chunk_take_locked(index, count);
            if (first != 0 && word != 0)
                chunk_give_locked(index, crn_page_first(word), crn_page_slots(word));
        }
        if (first == 0) {
            index->full = true;
            crn_lock_release(&index->lock);
            return NULL;
        }
        if (!is_resized) /* what they say is of blocks that have been freed, some elsewhere */
            memset(&index->records[first], 0, count * sizeof *index->records);
        crn_huge_note(&index->huge, address,
                      word != 0 ? crn_classes[crn_page_class(word)].bytes : 0, class->bytes);
        word = crn_page_word(first, class_index, phase);
        atomic_store_explicit(page, word, memory_order_release);
    }
    record = &index->records[crn_page_first(word) +
                             (class->bytes < CRN_PAGE_BYTES ? (offset - phase) / class->bytes : 0)];
    crn_lock_release(&index->lock);
    return record;
}

/* The last block that starts in page `page`, when it is live. */
static bool last_block(const struct crn_index *index, size_t page, struct crn_block *block)
{
    uint64_t word = index->pages[page];
    if (word == 0)
        return false;
    const struct crn_class *class = &crn_classes[crn_page_class(word)];
    unsigned slot = crn_page_slots(word) - 1;
    struct crn_record *record = &index->records[crn_page_first(word) + slot];
    if (!crn_record_is_live(record))
        return false;
    block->start =
        index->base + (page << CRN_PAGE_SHIFT) + crn_page_phase(word) + slot * class->bytes;
    block->size = crn_record_size(record);
    block->usable = class->bytes;
    block->record = record;
    return true;
}

bool crn_index_find(const struct crn_index *index, uintptr_t address, struct crn_block *block)
{
    if (!crn_index_is_inside(index, address))
        return false;
    size_t page = (address - index->base) >> CRN_PAGE_SHIFT;
    if ((page + 1) * sizeof(uint64_t) > index->pages_span.committed)
        return false;
    uint64_t word = index->pages[page];
    unsigned offset = address & (CRN_PAGE_BYTES - 1);
    if (word != 0 && offset >= crn_page_phase(word)) {
        const struct crn_class *class = &crn_classes[crn_page_class(word)];
        uint32_t slot = class->bytes < CRN_PAGE_BYTES
                            ? (uint32_t)((offset - crn_page_phase(word)) / class->bytes)
                            : 0;
        struct crn_record *record = &index->records[crn_page_first(word) + slot];
        if (crn_record_is_live(record)) {
            block->start = address - offset + crn_page_phase(word) + slot * class->bytes;
            block->size = crn_record_size(record);
            block->usable = class->bytes;
            block->record = record;
            return true;
        }
    }
    /* Not one that starts in this page: the last one that starts in an earlier page may reach. */
    while (page-- > 0) {
        if (last_block(index, page, block))
            return address - block->start < block->usable;
        if (index->pages[page] != 0) {
            /* A page with a live block that is not its last ends the search as well. */
            uint64_t earlier = index->pages[page];
            for (unsigned slot = 0; slot < crn_page_slots(earlier); slot++)
                if (crn_record_is_live(&index->records[crn_page_first(earlier) + slot]))
                    return false;
        }
    }
    return false;
}

void crn_index_for_each(const struct crn_index *index, uintptr_t end,
                        bool (*visit)(const struct crn_block *block, void *user), void *user)
{
    if (index->span == 0 || end <= index->base)
        return;
    size_t pages = (end - index->base) >> CRN_PAGE_SHIFT;
    if (pages > index->pages_span.committed / sizeof(uint64_t))
        pages = index->pages_span.committed / sizeof(uint64_t);
    for (size_t page = 0; page < pages; page++) {
        /* Words that were never written are not read: the kernel would count them as used memory.
         */
        if (page % 512 == 0 && (page = crn_huge_next(&index->huge, page)) >= pages)
            break;
        uint64_t word = index->pages[page];
        if (word == 0)
            continue;
        uint64_t bytes = crn_classes[crn_page_class(word)].bytes;
        uintptr_t start = index->base + (page << CRN_PAGE_SHIFT) + crn_page_phase(word);
        struct crn_record *record = &index->records[crn_page_first(word)];
        for (unsigned left = crn_page_slots(word); left > 0; left--, record++, start += bytes) {
            if (!crn_record_is_live(record))
                continue;
            struct crn_block block = {start, crn_record_size(record), bytes, record};
            if (!visit(&block, user))
                return;
        }
    }
}

bool crn_index_is_valid(const struct crn_index *index, uintptr_t end)
{
    size_t pages = (end - index->base) >> CRN_PAGE_SHIFT;
    for (size_t page = 0; page < pages; page++) {
        uint64_t word = index->pages[page];
        if (word == 0)
            continue;
        const struct crn_class *class = &crn_classes[crn_page_class(word)];
        uint32_t first = crn_page_first(word);
        if (first == 0 || first + crn_page_slots(word) > index->records_made)
            return false;
        for (unsigned slot = 0; slot < crn_page_slots(word); slot++) {
            const struct crn_record *record = &index->records[first + slot];
            uintptr_t start =
                index->base + (page << CRN_PAGE_SHIFT) + crn_page_phase(word) + slot * class->bytes;
            if (crn_record_is_live(record) &&
                (crn_record_size(record) > class->bytes || start + class->bytes > end))
                return false;
        }
        /* I2 against the next pages; quadratic, but only tests call this. */
        for (size_t other = page + 1; other < pages; other++) {
            uint64_t theirs = index->pages[other];
            if (theirs != 0 && crn_page_first(theirs) < first + crn_page_slots(word) &&
                first < crn_page_first(theirs) + crn_page_slots(theirs))
                return false;
        }
    }
    return true;
}

void crn_index_after_fork(struct crn_index *index)
{
    /* If the lock was held, a list head may be half changed: forget the lists, keep the rest. */
    if (index->lock.word != 0)
        memset(index->free_chunks, 0, sizeof index->free_chunks);
    crn_lock_init(&index->lock);
}
