#ifndef CRN_INHERITED_H
#define CRN_INHERITED_H
/*
 * A process that begins in a sandbox.
 */
#include "shim/sandbox.h"

#define CRN_CALLS_VARIABLE "CORONER_CALLS"

/* What is known of it; all zero where there is none. */
extern struct crn_sandbox crn_sandbox_inherited;

/*
 * The first thing of all: is there a filter already?  One that a watched program installed before
 * exec has told us what it forbids, in CORONER_CALLS; any other is tried.
 */
void crn_sandbox_find(void);

#endif
