/*
 * What a text may hold when it leaves Coroner.
 */
#include <criterion/criterion.h>

#include <string.h>

#include "base/characters.h"

static const char *tamed(const char *text)
{
    static char copy[256];
    crn_text_tame(strcpy(copy, text));
    return copy;
}

Test(characters, plain_text_stays)
{
    cr_assert_str_eq(tamed("plain ~"), "plain ~");
    cr_assert_str_eq(tamed("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
                     "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    cr_assert_str_eq(tamed(""), "");
}

Test(characters, controls_are_replaced)
{
    cr_assert_str_eq(tamed("a\033[31m\r\n\t\x7f"), "a?[31m????");
    cr_assert_str_eq(tamed("\xc2\x80\xc2\x9f\xc2\xa0"), "??\xc2\xa0");
}

Test(characters, what_turns_the_order_of_text_is_replaced)
{
    cr_assert_str_eq(tamed("\xd8\x9c|\xe2\x80\x8e|\xe2\x80\x8f"), "?|?|?");
    cr_assert_str_eq(tamed("\xe2\x80\xa8|\xe2\x80\xaa|\xe2\x80\xae"), "?|?|?");
    cr_assert_str_eq(tamed("\xe2\x81\xa6|\xe2\x81\xa9"), "?|?");
    cr_assert_str_eq(tamed("\xe2\x80\x8d\xe2\x80\xaf\xe2\x81\xa5"),
                     "\xe2\x80\x8d\xe2\x80\xaf\xe2\x81\xa5");
}

Test(characters, what_is_no_utf8_is_replaced_byte_by_byte)
{
    cr_assert_str_eq(tamed("\xff|\xc0\x80|\xed\xa0\x80|\xf4\x90\x80\x80"), "?|??|???|????");
    cr_assert_str_eq(tamed("cut \xe2\x80"), "cut ??");
}
