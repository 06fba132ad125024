#ifndef CRN_WHY_H
#define CRN_WHY_H
/*
 * What a verdict about a stackful coroutine leans on, in a sentence for the report: whether its
 * switches were seen, announced by the program, or read from memory and code.
 */
#include "mark/mark.h"

/* NULL: the group's holder is no stackful coroutine, or its kind has nothing of its own to say. */
const char *crn_why_by_mechanism(const struct crn_mark *mark, const struct crn_group *group);

#endif
