/*
 * What is live and what is lost by words alone: pointers, pages, blocks.  Coroutines: test_mark.c.
 */
#include "mark_suite.h"
#include "snap/readable.h"

#include <unistd.h>

Test(mark, a_block_that_a_global_points_to_is_live)
{
    uintptr_t *block = block_of(64);
    *maker_global(&maker) = (uintptr_t)block;
    mark();
    assert_verdict(&maker, block, CRN_VERDICT_LIVE);
    cr_assert(maker.mark.suspect_count == 0 && maker.mark.live_blocks == 1 &&
              maker.mark.live_bytes == 64);
}

Test(mark, a_chain_of_blocks_is_live)
{
    uintptr_t *blocks[100];
    for (unsigned i = 0; i < 100; i++)
        blocks[i] = block_of(16 + i * 48);
    for (unsigned i = 0; i + 1 < 100; i++)
        blocks[i][i % 2] = (uintptr_t)blocks[i + 1];
    *maker_global(&maker) = (uintptr_t)blocks[0];
    mark();
    for (unsigned i = 0; i < 100; i++)
        assert_verdict(&maker, blocks[i], CRN_VERDICT_LIVE);
}

Test(mark, a_packed_pointer_on_a_stack_keeps_its_block)
{
    uintptr_t *packed = block_of(64), *in_data = block_of(64);
    char *stack = maker_memory(&maker, 64), *data = maker_memory(&maker, 64);
    memcpy(stack + 12, &packed, sizeof packed);
    memcpy(data + 12, &in_data, sizeof in_data);
    maker_root(&maker, stack, 64, CRN_ROOT_STACK, 4);
    maker_root(&maker, data, 64, CRN_ROOT_GLOBAL, 8);
    mark();
    assert_verdict(&maker, packed, CRN_VERDICT_LIVE);
    assert_verdict(&maker, in_data, CRN_VERDICT_LOST);
}

Test(mark, a_word_that_ends_with_the_root_is_read_and_one_that_does_not_is_not)
{
    uintptr_t *inside = block_of(64), *beyond = block_of(64);
    uintptr_t *memory = maker_memory(&maker, 32);
    memory[1] = (uintptr_t)inside;
    memory[2] = (uintptr_t)beyond;
    maker_root(&maker, memory, 20, CRN_ROOT_STACK, 4);
    mark();
    assert_verdict(&maker, inside, CRN_VERDICT_LIVE);
    assert_verdict(&maker, beyond, CRN_VERDICT_LOST);
}

Test(mark, a_pointer_into_a_block_keeps_it)
{
    static const size_t sizes[] = {16, 48, 320, 3584, 4096, 7168, 14336, 16384, 40960, 300000};
    for (unsigned i = 0; i < CRN_COUNT_OF(sizes); i++) {
        char *block = (char *)block_of(sizes[i]);
        *maker_global(&maker) = (uintptr_t)block + sizes[i] - 1;
    }
    mark();
    cr_assert_eq(maker.mark.suspect_count, 0);
}

Test(mark, one_past_the_end_of_a_block_does_not_keep_it)
{
    char *first = (char *)block_of(64), *second = (char *)block_of(64);
    cr_assert(second == first + 64);
    *maker_global(&maker) = (uintptr_t)first + 64;
    mark();
    assert_verdict(&maker, first, CRN_VERDICT_LOST);
    assert_verdict(&maker, second, CRN_VERDICT_LIVE);
}

Test(mark, a_pointer_behind_the_exact_size_does_not_keep_its_block)
{
    static const size_t sizes[] = {1, 8, 20, 100, 1000, 4097, 14000, 300001};
    for (unsigned i = 0; i < CRN_COUNT_OF(sizes); i++) {
        char *block = (char *)block_of(sizes[i]);
        memset(block, 'x', sizes[i]);
        *maker_global(&maker) = (uintptr_t)block + sizes[i]; /* it still lies in the size class */
    }
    mark();
    cr_assert_eq(maker.mark.suspect_count, CRN_COUNT_OF(sizes));
}

Test(mark, it_does_where_the_program_asked_for_the_usable_size)
{
    char *block = (char *)block_of(100), *outside = maker_outside(&maker, 90);
    crn_asked_note(&maker.heap.heap.asked, (uintptr_t)block);
    crn_asked_note(&maker.heap.heap.asked, (uintptr_t)outside);
    *maker_global(&maker) = (uintptr_t)block + 111;
    *maker_global(&maker) = (uintptr_t)outside + 95;
    mark();
    assert_verdict(&maker, block, CRN_VERDICT_LIVE);
    assert_verdict(&maker, outside, CRN_VERDICT_LIVE);
}

Test(mark, a_pointer_behind_the_count_of_an_empty_array_keeps_it)
{
    uintptr_t *empty = block_of(8), *one = block_of(8);
    *empty = 0;
    *one = 1;
    *maker_global(&maker) = (uintptr_t)(empty + 1);
    *maker_global(&maker) = (uintptr_t)(one + 1);
    mark();
    assert_verdict(&maker, empty, CRN_VERDICT_LIVE);
    assert_verdict(&maker, one, CRN_VERDICT_LOST);
}

Test(mark, a_tagged_pointer_keeps_its_block)
{
    uintptr_t *low = block_of(64), *high = block_of(64);
    *maker_global(&maker) = (uintptr_t)low | 7;
    *maker_global(&maker) = (uintptr_t)high | (uintptr_t)0xabcd << 48;
    mark();
    assert_verdict(&maker, low, CRN_VERDICT_LIVE);
    assert_verdict(&maker, high, CRN_VERDICT_LIVE);
}

Test(mark, the_slack_behind_the_exact_size_is_read_too)
{
    uintptr_t *holder = block_of(4097), *held = block_of(64);
    holder[5120 / 8 - 1] = (uintptr_t)held;
    *maker_global(&maker) = (uintptr_t)holder;
    mark();
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
}

Test(mark, a_freed_block_holds_nothing)
{
    unsigned class_index;
    uintptr_t *freed = block_of(64), *held = block_of(64);
    freed[0] = (uintptr_t)held;
    *maker_global(&maker) = (uintptr_t)freed;
    crn_record_clear(crn_index_slot(&maker.heap.heap.index, (uintptr_t)freed, &class_index));
    mark();
    assert_verdict(&maker, freed, CRN_VERDICT_COUNT);
    assert_verdict(&maker, held, CRN_VERDICT_LOST);
}

Test(mark, a_zero_size_block_is_lost_and_found_like_any_other)
{
    uintptr_t *kept = block_of(0), *lost = block_of(0);
    *maker_global(&maker) = (uintptr_t)kept;
    mark();
    assert_verdict(&maker, kept, CRN_VERDICT_LIVE);
    assert_leak(&maker, lost, CRN_VERDICT_LOST, true);
    cr_assert(group_of(CRN_VERDICT_LOST)->bytes == 0 && group_of(CRN_VERDICT_LOST)->blocks == 1);
}

Test(mark, a_block_outside_the_region_takes_part)
{
    uintptr_t *kept = maker_outside(&maker, 96), *lost = maker_outside(&maker, 96);
    uintptr_t *held = block_of(32), *owned = block_of(32);
    *maker_global(&maker) = (uintptr_t)kept + 95;
    kept[1] = (uintptr_t)held;
    lost[1] = (uintptr_t)owned;
    mark();
    assert_verdict(&maker, kept, CRN_VERDICT_LIVE);
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
    assert_leak(&maker, lost, CRN_VERDICT_LOST, true);
    assert_leak(&maker, owned, CRN_VERDICT_LOST, false);
}

Test(mark, a_page_that_cannot_be_read_is_left_out)
{
    char *block = (char *)block_of(5 * CRN_PAGE_BYTES);
    uintptr_t *before = block_of(64), *after = block_of(64);
    uintptr_t hole = crn_align_up((uintptr_t)block + CRN_PAGE_BYTES, CRN_PAGE_BYTES);
    *(uintptr_t *)(hole - 8) = (uintptr_t)before;
    *(uintptr_t *)(hole + CRN_PAGE_BYTES) = (uintptr_t)after;
    cr_assert(mprotect((void *)hole, CRN_PAGE_BYTES, PROT_NONE) == 0);
    maker.unreadable[maker.snap.unreadable_count++] =
        (struct crn_unreadable){.start = hole, .end = hole + CRN_PAGE_BYTES};
    *maker_global(&maker) = (uintptr_t)block;
    mark();
    assert_verdict(&maker, before, CRN_VERDICT_LIVE);
    assert_verdict(&maker, after, CRN_VERDICT_LIVE);
}

/* A global page without access whose word, at its end or in its middle, leads to a block. */
static uintptr_t *hidden_word(size_t bytes, size_t offset)
{
    char *hidden =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uintptr_t *held = block_of(64);
    cr_assert(hidden != MAP_FAILED);
    memset(hidden, 0, bytes);
    memcpy(hidden + offset, &held, sizeof held);
    cr_assert(mprotect(hidden, bytes, PROT_NONE) == 0);
    maker.roots[maker.snap.root_count++] = (struct crn_root){
        .start = (uintptr_t)hidden, .end = (uintptr_t)hidden + bytes, .step = 4};
    maker.unreadable[maker.snap.unreadable_count++] = (struct crn_unreadable){
        .start = (uintptr_t)hidden, .end = (uintptr_t)hidden + bytes, .how = CRN_READ_FORCED};
    maker.snap.window = crn_window_create(&maker.snap.arena);
    return held;
}

Test(mark, a_page_without_access_is_read_by_copying)
{
    uintptr_t *held = hidden_word(CRN_PAGE_BYTES, CRN_PAGE_BYTES - 8);
    mark();
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
    cr_assert_null(crn_snap_unknown_holder(&maker.snap));
}

Test(mark, a_word_that_begins_in_one_copy_and_ends_in_the_next_counts)
{
    enum { PIECE_BYTES = 64 * 1024 };
    uintptr_t *held = hidden_word(4 * PIECE_BYTES, PIECE_BYTES - 4);
    mark();
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
}

Test(mark, a_page_that_nobody_can_copy_makes_leaks_likely)
{
    uintptr_t *lost = block_of(64);
    uintptr_t *held = hidden_word(CRN_PAGE_BYTES, 0);
    munmap((void *)maker.unreadable[0].start, CRN_PAGE_BYTES);
    mark();
    assert_verdict(&maker, lost, CRN_VERDICT_LOST);
    assert_verdict(&maker, held, CRN_VERDICT_LOST);
    cr_assert_eq(maker.mark.groups[0].confidence, CRN_LIKELY);
}

static char *shared_map(int *fd)
{
    *fd = memfd_create("shared", 0);
    cr_assert(*fd >= 0 && ftruncate(*fd, 4 * CRN_PAGE_BYTES) == 0);
    char *shared =
        mmap(NULL, 4 * CRN_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    cr_assert(shared != MAP_FAILED);
    maker.shared[maker.snap.shared_count++] =
        (struct crn_shared){.start = (uintptr_t)shared,
                            .end = (uintptr_t)shared + 4 * CRN_PAGE_BYTES,
                            .contents_end = UINTPTR_MAX};
    maker.snap.window = crn_window_create(&maker.snap.arena);
    return shared;
}

Test(mark, what_another_mapping_wrote_to_shared_memory_holds)
{
    int fd;
    uintptr_t *held = block_of(64);
    char *shared = shared_map(&fd);
    cr_assert(pwrite(fd, &held, sizeof held, 2 * CRN_PAGE_BYTES) == sizeof held);
    maker.roots[maker.snap.root_count++] = (struct crn_root){.start = (uintptr_t)shared,
                                                             .end = maker.shared[0].end,
                                                             .step = 8,
                                                             .must_be_sparse = true,
                                                             .is_shared = true};
    mark();
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
    close(fd);
}

Test(mark, a_shared_page_that_is_served_is_not_touched)
{
    int fd;
    uintptr_t *held = block_of(64);
    char *shared = shared_map(&fd);
    cr_assert(pwrite(fd, &held, sizeof held, 0) == sizeof held);
    maker.shared[0].is_served_minor = true;
    maker.roots[maker.snap.root_count++] = (struct crn_root){.start = (uintptr_t)shared,
                                                             .end = maker.shared[0].end,
                                                             .step = 8,
                                                             .must_be_sparse = true,
                                                             .is_shared = true};
    mark();
    assert_verdict(&maker, held, CRN_VERDICT_LOST);
    cr_assert_eq(maker.mark.groups[0].confidence, CRN_LIKELY);
    close(fd);
}
