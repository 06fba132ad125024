/*
 * Two looks at one process: what was called proven leaked must be leaked again.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "make_recording.h"
#include "record/reader.h"
#include "shim/launcher/ask/risen.h"

static struct maker first, second;

static void object_add(struct maker *maker, uint64_t address, uint64_t birth)
{
    struct crn_record_object *object = &maker->objects[maker->counts[CRN_SECTION_OBJECTS]++];
    *object = (struct crn_record_object){.address = address, .bytes = 64, .birth = birth};
}

static struct crn_risen compare(void)
{
    struct crn_recording recordings[2];
    struct maker *makers[] = {&first, &second};
    char message[256];
    for (int i = 0; i < 2; i++) {
        maker_finish(makers[i]);
        cr_assert_eq(crn_record_adopt(makers[i]->bytes, makers[i]->bytes_count, "made",
                                      &recordings[i], message, sizeof message),
                     CRN_OK, "%s", message);
    }
    struct crn_risen risen = crn_risen_find(&recordings[0], &recordings[1]);
    crn_record_close(&recordings[0]);
    crn_record_close(&recordings[1]);
    return risen;
}

/* The first look finds three blocks. */
static void three_make(void)
{
    maker_init(&first);
    maker_init(&second);
    maker_leak(&first, CRN_VERDICT_LOST, 3, 192);
    object_add(&first, 0x3000, 7);
    object_add(&first, 0x1000, 7);
    object_add(&first, 0x2000, 7);
}

Test(risen, nothing_has_where_all_is_listed_again, .init = three_make)
{
    maker_leak(&second, CRN_VERDICT_LOST, 4, 256)->confidence = CRN_LIKELY;
    object_add(&second, 0x1000, 7);
    object_add(&second, 0x2000, 5); /* births become earlier ones */
    object_add(&second, 0x3000, 7);
    object_add(&second, 0x4000, 9);
    struct crn_risen risen = compare();
    cr_assert(risen.is_known);
    cr_assert_eq(risen.blocks, 0u);
}

Test(risen, a_block_has_that_is_gone_and_one_that_is_another_now, .init = three_make)
{
    maker_leak(&second, CRN_VERDICT_LOST, 2, 128);
    object_add(&second, 0x1000, 8);
    object_add(&second, 0x2000, 7);
    struct crn_risen risen = compare();
    cr_assert(risen.is_known);
    cr_assert_eq(risen.blocks, 2u);
    cr_assert_eq(risen.bytes, 128u);
}

Test(risen, what_was_only_likely_may_come_back, .init = three_make)
{
    first.leaks[0].confidence = CRN_LIKELY;
    cr_assert_eq(compare().blocks, 0u);
}

Test(risen, nobody_knows_where_a_look_lists_not_all, .init = three_make)
{
    maker_leak(&second, CRN_VERDICT_LOST, 2, 128);
    object_add(&second, 0x1000, 7);
    cr_assert_not(compare().is_known);
}
