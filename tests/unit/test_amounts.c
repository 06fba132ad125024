/*
 * Numbers with their units.
 */
#include "base/amounts.h"

#include <criterion/criterion.h>

static char text[CRN_AMOUNT_BYTES];

Test(amounts, numbers_have_commas)
{
    cr_assert_str_eq(crn_amount_number(text, 0), "0");
    cr_assert_str_eq(crn_amount_number(text, 999), "999");
    cr_assert_str_eq(crn_amount_number(text, 1000), "1,000");
    cr_assert_str_eq(crn_amount_number(text, UINT64_MAX), "18,446,744,073,709,551,615");
}

Test(amounts, words_have_a_plural)
{
    cr_assert_str_eq(crn_amount_count(text, 1, "block"), "1 block");
    cr_assert_str_eq(crn_amount_count(text, 0, "block"), "0 blocks");
    cr_assert_str_eq(crn_amount_count(text, 2, "process"), "2 processes");
}

Test(amounts, large_ones_have_larger_units)
{
    cr_assert_str_eq(crn_amount_bytes(text, 1), "1 byte");
    cr_assert_str_eq(crn_amount_bytes(text, 99999), "99,999 bytes");
    cr_assert_str_eq(crn_amount_bytes(text, 100000), "97.7 KiB");
    cr_assert_str_eq(crn_amount_bytes(text, 1000 * 1024), "1.0 MiB");
    cr_assert_str_eq(crn_amount_bytes(text, (uint64_t)3 << 40), "3.0 TiB");
    cr_assert_str_eq(crn_amount_bytes(text, UINT64_MAX), "16777216.0 TiB");
}

Test(amounts, times_have_as_many_digits_as_they_need)
{
    cr_assert_str_eq(crn_amount_time(text, 0), "0.0 ms");
    cr_assert_str_eq(crn_amount_time(text, 449999), "0.4 ms");
    cr_assert_str_eq(crn_amount_time(text, 999999), "1.0 ms");
    cr_assert_str_eq(crn_amount_time(text, 1500000), "2 ms");
    cr_assert_str_eq(crn_amount_time(text, 340000000), "340 ms");
    cr_assert_str_eq(crn_amount_time(text, 1254999999), "1.25 s");
    cr_assert_str_eq(crn_amount_time(text, 1999999999), "2.00 s");
    cr_assert_str_eq(crn_amount_time(text, UINT64_MAX - 6000000), "18446744073.70 s");
}
