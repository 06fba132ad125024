/*
 * Rings of io_uring and of io_setup(2), as the kernel lays them out in shared memory, are read
 * without the kernel.
 */
#include "snap/uring.h"

#include <criterion/criterion.h>
#include <string.h>

enum { RING_WORDS = 1024, SQ_ENTRIES = 4, CQ_ENTRIES = 8 };
static uint32_t ring[RING_WORDS];

/* A ring as Linux 6 lays it out: `submitted`, `completed` and taken so far. */
static void ring_make(uint32_t submitted, uint32_t completed, uint32_t taken)
{
    const uint32_t head[] = {submitted,  submitted,      taken,      completed,
                             SQ_ENTRIES - 1, CQ_ENTRIES - 1, SQ_ENTRIES, CQ_ENTRIES};
    memset(ring, 0, sizeof ring);
    memcpy(ring, head, sizeof head);
}

static void completion_set(unsigned at, size_t bytes, uint64_t user_data, uint32_t flags)
{
    uint32_t *completion = ring + 16 + at * bytes / sizeof *ring;
    memcpy(completion, &user_data, sizeof user_data);
    completion[3] = flags;
}

static struct crn_uring_counts counts_read(void)
{
    struct crn_uring_counts counts;
    cr_assert(crn_uring_counts_read(ring, sizeof ring, &counts));
    return counts;
}

Test(uring, the_numbers_of_a_ring_are_read)
{
    ring_make(7, 5, 3);
    struct crn_uring_counts counts = counts_read();
    cr_assert(counts.submitted == 7 && counts.completed == 5 && counts.cq_head == 3);
    cr_assert(counts.sq_entries == SQ_ENTRIES && counts.cq_entries == CQ_ENTRIES);
}

Test(uring, older_kernels_give_each_number_a_cache_line)
{
    memset(ring, 0, sizeof ring);
    ring[0] = ring[16] = 9;
    ring[32] = 2;
    ring[48] = 6;
    ring[64] = SQ_ENTRIES - 1;
    ring[65] = CQ_ENTRIES - 1;
    ring[66] = SQ_ENTRIES;
    ring[67] = CQ_ENTRIES;
    struct crn_uring_counts counts = counts_read();
    cr_assert(counts.submitted == 9 && counts.completed == 6 && counts.cq_head == 2);
    cr_assert_eq(counts.cqes_at, 320);
}

Test(uring, memory_that_is_no_ring_is_refused)
{
    struct crn_uring_counts counts;
    memset(ring, 0, sizeof ring);
    cr_assert_not(crn_uring_counts_read(ring, sizeof ring, &counts));
    ring_make(0, 0, 0);
    ring[6] = 5;
    cr_assert_not(crn_uring_counts_read(ring, sizeof ring, &counts));
    ring_make(0, 0, 0);
    cr_assert_not(crn_uring_counts_read(ring, 64 + 16, &counts), "its completions do not fit");
}

Test(uring, only_completions_that_were_not_taken_count)
{
    uintptr_t words[32];
    ring_make(12, 12, 9);
    for (unsigned at = 0; at < CQ_ENTRIES; at++)
        completion_set(at, 16, 0x1000 + at, 0);
    struct crn_uring_counts counts = counts_read();
    /* Room for completions of one length only. */
    size_t count = crn_uring_completions(ring, 64 + CQ_ENTRIES * 16, &counts, words, 32);
    cr_assert_eq(count, 3);
    cr_assert(words[0] == 0x1001 && words[1] == 0x1002 && words[2] == 0x1003);
}

Test(uring, wide_completions_count_too)
{
    uintptr_t words[32];
    bool is_found = false;
    ring_make(4, 4, 3);
    completion_set(3, 32, 0x7777, 0);
    struct crn_uring_counts counts = counts_read();
    size_t count = crn_uring_completions(ring, sizeof ring, &counts, words, 32);
    for (size_t i = 0; i < count; i++)
        is_found |= words[i] == 0x7777;
    cr_assert(is_found);
}

Test(uring, every_entry_counts_and_so_do_wide_ones)
{
    uint64_t entries[2 * SQ_ENTRIES * 8] = {0};
    uintptr_t words[16];
    entries[4] = 0x1000;
    entries[8 + 4] = 0x2000;
    entries[16 * 3 + 4] = 0x3000;
    cr_assert_eq(crn_uring_entries(entries, sizeof entries, words, 16), 3);
    cr_assert(words[0] == 0x1000 && words[1] == 0x2000 && words[2] == 0x3000);
    cr_assert_eq(crn_uring_entries(entries, sizeof entries, words, 1), 1);
}

static bool has_unknown(uint32_t submitted, uint32_t completed, uint32_t flags, unsigned polls)
{
    ring_make(submitted, completed, 0);
    completion_set(0, 16, 1, flags);
    struct crn_uring_counts counts = counts_read();
    return crn_uring_has_unknown(&counts, polls);
}

Test(uring, a_request_is_unknown_when_its_entry_may_have_been_used_again)
{
    cr_assert_not(has_unknown(0, 0, 0, 0));
    cr_assert_not(has_unknown(SQ_ENTRIES, 0, 0, 1), "each is in its entry");
    cr_assert(has_unknown(SQ_ENTRIES + 1, 0, 0, 0));
    cr_assert_not(has_unknown(SQ_ENTRIES + 1, SQ_ENTRIES + 1, 0, 0), "all are complete");
    cr_assert(has_unknown(SQ_ENTRIES + 1, SQ_ENTRIES + 1, 2, 0), "one goes on (IORING_CQE_F_MORE)");
    cr_assert(has_unknown(SQ_ENTRIES + 1, SQ_ENTRIES + 1, 0, 1), "the kernel says that one waits");
    cr_assert(has_unknown(SQ_ENTRIES + 1, SQ_ENTRIES + 9, 0, 0), "some had several completions");
}

Test(uring, dropped_entries_are_no_requests)
{
    ring_make(SQ_ENTRIES + 2, SQ_ENTRIES + 1, 0);
    ring[8] = 1;
    struct crn_uring_counts counts = counts_read();
    cr_assert_not(crn_uring_has_unknown(&counts, 0));
}

Test(uring, aio_events_that_were_not_taken_count)
{
    uint32_t head[8 + 4 * 8] = {1, 4, 3, 1, 0xa10a10a1, 1, 0, 32};
    uintptr_t words[8];
    uint64_t *events = (uint64_t *)(head + 8);
    for (unsigned i = 0; i < 4; i++) {
        events[4 * i] = 0x1000 + i;
        events[4 * i + 1] = 0x2000 + i;
    }
    cr_assert_eq(crn_aio_events(head, sizeof head, words, 8), 4);
    cr_assert(words[0] == 0x1003 && words[1] == 0x2003 && words[2] == 0x1000);
    head[4] = 0;
    cr_assert_eq(crn_aio_events(head, sizeof head, words, 8), 0, "it is no ring");
}
