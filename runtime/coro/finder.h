#ifndef CRN_FINDER_H
#define CRN_FINDER_H
/*
 * Ways to find where a stack is parked: a row each.  A new library is one more file and row.
 *
 * snap/parked.c reads every stack for the first kind, and all of the program's memory for the second
 * one where the stacks themselves left questions.
 */
#include "coro/parked.h"

struct crn_place_finder {
    /*
     * On stacks: whether a return address is that of a call which parks a stack, and which place the
     * word at `slot` is then.  NULL: it finds nothing there.
     */
    bool (*is_parking_call)(const struct crn_code *code, uintptr_t return_address);
    bool (*find_on_stack)(const struct crn_code *code, uintptr_t slot,
                          struct crn_stack_bounds bounds, struct crn_place *place);

    /*
     * In memory: which place the word at `address` is, that says `rsp`, inside a stack.  NULL: it
     * finds nothing there.  `may_be` says so cheaply before, and may be NULL.
     */
    bool (*may_be)(const struct crn_code *code, uintptr_t address, struct crn_range run);
    bool (*find_in_memory)(const struct crn_code *code, uintptr_t address, uintptr_t rsp,
                           struct crn_stack_bounds bounds, struct crn_place *place);
    bool is_mangled;       /* the word is hidden by glibc's PTR_MANGLE */
    bool only_where_asked; /* for stacks alone on which no place was found */
    bool only_outside;     /* what lies on the stack itself does not count */
};

enum { CRN_FINDERS = 3 };
extern const struct crn_place_finder crn_finders[CRN_FINDERS];

#endif
