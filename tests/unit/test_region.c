/*
 * The region serves jemalloc's mappings: apart from each other, zeroed, used again.
 */
#include "make_heap.h"
#include "heap/region.h"

#include <signal.h>
#include <sys/resource.h>

static const size_t HUGE_BYTES = (size_t)2 << 20;

static struct crn_region region;

static void setup(void)
{
    cr_assert(crn_region_init(&region));
}

TestSuite(region, .init = setup);

static bool is_inside(const void *start, size_t bytes)
{
    return (uintptr_t)start >= region.base && (uintptr_t)start + bytes <= region.next;
}

Test(region, it_is_large_and_aligned_to_huge_pages)
{
    cr_assert(region.base % HUGE_BYTES == 0 && region.end - region.base >= (size_t)1 << 30);
    cr_assert_eq(region.next, region.base + HUGE_BYTES);
}

Test(region, a_page_before_the_first_block_can_be_read)
{
    char *first = crn_region_map(&region, 4096, true);
    cr_assert_eq((uintptr_t)first, region.base + HUGE_BYTES);
    cr_assert_eq(first[-1], 0);
}

Test(region, mappings_are_disjoint_inside_and_zeroed)
{
    struct maker_random random = maker_random_from(3);
    struct crn_range taken[200];
    for (unsigned i = 0; i < 200; i++) {
        size_t bytes = 1 + maker_below(&random, 300000);
        char *start = crn_region_map(&region, bytes, true);
        cr_assert(start != NULL && (uintptr_t)start % 4096 == 0 && is_inside(start, bytes));
        cr_assert(start[0] == 0 && start[bytes - 1] == 0);
        memset(start, 1, bytes);
        taken[i] = (struct crn_range){(uintptr_t)start, (uintptr_t)start + bytes};
        for (unsigned k = 0; k < i; k++)
            cr_assert(taken[i].start >= taken[k].end || taken[k].start >= taken[i].end);
    }
}

Test(region, a_huge_mapping_is_aligned_to_huge_pages)
{
    crn_region_map(&region, 4096, true);
    cr_assert_eq((uintptr_t)crn_region_map(&region, HUGE_BYTES, true) % HUGE_BYTES, 0);
    crn_region_map(&region, 4096, true);
    cr_assert_eq((uintptr_t)crn_region_map(&region, 3 * HUGE_BYTES, false) % HUGE_BYTES, 0);
}

Test(region, what_was_given_back_is_served_again_and_is_zero)
{
    char *first = crn_region_map(&region, 64 * 1024, true);
    crn_region_map(&region, 4096, true);
    memset(first, 0x55, 64 * 1024);
    crn_region_unmap(&region, first, 64 * 1024);
    char *again = crn_region_map(&region, 32 * 1024, true);
    cr_assert_eq(again, first);
    for (unsigned i = 0; i < 32 * 1024; i++)
        cr_assert_eq(again[i], 0);
    cr_assert_eq((char *)crn_region_map(&region, 32 * 1024, true), first + 32 * 1024);
    cr_assert_eq(region.gap_count, 0);
}

Test(region, neighbours_that_were_given_back_become_one)
{
    char *whole = crn_region_map(&region, 12 * 4096, true);
    crn_region_map(&region, 4096, true);
    crn_region_unmap(&region, whole, 4 * 4096);
    crn_region_unmap(&region, whole + 8 * 4096, 4 * 4096);
    cr_assert_eq(region.gap_count, 2);
    crn_region_unmap(&region, whole + 4 * 4096, 4 * 4096);
    cr_assert(region.gap_count == 1);
    cr_assert_eq((char *)crn_region_map(&region, 12 * 4096, true), whole);
}

Test(region, memory_that_was_given_back_cannot_be_touched, .signal = SIGSEGV)
{
    volatile char *start = crn_region_map(&region, 4096, true);
    crn_region_unmap(&region, (void *)start, 4096);
    start[0] = 1;
}

Test(region, a_mapping_that_was_only_reserved_can_be_committed)
{
    char *start = crn_region_map(&region, 1 << 20, false);
    cr_assert_eq(mprotect(start + 4096, 4096, PROT_READ | PROT_WRITE), 0);
    start[4096] = 1;
}

Test(region, when_it_is_full_it_says_so_and_still_serves_less)
{
    size_t left = region.end - region.next;
    cr_assert(crn_region_map(&region, left + 4096, false) == NULL);
    cr_assert_not_null(crn_region_map(&region, left - 4096, false));
    cr_assert(crn_region_map(&region, 8192, false) == NULL);
    cr_assert_not_null(crn_region_map(&region, 4096, true));
    cr_assert(crn_region_map(&region, 4096, false) == NULL);
}

Test(region, more_ranges_than_the_list_holds_are_forgotten_without_harm)
{
    char *whole = crn_region_map(&region, 2000 * 4096, false);
    for (unsigned i = 0; i < 2000; i += 2)
        crn_region_unmap(&region, whole + i * 4096, 4096);
    cr_assert_eq(region.gap_count, CRN_COUNT_OF(region.gaps));
    char *fresh = crn_region_map(&region, 8192, true);
    cr_assert(fresh >= whole + 2000 * 4096);
}

Test(region, what_cannot_be_unmapped_is_served_again_as_zeros)
{
    char *start = crn_region_map(&region, 64 * 1024, true);
    memset(start, 0x55, 64 * 1024);
    /* As at the limit of mappings: what was given back is on the list and still there. */
    region.gaps[region.gap_count++] =
        (struct crn_region_gap){(uintptr_t)start, (uintptr_t)start + 64 * 1024, true};
    char *again = crn_region_map(&region, 64 * 1024, true);
    cr_assert_eq(again, start);
    for (unsigned i = 0; i < 64 * 1024; i++)
        cr_assert_eq(again[i], 0);
}

Test(region, what_the_program_mapped_in_it_is_left_alone)
{
    char *next = (char *)region.next, *gap = crn_region_map(&region, 4096, true);
    crn_region_unmap(&region, gap, 4096);
    for (unsigned i = 0; i < 2; i++)
        cr_assert_eq(mmap(next + i * 8192, 4096, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                     next + i * 8192);
    next[0] = next[8192] = 7;
    for (unsigned i = 0; i < 8; i++) {
        char *served = crn_region_map(&region, 4096, true);
        cr_assert(served != NULL && served != next && served != next + 8192);
        memset(served, 1, 4096);
    }
    cr_assert(next[0] == 7 && next[8192] == 7);
}

Test(region, where_the_kernel_refuses_no_addresses_are_used_up)
{
    struct rlimit limit = {(rlim_t)1 << 30, RLIM_INFINITY};
    uintptr_t next = region.next;
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    for (unsigned i = 0; i < 100; i++)
        cr_assert(crn_region_map(&region, (size_t)64 << 30, true) == NULL);
    cr_assert_eq(region.next, next);
    cr_assert_not_null(crn_region_map(&region, 1 << 20, true));
}

Test(region_under_a_limit, it_is_as_large_as_ever)
{
    struct rlimit limit = {(rlim_t)1 << 30, RLIM_INFINITY};
    struct crn_region limited;
    memset(&limited, 0, sizeof limited);
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    bool has_region = crn_region_init(&limited);
    cr_assert(has_region && limited.end - limited.base >= (size_t)1 << 30);
    cr_assert_not_null(crn_region_map(&limited, 1 << 20, true));
}

Test(region_under_a_limit, with_no_address_space_at_all_there_is_none)
{
    struct rlimit limit = {(rlim_t)1 << 16, RLIM_INFINITY};
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    struct crn_region none;
    memset(&none, 0, sizeof none);
    setrlimit(RLIMIT_AS, &limit);
    bool has_region = crn_region_init(&none);
    void *served = crn_region_map(&none, 4096, true);
    setrlimit(RLIMIT_AS, &all);
    cr_assert(!has_region && none.base == none.end && served == NULL);
}
