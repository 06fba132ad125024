/*
 * Which frames get huge pages.  See huge.h.
 */
#include "heap/huge.h"
#include "heap/sizeclass.h"

enum {
    FRAME_SHIFT = 21,
    PAGES = 1 << (FRAME_SHIFT - CRN_PAGE_SHIFT),
    FULL_PAGES = PAGES * 7 / 8,
    SPLITS_MAX = 4096, /* the program may have 65,530 mappings (vm.max_map_count) */
};

/*
 * Below this much of heap pages stay small: there is little to gain.  Each arena begins in a place
 * of its own, so a lower bound strikes programs that have many and use little: from 16 MiB on, four
 * threads with 10 MB took 28.
 */
static const size_t HUGE_FROM_BYTES = (size_t)64 << 20;

struct crn_huge_frame {
    uint16_t small_pages; /* that had blocks smaller than a page when one was last placed in them */
    bool has_blocks;      /* or had */
    bool is_huge;
    bool has_large; /* a large block was placed in it once: never again huge */
};

bool crn_huge_init(struct crn_huge *huge, uintptr_t base, size_t span)
{
    huge->base = base;
    return crn_span_init(&huge->frames,
                         ((span >> FRAME_SHIFT) + 2) * sizeof(struct crn_huge_frame));
}

static struct crn_huge_frame *frame_at(const struct crn_huge *huge, size_t index)
{
    return (struct crn_huge_frame *)huge->frames.base + index;
}

/* The frame before `index` has been filled with small blocks: this one comes next. */
static void frame_decide(struct crn_huge *huge, size_t index)
{
    uintptr_t start = huge->base + (index << FRAME_SHIFT);
    struct crn_huge_frame *frame = frame_at(huge, index);
    if (start - huge->base < HUGE_FROM_BYTES || frame->is_huge || frame->has_large ||
        frame->small_pages > 0)
        return;
    if (!frame_at(huge, index - 1)->is_huge && huge->splits++ >= SPLITS_MAX)
        return;
    frame->is_huge = true;
    crn_vm_wish_huge((void *)start, (size_t)1 << FRAME_SHIFT);
}

/* A large block has come to frames `first` to `last`. */
static void frames_mix(struct crn_huge *huge, size_t first, size_t last)
{
    for (size_t i = first; i <= last; i++) {
        struct crn_huge_frame *frame = frame_at(huge, i);
        bool was_huge = frame->is_huge && huge->splits < SPLITS_MAX;
        frame->has_large = true;
        if (!was_huge)
            continue;
        huge->splits++;
        frame->is_huge = false;
        frame->small_pages = 0;
        crn_vm_wish_small((void *)(huge->base + (i << FRAME_SHIFT)), (size_t)1 << FRAME_SHIFT);
    }
}

void crn_huge_note(struct crn_huge *huge, uintptr_t start, size_t old_bytes, size_t bytes)
{
    size_t index = (start - huge->base) >> FRAME_SHIFT;
    size_t last = (start + bytes - 1 - huge->base) >> FRAME_SHIFT;
    bool was_small = old_bytes != 0 && old_bytes < CRN_PAGE_BYTES,
         is_small = bytes < CRN_PAGE_BYTES;
    bool is_large = bytes > CRN_CLASS_SMALL_MAX_BYTES;
    if (!crn_span_ensure(&huge->frames, (last + 2) * sizeof(struct crn_huge_frame))) {
        huge->is_short = true;
        return;
    }
    struct crn_huge_frame *frame = frame_at(huge, index);
    frame->has_blocks = true;
    if (was_small == is_small && !is_large)
        return;
    if (was_small && !is_small && frame->small_pages > 0)
        frame->small_pages--;
    if (is_large)
        frames_mix(huge, index, last);
    if (!is_small || was_small)
        return;
    frame->small_pages++;
    /* Not later: soon a block of this frame may reach into the next one. */
    if (frame->small_pages >= FULL_PAGES)
        frame_decide(huge, index + 1);
}

size_t crn_huge_next(const struct crn_huge *huge, size_t page)
{
    size_t known = huge->frames.committed / sizeof(struct crn_huge_frame), index = page / PAGES;
    if (huge->is_short || index >= known || frame_at(huge, index)->has_blocks)
        return page;
    while (index < known && !frame_at(huge, index)->has_blocks)
        index++;
    return index * PAGES;
}
