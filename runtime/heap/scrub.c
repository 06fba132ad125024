/*
 * Which blocks are wiped, and large ones by page.  See scrub.h.
 */
#include "heap/scrub.h"
#include "base/sys.h"

enum {
    AT_ONCE_BYTES = 16 * 1024, /* to ask which pages are there would take as long */
    PAGES_ASKED = 128
};

size_t crn_scrub_most_bytes = CRN_SCRUB_SMALL_BYTES;

void crn_scrub_init(enum crn_scrub_mode mode)
{
    static const size_t most_bytes[CRN_SCRUB_MODES] = {
        [CRN_SCRUB_NO] = 0, [CRN_SCRUB_SMALL] = CRN_SCRUB_SMALL_BYTES, [CRN_SCRUB_ALL] = SIZE_MAX};
    crn_scrub_most_bytes = most_bytes[mode];
}

/* Wipes the part of [start, end) that lies in one page. */
static void part_wipe(uintptr_t page, uintptr_t start, uintptr_t end)
{
    uintptr_t from = page > start ? page : start;
    uintptr_t to = page + CRN_PAGE_BYTES < end ? page + CRN_PAGE_BYTES : end;
    memset((void *)from, 0, to - from);
}

static void pages_wipe(uintptr_t start, uintptr_t end)
{
    enum { ASKED_BYTES = PAGES_ASKED * CRN_PAGE_BYTES };
    unsigned char is_there[PAGES_ASKED];
    uintptr_t page = crn_align_down(start, CRN_PAGE_BYTES);
    while (page < end) {
        size_t asked =
            end - page > ASKED_BYTES ? ASKED_BYTES : crn_align_up(end - page, CRN_PAGE_BYTES);
        if (crn_syscall3(SYS_mincore, page, asked, is_there) != 0)
            return;
        for (unsigned i = 0; i < asked / CRN_PAGE_BYTES; i++, page += CRN_PAGE_BYTES)
            if ((is_there[i] & 1) != 0)
                part_wipe(page, start, end);
    }
}

void crn_scrub_large(uintptr_t start, uintptr_t end)
{
    if (end - start <= AT_ONCE_BYTES)
        memset((void *)start, 0, end - start);
    else
        pages_wipe(start, end);
}
