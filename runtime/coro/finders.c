/*
 * The table of finders.  See finder.h.
 */
#include "coro/finder.h"

const struct crn_place_finder crn_finders[CRN_FINDERS] = {
    {.is_parking_call = crn_pushed_is_call, .find_on_stack = crn_pushed_find},
    {.may_be = crn_saved_may_be, .find_in_memory = crn_saved_find, .only_where_asked = true},
    /* Libraries leave a jmp_buf on the stack itself for exceptions of their own. */
    {.find_in_memory = crn_setjmp_find, .is_mangled = true, .only_outside = true},
};
