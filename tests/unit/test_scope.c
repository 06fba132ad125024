/*
 * Scopes: handles that notice an end, and rows that are used again.
 */
#include "coro/scope.h"

#include <criterion/criterion.h>

static void setup(void)
{
    cr_assert(crn_scopes_init());
}

TestSuite(scopes, .init = setup);

static bool end(uint64_t handle)
{
    uint32_t orphans;
    return crn_scope_end(handle, 1, &orphans);
}

Test(scopes, a_scope_ends_once)
{
    uint64_t handle = crn_scope_handle(crn_scope_begin(0, "request", 1));
    cr_assert(end(handle) && !end(handle));
    cr_assert(crn_scope_number(handle) == 0);
}

Test(scopes, what_is_open_inside_goes_on_in_the_parent)
{
    uint32_t outer = crn_scope_begin(0, "outer", 1), middle = crn_scope_begin(outer, "middle", 1);
    uint32_t inner = crn_scope_begin(middle, "inner", 1), orphans;
    cr_assert(crn_scope_end(crn_scope_handle(middle), 1, &orphans) && orphans == 1);
    cr_assert(crn_scope_at(inner)->parent == outer && crn_scope_is_inside(inner, outer));
}

Test(scopes, a_thread_notices_that_its_scope_ended_elsewhere_also_when_the_row_is_used_again)
{
    static struct crn_thread thread;
    uint64_t handle = crn_scope_handle(crn_scope_begin(0, "request", 1));
    crn_scope_enter(&thread, crn_scope_number(handle));
    cr_assert(crn_scope_current(&thread) == crn_scope_number(handle));
    end(handle);
    for (int i = 0; i < 3000; i++) {
        uint64_t next = crn_scope_handle(crn_scope_begin(0, "next", 1));
        cr_assert(crn_scope_current(&thread) == 0);
        end(next);
    }
}

Test(scopes, rows_to_which_something_belongs_do_not_keep_others_from_being_used_again)
{
    for (int i = 0; i < 100; i++) {
        uint32_t kept = crn_scope_begin(0, "kept", 1);
        crn_owner_count(CRN_OWNER_SCOPE | kept, 1);
        end(crn_scope_handle(kept));
    }
    for (int i = 0; i < 100000; i++)
        end(crn_scope_handle(crn_scope_begin(0, "request", 1)));
    cr_assert(crn_scopes.made < 2000, "%u rows", crn_scopes.made);
}
