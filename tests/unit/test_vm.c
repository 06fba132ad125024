/*
 * Our own memory: found again however much of it there is, and no more of it than is used.
 */
#include "make_heap.h"
#include "base/vm.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static struct crn_range own[CRN_VM_OWN_MAX];
static size_t own_count;

static bool is_own(const void *start, size_t bytes)
{
    uintptr_t from = (uintptr_t)start;
    for (size_t i = 0; i < own_count; i++)
        if (own[i].start <= from && from + bytes <= own[i].end)
            return true;
    return false;
}

/* The size of the address space, in bytes. */
static size_t mapped_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    size_t pages = 0;
    cr_assert(file != NULL && fscanf(file, "%zu", &pages) == 1);
    fclose(file);
    return pages * CRN_PAGE_BYTES;
}

Test(vm, all_of_it_is_known_however_many_mappings_there_are)
{
    enum { MANY = 20000 };
    static void *mapped[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        mapped[i] = crn_vm_map(1 + i % 3 * 4096);
        cr_assert_not_null(mapped[i]);
        *(char *)mapped[i] = 1;
    }
    for (unsigned i = 0; i < MANY; i += 2)
        crn_vm_unmap(mapped[i], 1 + i % 3 * 4096);
    own_count = crn_vm_own_ranges(own);
    for (unsigned i = 1; i < MANY; i += 2)
        cr_assert(is_own(mapped[i], 1 + i % 3 * 4096));
    cr_assert_not(is_own(&own_count, 1));
    void *theirs = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_not(is_own(theirs, 1));
}

Test(vm, a_span_takes_no_address_space_before_it_is_used)
{
    struct crn_span span, passing;
    size_t before = mapped_bytes();
    cr_assert(crn_span_init(&span, (size_t)1 << 36));
    cr_assert(crn_span_init_passing(&passing, (size_t)1 << 36));
    cr_assert_leq(mapped_bytes(), before + (1 << 20));
    cr_assert(crn_span_ensure(&span, 100000) && crn_span_ensure(&passing, 100000));
    span.base[99999] = passing.base[99999] = 1;
    cr_assert(crn_span_ensure(&span, 10000000));
    cr_assert(span.base[99999] == 1 && span.base[9999999] == 0);
    own_count = crn_vm_own_ranges(own);
    cr_assert(is_own(span.base, span.committed) && is_own(passing.base, passing.committed));
    crn_span_fini(&passing);
    crn_span_fini(&span);
    cr_assert(span.base == NULL && !crn_span_ensure(&span, 1));
}

Test(vm, a_span_grows_no_further_than_it_was_made)
{
    struct crn_span span;
    cr_assert(crn_span_init(&span, 1 << 20));
    cr_assert(crn_span_ensure(&span, 1 << 20) && !crn_span_ensure(&span, (1 << 20) + 1));
}

Test(vm, a_span_that_the_kernel_refuses_stays_as_it_is)
{
    struct crn_span span;
    struct rlimit limit = {mapped_bytes() + ((rlim_t)64 << 20), RLIM_INFINITY};
    cr_assert(crn_span_init(&span, (size_t)1 << 36) && crn_span_ensure(&span, 1000));
    span.base[999] = 1;
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    cr_assert_not(crn_span_ensure(&span, (size_t)128 << 20));
    cr_assert(crn_span_ensure(&span, (size_t)32 << 20) && span.base[999] == 1);
}

/* Growers that race: each finds all that it asked for, and nobody's words are lost. */
enum { GROWERS = 4, GROWN_WORDS = 1 << 21 };
static struct crn_span grown;

static void *grow(void *which)
{
    for (size_t i = (size_t)which; i < GROWN_WORDS; i += GROWERS) {
        if (!crn_span_ensure(&grown, (i + 1) * sizeof(size_t)))
            return NULL;
        ((size_t *)grown.base)[i] = i + 1;
    }
    return which;
}

Test(vm, threads_may_grow_a_span_at_once)
{
    pthread_t threads[GROWERS];
    cr_assert(crn_span_init(&grown, GROWN_WORDS * sizeof(size_t)));
    for (size_t i = 0; i < GROWERS; i++)
        pthread_create(&threads[i], NULL, grow, (void *)i);
    for (size_t i = 0; i < GROWERS; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        cr_assert_eq((size_t)result, i);
    }
    for (size_t i = 0; i < GROWN_WORDS; i++)
        cr_assert_eq(((size_t *)grown.base)[i], i + 1);
}

Test(vm, passing_spans_never_overlap_however_often_they_come_and_go)
{
    enum { KEPT = 20, ROUNDS = 2000 };
    struct crn_span kept[KEPT], span;
    for (unsigned i = 0; i < KEPT; i++) {
        cr_assert(crn_span_init_passing(&kept[i], (size_t)1 << 33));
        cr_assert(crn_span_ensure(&kept[i], 8));
        *(size_t *)kept[i].base = i;
    }
    for (unsigned round = 0; round < ROUNDS; round++) { /* sixteen times round the area */
        cr_assert(crn_span_init_passing(&span, (size_t)1 << 33));
        for (unsigned i = 0; i < KEPT; i++)
            cr_assert(span.base + span.reserved <= kept[i].base ||
                      kept[i].base + kept[i].reserved <= span.base);
        cr_assert(crn_span_ensure(&span, 8));
        *(size_t *)span.base = round;
        crn_span_fini(&span);
    }
    for (unsigned i = 0; i < KEPT; i++)
        cr_assert_eq(*(size_t *)kept[i].base, i);
}

Test(vm, mappings_never_overlap_when_addresses_begin_anew)
{
    enum { KEPT = 1000, ROUNDS = 200 };
    static char *kept[KEPT];
    for (unsigned i = 0; i < KEPT; i++) {
        kept[i] = crn_vm_map(65536);
        kept[i][65535] = (char)i;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        const size_t bytes = (size_t)8 << 30;
        char *large = crn_vm_map(bytes), *small = crn_vm_map(4096);
        cr_assert(large != NULL && small != NULL);
        small[0] = large[bytes - 1] = 1;
        crn_vm_unmap(large, bytes);
        crn_vm_unmap(small, 4096);
    }
    for (unsigned i = 0; i < KEPT; i++)
        cr_assert_eq(kept[i][65535], (char)i);
}

Test(vm, what_the_program_maps_in_our_window_is_not_ours)
{
    struct crn_span span;
    cr_assert(crn_span_init(&span, 1 << 24) && crn_span_ensure(&span, 1));
    struct crn_span behind;
    cr_assert(crn_span_init(&behind, 4096));
    char *theirs = span.base + (8 << 20);
    cr_assert(crn_vm_touches_window((uintptr_t)theirs, 4096));
    own_count = crn_vm_own_ranges(own);
    cr_assert(is_own(theirs, 4096));
    crn_vm_note_foreign((uintptr_t)theirs, 4096);
    own_count = crn_vm_own_ranges(own);
    cr_assert_not(is_own(theirs, 4096));
    cr_assert(is_own(theirs - 4096, 4096) && is_own(theirs + 4096, 4096));
    crn_vm_note_foreign_gone((uintptr_t)theirs, 4096);
    own_count = crn_vm_own_ranges(own);
    cr_assert(is_own(theirs, 4096));
}

Test(vm, what_was_used_is_counted)
{
    size_t before = crn_vm_used_bytes();
    crn_vm_peak_reset();
    void *mapped = crn_vm_map(100000);
    cr_assert_eq(crn_vm_used_bytes(), before + 102400);
    crn_vm_unmap(mapped, 100000);
    struct crn_span span;
    cr_assert(crn_span_init_passing(&span, 1 << 20) && crn_span_ensure(&span, 1));
    cr_assert_eq(crn_vm_used_bytes(), before + span.committed);
    crn_span_fini(&span);
    cr_assert_eq(crn_vm_used_bytes(), before);
    cr_assert_eq(crn_vm_peak_bytes(), before + 102400);
}
