#ifndef CRN_MODULES_H
#define CRN_MODULES_H
/*
 * Modules that were mapped once: stacks of blocks may lead through code that is gone.
 *
 * Noted before each dlclose; a module that is still mapped at the end is taken from the memory
 * map instead.  When addresses came again with another module, the one seen last is told.
 */
#include "record/draft.h"

/* Notes every module that is mapped now.  Needs 16 KiB of stack; takes a lock of its own. */
void crn_modules_note(int tid);

/* Adds those that no longer are to a draft whose modules section lists what is mapped. */
void crn_modules_add_gone(struct crn_draft *draft);

void crn_modules_after_fork(void);

#endif
