/*
 * The index knows every block by its start and by any address inside, through pages that change
 * their class.
 */
#include "make_heap.h"
#include "base/sys.h"

#include <pthread.h>

static struct maker_heap maker;
static struct crn_index *const index_ = &maker.heap.index;

static void setup(void)
{
    maker_heap_init(&maker, 4096);
}

static void teardown(void)
{
    maker_heap_fini(&maker);
}

TestSuite(index, .init = setup, .fini = teardown);

static struct crn_record *slot_of(uintptr_t address)
{
    unsigned class_index;
    struct crn_record *record = crn_index_slot(index_, address, &class_index);
    return record != NULL && crn_record_is_live(record) ? record : NULL;
}

static bool finds(uintptr_t address, uintptr_t start, size_t size)
{
    struct crn_block block;
    return crn_index_find(index_, address, &block) && block.start == start && block.size == size &&
           block.usable == crn_classes[crn_class_of(size + !size)].bytes;
}

static bool finds_nothing(uintptr_t address)
{
    struct crn_block block;
    return !crn_index_find(index_, address, &block);
}

Test(index, an_empty_index_finds_nothing)
{
    cr_assert(slot_of((uintptr_t)maker.memory) == NULL);
    cr_assert(finds_nothing((uintptr_t)maker.memory + 100));
    cr_assert(finds_nothing(0) && finds_nothing(UINTPTR_MAX));
    cr_assert(crn_index_is_valid(index_, maker_end(&maker)));
}

Test(index, an_index_without_a_region_has_nothing_inside)
{
    struct crn_index none;
    struct crn_block block;
    cr_assert(crn_index_init(&none, 0, 0) == CRN_OK);
    cr_assert_not(crn_index_is_inside(&none, 0));
    cr_assert_not(crn_index_is_inside(&none, 4096));
    cr_assert_not(crn_index_find(&none, 4096, &block));
}

Test(index, a_zero_size_block_is_found_by_its_own_address)
{
    uintptr_t start = (uintptr_t)maker_block(&maker, 0);
    cr_assert_not_null(slot_of(start));
    cr_assert(finds(start, start, 0));
    cr_assert(finds(start + 15, start, 0));
}

Test(index, a_record_keeps_what_was_written)
{
    uintptr_t start = maker_place(&maker, 100);
    struct crn_record *record = crn_index_slot_for(index_, start, crn_class_of(100), 1);
    crn_record_write(record, 100, 0xfffffff1, 0xfffffff2, CRN_META_STAMP_MASK);
    cr_assert(crn_record_size(record) == 100 && record->stack == 0xfffffff1 &&
              record->coro == 0xfffffff2 && crn_meta_stamp(record->meta) == CRN_META_STAMP_MASK &&
              crn_record_is_live(record));
    crn_record_write(record, CRN_META_SIZE_MASK, 0, 0, 0);
    cr_assert(crn_record_size(record) == CRN_META_SIZE_MASK && crn_meta_stamp(record->meta) == 0);
    crn_record_clear(record);
    cr_assert_not(crn_record_is_live(record));
}

Test(index, a_record_of_a_freed_block_says_which_it_was_and_comes_not_back)
{
    uintptr_t start = maker_place(&maker, 100);
    struct crn_record *record = maker_record(&maker, start, 100, 7);
    crn_record_clear(record);
    cr_assert_not(crn_record_is_live(record));
    cr_assert(record->meta != 0 && crn_record_size(record) == 100 && record->stack == 7);
    cr_assert_eq(crn_record_make_special(record), 0);
    cr_assert_not(crn_record_is_live(record));
    cr_assert(finds_nothing(start));
}

Test(index, a_page_of_another_class_forgets_what_was_freed_there)
{
    uintptr_t page = maker_pages(&maker, 1);
    for (unsigned i = 0; i < 4; i++)
        crn_record_clear(maker_record(&maker, page + i * 1024, 1024, 3));
    maker_record(&maker, page, 512, 4);
    unsigned class_index;
    for (unsigned i = 1; i < 8; i++)
        cr_assert_eq(crn_index_slot(index_, page + i * 512, &class_index)->meta, 0);
}

Test(index, a_block_that_is_resized_where_it_is_stays_special_and_on_record)
{
    uintptr_t start = maker_place(&maker, 100000);
    struct crn_record *record = maker_record(&maker, start, 100000, 7);
    cr_assert_eq(crn_record_make_special(record), record->meta);
    cr_assert(crn_index_slot_for(index_, start, crn_class_of(160000), 1) == record);
    cr_assert_eq(crn_record_replace(record, 150000, 8, 5, 2), 0);
    cr_assert(crn_record_size(record) == 150000 && record->stack == 8 && record->coro == 5 &&
              crn_meta_stamp(record->meta) == 2 && (record->meta & CRN_META_SPECIAL) != 0);
    cr_assert(finds(start, start, 150000));
    cr_assert(crn_index_slot_for(index_, start, crn_class_of(60000), 1) == record);
    cr_assert_eq(crn_record_replace(record, 60000, 8, 0, 2), 5);
    cr_assert(finds(start, start, 60000));
}

/* One thread resizes a block again and again, another one flags it: it is there all the time. */
static void *resize_on_and_on(void *argument)
{
    struct crn_record *record = argument;
    for (unsigned i = 1; i <= 2000000; i++)
        crn_record_replace(record, 100 + i % 12, i, 0, 1);
    return NULL;
}

Test(index, a_record_is_never_absent_while_its_block_is_resized)
{
    pthread_t thread;
    struct crn_record *record = maker_record(&maker, maker_place(&maker, 100), 100, 0);
    pthread_create(&thread, NULL, resize_on_and_on, record);
    for (uint32_t seen = 0; seen < 2000000; seen = *(volatile uint32_t *)&record->stack) {
        uint64_t meta = crn_record_make_special(record);
        cr_assert((meta & CRN_META_LIVE) != 0 && (meta & CRN_META_SIZE_MASK) - 100 < 12);
    }
    pthread_join(thread, NULL);
    cr_assert((record->meta & CRN_META_SPECIAL) != 0);
}

Test(index, small_blocks_of_every_class_are_found_by_start_and_inside)
{
    for (unsigned class_index = 0; !crn_classes[class_index].is_large; class_index++) {
        size_t bytes = crn_classes[class_index].bytes;
        uintptr_t start[64];
        for (unsigned i = 0; i < 64; i++)
            start[i] = (uintptr_t)maker_block(&maker, bytes - i % 16);
        for (unsigned i = 0; i < 64; i++) {
            cr_assert_not_null(slot_of(start[i]), "class %zu, block %u", bytes, i);
            for (size_t offset = 0; offset<bytes; offset += bytes> 256 ? 61 : 1) {
                cr_assert(finds(start[i] + offset, start[i], bytes - i % 16),
                          "class %zu, block %u, offset %zu", bytes, i, offset);
                cr_assert(offset == 0 || slot_of(start[i] + offset) == NULL);
            }
            cr_assert(finds(start[i] + bytes - 1, start[i], bytes - i % 16));
        }
    }
    cr_assert(crn_index_is_valid(index_, maker.next));
}

Test(index, a_cleared_block_is_gone_and_its_neighbours_stay)
{
    static const size_t sizes[] = {16, 48, 640, 1536, 3584, 5120, 14336};
    for (unsigned k = 0; k < CRN_COUNT_OF(sizes); k++) {
        uintptr_t start[9];
        for (unsigned i = 0; i < 9; i++)
            start[i] = (uintptr_t)maker_block(&maker, sizes[k]);
        for (unsigned i = 0; i < 9; i += 2)
            crn_record_clear(slot_of(start[i]));
        for (unsigned i = 0; i < 9; i++) {
            for (size_t offset = 0; offset < sizes[k]; offset += 8)
                cr_assert(i % 2 == 0 ? finds_nothing(start[i] + offset)
                                     : finds(start[i] + offset, start[i], sizes[k]),
                          "class %zu, block %u, offset %zu", sizes[k], i, offset);
        }
    }
    cr_assert(crn_index_is_valid(index_, maker.next));
}

Test(index, the_phase_of_a_page_is_where_its_first_block_starts)
{
    /* 48 bytes: 4096 = 85 * 48 + 16, so the second page begins 32 bytes into a block. */
    uintptr_t first = maker_pages(&maker, 3);
    uintptr_t across = first + 85 * 48, second = across + 48;
    maker_record(&maker, second + 10 * 48, 48, 0); /* the page learns its phase from any block */
    maker_record(&maker, second, 48, 0);
    maker_record(&maker, across, 48, 0);
    cr_assert_eq(crn_page_phase(index_->pages[(second - index_->base) >> 12]), 32);
    cr_assert(finds(first + 4096 + 31, across, 48));
    cr_assert(finds(second, second, 48) && finds(second + 10 * 48 + 47, second + 10 * 48, 48));
    cr_assert_not_null(slot_of(second));
    cr_assert(slot_of(first + 4096) == NULL && slot_of(first + 4096 + 16) == NULL);
}

Test(index, an_address_below_the_phase_is_not_a_start_even_when_the_wrapped_offset_divides)
{
    for (size_t bytes = 16; bytes <= 3584; bytes = crn_classes[crn_class_of(bytes + 1)].bytes) {
        uintptr_t page = maker_pages(&maker, 1);
        for (unsigned phase = 16; phase < bytes; phase += 16) {
            maker_record(&maker, page + phase, bytes, 0);
            for (unsigned below = 0; below < phase; below++)
                cr_assert(slot_of(page + below) == NULL, "class %zu, phase %u, offset %u", bytes,
                          phase, below);
            crn_record_clear(slot_of(page + phase));
        }
    }
}

Test(index, a_large_block_is_found_at_every_odd_offset_and_from_each_of_its_pages)
{
    static const size_t sizes[] = {14337, 16384, 20480, 100000, 1 << 20, 5000000};
    for (unsigned k = 0; k < CRN_COUNT_OF(sizes); k++) {
        size_t usable = crn_classes[crn_class_of(sizes[k])].bytes;
        for (unsigned odd = 0; odd < 64; odd += k < 4 ? 1 : 21) {
            uintptr_t page = maker.next;
            uintptr_t start = page + odd * 64;
            maker_record(&maker, start, sizes[k], 0);
            for (size_t offset = 0; offset < usable; offset += offset < 4096 ? 1023 : 4095)
                cr_assert(finds(start + offset, start, sizes[k]), "%zu at %u * 64, offset %zu",
                          sizes[k], odd, offset);
            cr_assert(finds(start + usable - 1, start, sizes[k]));
            cr_assert(finds_nothing(start + usable));
            cr_assert(odd == 0 || finds_nothing(start - 1));
            crn_record_clear(slot_of(start));
            cr_assert(finds_nothing(start + usable / 2));
        }
    }
}

Test(index, a_large_block_ends_where_the_next_one_begins)
{
    uintptr_t first = (uintptr_t)maker_block(&maker, 20000);
    uintptr_t second = (uintptr_t)maker_block(&maker, 20000);
    size_t usable = crn_classes[crn_class_of(20000)].bytes;
    for (uintptr_t at = first; at < second + usable + 64; at += 64)
        cr_assert(at < first + usable                    ? finds(at, first, 20000)
                  : at >= second && at < second + usable ? finds(at, second, 20000)
                                                         : finds_nothing(at));
}

Test(index, old_records_under_a_large_block_do_not_hide_it)
{
    uintptr_t pages = maker_pages(&maker, 6);
    for (unsigned i = 0; i < 5; i++) { /* a slab of small ones, freed again */
        uintptr_t small = pages + i * 4096 + 512;
        maker_record(&maker, small, 512, 0);
        crn_record_clear(slot_of(small));
    }
    maker_record(&maker, pages + 192, 20480, 0);
    for (size_t offset = 0; offset < 20480; offset += 64)
        cr_assert(finds(pages + 192 + offset, pages + 192, 20480), "%zu", offset);
}

Test(index, a_page_changes_its_class_and_forgets_the_old_geometry)
{
    uintptr_t page = maker_pages(&maker, 4);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned class_index = 0; !crn_classes[class_index].is_large; class_index++) {
            size_t bytes = crn_classes[class_index].bytes;
            maker_record(&maker, page, bytes, 0);
            cr_assert(finds(page + bytes - 1, page, bytes) && finds_nothing(page + bytes));
            cr_assert_eq(crn_page_class(index_->pages[(page - index_->base) >> 12]), class_index);
            crn_record_clear(slot_of(page));
        }
    }
    cr_assert(crn_index_is_valid(index_, maker.next));
}

Test(index, records_are_used_again_when_pages_change_class)
{
    uintptr_t page = maker_pages(&maker, 64);
    uint32_t made = 0;
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < 64; i++) {
            size_t bytes = (size_t)16 << ((round + i) % 8);
            maker_record(&maker, page + i * 4096, bytes, 0);
            crn_record_clear(slot_of(page + i * 4096));
        }
        if (round == 8)
            made = index_->records_made;
    }
    cr_assert_eq(index_->records_made, made);
    cr_assert(crn_index_is_valid(index_, maker.next));
}

Test(index, neighbouring_pages_of_different_classes_do_not_mix)
{
    uintptr_t pages = maker_pages(&maker, 8);
    static const size_t sizes[] = {16, 3072, 48, 4096, 112, 2560, 32, 64};
    for (unsigned i = 0; i < 8; i++) /* the last block that ends inside the page */
        maker_record(&maker, pages + i * 4096 + (4096 / sizes[i] - 1) * sizes[i], sizes[i], 0);
    for (unsigned i = 0; i < 8; i++) {
        uintptr_t start = pages + i * 4096 + (4096 / sizes[i] - 1) * sizes[i];
        for (uintptr_t at = pages + i * 4096; at < pages + (i + 1) * 4096; at += 16)
            cr_assert(at >= start && at < start + sizes[i] ? finds(at, start, sizes[i])
                                                           : finds_nothing(at),
                      "page %u, offset %zu", i, (size_t)(at & 4095));
    }
}

struct walk {
    uintptr_t last;
    size_t count, bytes, stop_after;
};

static bool walk_visit(const struct crn_block *block, void *user)
{
    struct walk *walk = user;
    cr_assert(block->start >= walk->last, "not ascending or overlapping");
    cr_assert(block->size <= block->usable && crn_record_is_live(block->record));
    walk->last = block->start + block->usable;
    walk->count++;
    walk->bytes += block->size;
    return walk->count != walk->stop_after;
}

Test(index, all_live_blocks_are_visited_once_in_ascending_order)
{
    struct maker_random random = maker_random_from(7);
    struct walk walk = {0, 0, 0, 0};
    size_t count = 0, bytes = 0;
    for (unsigned i = 0; i < 20000; i++) {
        size_t size =
            maker_below(&random, 50) == 0 ? maker_below(&random, 60000) : maker_below(&random, 200);
        if (maker.next + 100000 > maker_end(&maker))
            break;
        uintptr_t start = (uintptr_t)maker_block(&maker, size);
        if (maker_below(&random, 3) == 0) {
            crn_record_clear(slot_of(start));
            continue;
        }
        count++;
        bytes += size;
    }
    crn_index_for_each(index_, maker.next, walk_visit, &walk);
    cr_assert(walk.count == count && walk.bytes == bytes && count > 2000);
    cr_assert(crn_index_is_valid(index_, maker.next));
}

Test(index, a_visit_ends_when_the_visitor_says_so)
{
    struct walk walk = {0, 0, 0, 3};
    for (unsigned i = 0; i < 10; i++)
        maker_block(&maker, 64);
    crn_index_for_each(index_, maker_end(&maker), walk_visit, &walk);
    cr_assert_eq(walk.count, 3);
}

Test(index, it_is_not_valid_when_a_record_is_larger_than_its_class)
{
    uintptr_t start = (uintptr_t)maker_block(&maker, 64);
    crn_record_write(slot_of(start), 65, 0, 0, 1);
    cr_assert_not(crn_index_is_valid(index_, maker.next));
}

Test(index, it_is_not_valid_when_a_block_reaches_beyond_the_end)
{
    maker_block(&maker, 8192);
    cr_assert(crn_index_is_valid(index_, maker.next));
    cr_assert_not(crn_index_is_valid(index_, maker.next - 4096));
}

Test(index, it_is_not_valid_when_two_pages_share_records)
{
    maker_block(&maker, 64);
    maker_block(&maker, 128);
    index_->pages[1] = index_->pages[0];
    cr_assert_not(crn_index_is_valid(index_, maker.next));
}

Test(index, when_records_run_out_the_page_is_refused_and_the_rest_stays)
{
    /* A small region has room for a record every 64 bytes. */
    uintptr_t first = (uintptr_t)maker_block(&maker, 16);
    unsigned refused = 0;
    while (maker.next + 4096 <= maker_end(&maker)) {
        uintptr_t start = maker_place(&maker, 16);
        struct crn_record *record = crn_index_slot_for(index_, start, 0, 1);
        refused += record == NULL;
        if (record != NULL)
            crn_record_write(record, 16, 0, 0, 1);
    }
    cr_assert(refused > 0 && index_->full);
    cr_assert(finds(first, first, 16));
}

Test(index, after_a_fork_in_the_middle_of_a_change_the_lists_are_forgotten)
{
    uintptr_t page = maker_pages(&maker, 1);
    maker_record(&maker, page, 64, 0);
    crn_record_clear(slot_of(page));
    maker_record(&maker, page, 256, 0);
    crn_lock_acquire(&index_->lock, 1);
    crn_index_after_fork(index_);
    maker_record(&maker, maker_pages(&maker, 1), 64, 0);
    cr_assert(crn_index_is_valid(index_, maker.next));
}

/*
 * Threads that allocate and free by the discipline of index.h, from slabs that one thread gives
 * back and another takes with a new class: write only between malloc and free, clear before free.
 */
enum { THREADS = 4, SLABS = 24, SLAB_PAGES = 7, ROUNDS = 200000, HELD = 256 };

static pthread_mutex_t slabs_lock = PTHREAD_MUTEX_INITIALIZER;
static uintptr_t slabs_free[SLABS];
static unsigned slabs_free_count;
static _Atomic bool is_over;

struct worker {
    struct maker_random random;
    unsigned number;
    uintptr_t slab;
    unsigned class_index, next, slots;
    struct {
        uintptr_t start;
        size_t size;
    } held[HELD];
    unsigned held_count;
    unsigned mistakes;
};

static void worker_free_all(struct worker *worker)
{
    while (worker->held_count > 0) {
        unsigned last = --worker->held_count, class_index = 0;
        struct crn_record *record = crn_index_slot(index_, worker->held[last].start, &class_index);
        struct crn_block block;
        bool is_right = record != NULL && class_index == worker->class_index &&
                        crn_record_size(record) == worker->held[last].size &&
                        record->stack == worker->number + last;
        is_right = is_right && crn_index_find(index_, worker->held[last].start + 9, &block) &&
                   block.start == worker->held[last].start && block.record == record;
        worker->mistakes += !is_right;
        if (record != NULL)
            crn_record_clear(record);
    }
}

static void worker_change_slab(struct worker *worker)
{
    worker_free_all(worker);
    pthread_mutex_lock(&slabs_lock);
    unsigned which = (unsigned)maker_below(&worker->random, slabs_free_count);
    uintptr_t fresh = slabs_free[which];
    slabs_free[which] = slabs_free[slabs_free_count - 1];
    if (worker->slab != 0)
        slabs_free[slabs_free_count - 1] = worker->slab;
    else
        slabs_free_count--;
    pthread_mutex_unlock(&slabs_lock);
    worker->slab = fresh;
    worker->class_index = (unsigned)maker_below(&worker->random, 40);
    if (crn_classes[worker->class_index].bytes > SLAB_PAGES * CRN_PAGE_BYTES - 64)
        worker->class_index = 3;
    worker->slots = crn_classes[worker->class_index].is_large
                        ? 1
                        : SLAB_PAGES * CRN_PAGE_BYTES / crn_classes[worker->class_index].bytes;
    worker->next = 0;
}

static void *worker_run(void *argument)
{
    struct worker *worker = argument;
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (worker->slab == 0 || worker->next == worker->slots || worker->held_count == HELD)
            worker_change_slab(worker);
        const struct crn_class *class = &crn_classes[worker->class_index];
        for (unsigned burst = 0;
             burst < 8 && worker->next < worker->slots && worker->held_count < HELD; burst++) {
            uintptr_t start = worker->slab + worker->next++ * class->bytes;
            if (class->is_large)
                start += maker_below(&worker->random,
                                     1 + (SLAB_PAGES * CRN_PAGE_BYTES - class->bytes) / 64) *
                         64;
            size_t size = class->bytes - maker_below(&worker->random, 16);
            struct crn_record *record = crn_index_slot_for(index_, start, worker->class_index, 1);
            if (record == NULL || crn_record_is_live(record)) {
                worker->mistakes++;
                continue;
            }
            crn_record_write(record, size, worker->number + worker->held_count, 0, 1);
            worker->held[worker->held_count].start = start;
            worker->held[worker->held_count++].size = size;
        }
    }
    worker_free_all(worker);
    return NULL;
}

/* Looks at everybody's blocks meanwhile: whatever it gets is inside the index and whole. */
static void *onlooker_run(void *argument)
{
    struct worker *worker = argument;
    while (!is_over) {
        struct crn_block block;
        uintptr_t address = (uintptr_t)maker.memory +
                            maker_below(&worker->random, SLABS * SLAB_PAGES * CRN_PAGE_BYTES);
        if (crn_index_find(index_, address, &block))
            worker->mistakes += block.start > address || address - block.start >= block.usable ||
                                block.start < (uintptr_t)maker.memory ||
                                block.record < index_->records ||
                                block.record >= index_->records + index_->records_made;
    }
    return NULL;
}

Test(index, threads_that_keep_to_the_discipline_never_see_each_others_records)
{
    static struct worker workers[THREADS + 1];
    pthread_t threads[THREADS + 1];
    for (unsigned i = 0; i < SLABS; i++)
        slabs_free[slabs_free_count++] = maker_pages(&maker, SLAB_PAGES);
    for (unsigned i = 0; i <= THREADS; i++) {
        workers[i].random = maker_random_from(i + 1);
        workers[i].number = (i + 1) << 16;
        pthread_create(&threads[i], NULL, i < THREADS ? worker_run : onlooker_run, &workers[i]);
    }
    for (unsigned i = 0; i <= THREADS; i++) {
        is_over = i == THREADS;
        pthread_join(threads[i], NULL);
        cr_assert_eq(workers[i].mistakes, 0, "thread %u: %u mistakes", i, workers[i].mistakes);
    }
    struct walk walk = {0, 0, 0, 0};
    crn_index_for_each(index_, maker.next, walk_visit, &walk);
    cr_assert(walk.count == 0 && crn_index_is_valid(index_, maker.next));
    cr_assert_not(index_->full);
}
