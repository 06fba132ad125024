#ifndef CRN_BOOST_H
#define CRN_BOOST_H
/*
 * What Boost.Context and Boost.Fiber keep on a stack above the entry's frame.
 *
 *      floor              base
 *       | dead | frames … | record: {size, sp} of the stack, … | fibers' context | padding | sp
 *
 * Boost.Context puts a record there that begins with its stack_context, and Boost.Fiber the fiber's
 * context.  The offsets inside that are read from the code of functions that libboost_fiber
 * exports; in a program that links it statically, they are not known, and less is said.
 */
#include "coro/parked.h"

/*
 * The stack whose frames end at `base`, as Boost's record says, inside `bounds` but for a guard page.
 * False: there is no record.
 */
bool crn_boost_stack_find(uintptr_t base, struct crn_stack_bounds bounds, struct crn_range *stack);

/* Whether the program brings Boost's switch along as a library: there may be stacks of it. */
bool crn_boost_is_loaded(void);

/* Whether code at `pc` waits for nothing any more: the fiber it belongs to has ended. */
bool crn_boost_has_ended(uintptr_t pc);

/*
 * The link of the fiber parked at `sp` in its scheduler's list of all fibers; 0: none.  The list
 * serves to count them at the end, nobody is resumed through it: an address of it is no handle.
 */
uintptr_t crn_boost_link_find(uintptr_t base, uintptr_t sp, struct crn_stack_bounds bounds);

#endif
