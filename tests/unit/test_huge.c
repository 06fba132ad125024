/*
 * Huge pages are asked for where small blocks fill memory in order, and nowhere else.
 */
#include "make_heap.h"
#include "heap/huge.h"

#include <stdio.h>

enum { FRAME = 2 << 20, FRAMES = 64, FROM = 32, SMALL = 64, LARGE = 65536 };

static struct crn_huge huge;
static char *memory;

static void setup(void)
{
    /* One frame more, to be aligned; and the bytes below 64 MiB, where pages stay small, in front.
     */
    uintptr_t window = crn_vm_claim((size_t)(FRAMES + FROM) * FRAME);
    cr_assert_eq(crn_vm_map_at(window, (size_t)(FRAMES + FROM) * FRAME, true), CRN_OK);
    cr_assert(crn_huge_init(&huge, window, (size_t)(FRAMES + FROM) * FRAME));
    memory = (char *)window;
}

TestSuite(huge, .init = setup);

static void pages_note(unsigned frame, unsigned first, unsigned count, size_t old_bytes,
                       size_t bytes)
{
    for (unsigned i = first; i < first + count; i++)
        crn_huge_note(&huge, (uintptr_t)memory + (size_t)frame * FRAME + i * 4096, old_bytes,
                      bytes);
}

/* Whether the kernel has been asked for huge pages there: "hg" in its VmFlags. */
static bool is_huge(unsigned frame)
{
    char line[512];
    unsigned long start, end, wanted = (unsigned long)memory + (size_t)frame * FRAME;
    bool is_there = false, is_found = false;
    FILE *file = fopen("/proc/self/smaps", "r");
    while (!is_found && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            is_there = start <= wanted && wanted < end;
        else if (is_there && strncmp(line, "VmFlags:", 8) == 0)
            is_found = true;
    }
    fclose(file);
    cr_assert(is_found);
    return strstr(line, " hg") != NULL;
}

Test(huge, the_frame_behind_a_full_one_is_huge_before_anything_is_in_it)
{
    pages_note(FROM, 0, 447, 0, SMALL);
    cr_assert(!is_huge(FROM) && !is_huge(FROM + 1));
    pages_note(FROM, 447, 1, 0, SMALL);
    cr_assert(!is_huge(FROM) && is_huge(FROM + 1) && !is_huge(FROM + 2));
}

Test(huge, a_frame_in_which_a_large_block_lies_stays_as_it_is)
{
    pages_note(FROM + 1, 100, 1, 0, LARGE);
    pages_note(FROM, 0, 512, 0, SMALL);
    cr_assert_not(is_huge(FROM + 1));
}

Test(huge, a_small_heap_has_none)
{
    for (unsigned i = 0; i < FROM; i++)
        pages_note(i, 0, 512, 0, SMALL);
    for (unsigned i = 0; i < FROM; i++)
        cr_assert_not(is_huge(i));
}

Test(huge, large_blocks_have_none)
{
    for (unsigned i = 0; i < 10; i++)
        pages_note(FROM + i, 0, 512, 0, LARGE);
    for (unsigned i = 0; i < 10; i++)
        cr_assert_not(is_huge(FROM + i));
}

Test(huge, a_frame_with_some_small_blocks_does_not_announce_another)
{
    for (unsigned i = 0; i < 10; i++)
        for (unsigned page = 0; page < 512; page += 4) {
            pages_note(FROM + i, page, 3, 0, SMALL);
            pages_note(FROM + i, page + 3, 1, 0, LARGE);
        }
    for (unsigned i = 0; i < 10; i++)
        cr_assert_not(is_huge(FROM + i));
}

Test(huge, blocks_of_a_page_and_more_do_not_fill_a_frame)
{
    pages_note(FROM, 0, 512, 0, 8192);
    pages_note(FROM + 1, 0, 511, 0, 8192);
    pages_note(FROM + 1, 511, 1, 0, SMALL);
    cr_assert_not(is_huge(FROM + 2));
}

Test(huge, where_a_large_block_comes_later_pages_are_small_again_for_good)
{
    pages_note(FROM, 0, 512, 0, SMALL);
    pages_note(FROM + 1, 0, 511, 0, SMALL);
    cr_assert(is_huge(FROM + 1));
    crn_huge_note(&huge, (uintptr_t)memory + (size_t)(FROM + 1) * FRAME, SMALL, LARGE);
    cr_assert_not(is_huge(FROM + 1));
    pages_note(FROM + 1, 0, 512, LARGE, SMALL);
    cr_assert_not(is_huge(FROM + 1));
}

Test(huge, a_block_over_several_frames_takes_it_back_from_all)
{
    for (unsigned i = 0; i < 8; i++)
        pages_note(FROM + i, 0, 512, 0, SMALL);
    crn_huge_note(&huge, (uintptr_t)memory + (size_t)(FROM + 2) * FRAME, SMALL, 3 * FRAME);
    for (unsigned i = 1; i < 8; i++)
        cr_assert_eq(is_huge(FROM + i), i < 2 || i > 4);
}

Test(huge, the_kernel_keeps_few_mappings)
{
    for (unsigned i = 0; i < FRAMES - 1; i++)
        pages_note(FROM + i, 0, 512, 0, SMALL);
    cr_assert_eq(huge.splits, 1);
}
