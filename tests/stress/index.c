/*
 * The block index: threads record and clear blocks side by side in the same pages, and pages change
 * their class, while another one looks blocks up.
 */
#include "stress.h"

#include "heap/index.h"

enum { PAGES = 64, ROUNDS = 300, CLASSES = 3 };

static struct crn_index heap_index;
static uintptr_t base;
static const unsigned class_bytes[CLASSES] = {64, 128, 256};
static pthread_barrier_t turn;

/* Each thread owns every fourth block of each page, as jemalloc might have given them out. */
static void record(unsigned thread, unsigned bytes, unsigned round)
{
    unsigned class_index = crn_class_of(bytes);
    for (unsigned page = 0; page < PAGES; page++) {
        for (unsigned slot = thread; slot < CRN_PAGE_BYTES / bytes; slot += STRESS_THREADS) {
            uintptr_t start = base + page * CRN_PAGE_BYTES + slot * bytes;
            struct crn_record *row =
                crn_index_slot_for(&heap_index, start, class_index, (int)thread + 1);
            STRESS_REQUIRE(row != NULL && !crn_record_is_live(row));
            crn_record_write(row, bytes - thread, slot + 1, thread, round + 1);
        }
    }
}

static void clear(unsigned thread, unsigned bytes)
{
    for (unsigned page = 0; page < PAGES; page++) {
        for (unsigned slot = thread; slot < CRN_PAGE_BYTES / bytes; slot += STRESS_THREADS) {
            uintptr_t start = base + page * CRN_PAGE_BYTES + slot * bytes;
            unsigned seen = 0;
            struct crn_record *row = crn_index_slot(&heap_index, start, &seen);
            STRESS_REQUIRE(row != NULL && seen == crn_class_of(bytes));
            STRESS_REQUIRE(crn_record_size(row) == bytes - thread && row->stack == slot + 1);
            crn_record_clear(row);
        }
    }
}

static void work(unsigned thread)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned bytes = class_bytes[round % CLASSES];
        record(thread, bytes, round);
        clear(thread, bytes);
        /* A page gets another class only when all its blocks are gone. */
        pthread_barrier_wait(&turn);
    }
}

int main(void)
{
    base = (uintptr_t)1 << 32;
    pthread_barrier_init(&turn, NULL, STRESS_THREADS);
    STRESS_REQUIRE(crn_index_init(&heap_index, base, (size_t)1 << 24) == CRN_OK);
    STRESS_REQUIRE(crn_index_cover(&heap_index, base + PAGES * CRN_PAGE_BYTES));
    stress_run(work);
    STRESS_REQUIRE(crn_index_is_valid(&heap_index, base + PAGES * CRN_PAGE_BYTES));
    return 0;
}
