#ifndef CRN_REPORT_NAMES_H
#define CRN_REPORT_NAMES_H
/*
 * Names for people: what a coroutine is called, and names of functions that fit a line.
 */
#include "report/model.h"

/*
 * What to call a coroutine that begins with `entry`: that function, but where it belongs to a
 * library (Boost, asio, the C++ library), what the user handed to it.  That is the outermost
 * function of `suspended` (may be NULL) which is not the library's; else what the entry's template
 * arguments tell.  A lambda is called by where it stands: "start(char
 * const*)::{lambda(fiber&&)#1}".
 */
const char *crn_name_of_coroutine(struct crn_store *store, const struct crn_named_frame *entry,
                                  const struct crn_stack *suspended);

/* Whether a frame belongs to Boost, asio or the C++ library. */
bool crn_frame_is_library(const struct crn_named_frame *frame);

/*
 * The frame of a stack to look at first: the innermost one that is neither a library's, as above,
 * nor the C library's; if all are, the innermost.
 */
const struct crn_named_frame *crn_stack_point(const struct crn_stack *stack);

/* What a frame is called in one word. */
const char *crn_name_of_frame(struct crn_store *store, const struct crn_named_frame *frame);

/*
 * A function's name in at most `columns`, as far as leaving out helps: first what stands in its
 * outermost <>, then its parameters ("push<...>::push(...)::{lambda()#1}").
 */
const char *crn_name_shorten(struct crn_store *store, const char *name, size_t columns);

#endif
