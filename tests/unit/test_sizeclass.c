/*
 * The computed size classes are jemalloc's.
 */
#include <jemalloc/jemalloc.h>

#include <stdio.h>

#include "heap/sizeclass.h"
#include "make_heap.h"

/* As the shim asks: sizes are rounded up to 16 first. */
static size_t jemalloc_class(size_t bytes)
{
    return nallocx(crn_align_up(bytes, 16), 0);
}

Test(sizeclass, every_size_to_64_kib_has_the_class_that_jemalloc_gives_it)
{
    for (size_t bytes = 1; bytes <= 64 * 1024; bytes++)
        cr_assert(crn_classes[crn_class_of(bytes)].bytes == jemalloc_class(bytes),
                  "%zu: %zu, not %zu", bytes, (size_t)crn_classes[crn_class_of(bytes)].bytes,
                  jemalloc_class(bytes));
}

Test(sizeclass, large_sizes_have_the_class_that_jemalloc_gives_them)
{
    struct maker_random random = maker_random_from(1);
    for (unsigned i = 0; i < 200000; i++) {
        size_t bytes = maker_random(&random) >> (8 + maker_below(&random, 32));
        if (bytes == 0 || bytes > (size_t)1 << 40)
            continue;
        cr_assert(crn_classes[crn_class_of(bytes)].bytes == jemalloc_class(bytes), "%zu", bytes);
    }
}

Test(sizeclass, a_class_is_its_own_class_and_one_byte_more_is_the_next)
{
    for (unsigned i = 0; i < CRN_CLASS_COUNT; i++) {
        cr_assert(crn_class_of(crn_classes[i].bytes) == i);
        cr_assert(i + 1 == CRN_CLASS_COUNT || crn_class_of(crn_classes[i].bytes + 1) == i + 1);
        cr_assert(jemalloc_class(crn_classes[i].bytes) == crn_classes[i].bytes);
    }
}

Test(sizeclass, the_last_class_is_a_tebibyte)
{
    cr_assert_eq(crn_classes[CRN_CLASS_COUNT - 1].bytes, (uint64_t)1 << 40);
}

Test(sizeclass, the_reciprocal_divides_every_offset_in_a_page)
{
    for (unsigned i = 0; i < CRN_CLASS_COUNT; i++)
        for (uint64_t offset = 0; offset < 1 << 14; offset++)
            cr_assert(crn_classes[i].bytes > 1 << 14 ||
                      offset * crn_classes[i].reciprocal >> 32 == offset / crn_classes[i].bytes);
}

Test(sizeclass, large_blocks_are_those_that_jemalloc_gives_pages_of_their_own)
{
    unsigned small_count = 0;
    size_t row_bytes = sizeof small_count, largest = 0, bytes_bytes = sizeof largest;
    char name[64];
    cr_assert(mallctl("arenas.nbins", &small_count, &row_bytes, NULL, 0) == 0);
    snprintf(name, sizeof name, "arenas.bin.%u.size", small_count - 1);
    cr_assert(mallctl(name, &largest, &bytes_bytes, NULL, 0) == 0);
    cr_assert_eq(largest, (size_t)CRN_CLASS_SMALL_MAX_BYTES);
    for (unsigned i = 0; i < CRN_CLASS_COUNT; i++)
        cr_assert(crn_classes[i].is_large == (crn_classes[i].bytes > largest));
}
