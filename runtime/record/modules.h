#ifndef CRN_MODULES_H
#define CRN_MODULES_H
/*
 * Modules with their build ids: those that are mapped, and those that were once, for stacks of
 * blocks may lead through code that is gone.
 *
 * They are read from the memory map and from the ELF headers mapped with them, not from the loader,
 * whose lock a stopped thread may hold.  They are noted before each dlclose; a module that is still mapped at the end is taken from the memory
 * map instead.  When addresses came again with another module, the one seen last is told.
 */
#include "record/draft.h"

/* Adds the modules that are mapped now. */
void crn_draft_modules(struct crn_draft *draft);

/* Notes every module that is mapped now.  Needs 16 KiB of stack; takes a lock of its own. */
void crn_modules_note(int tid);

/* Adds those that no longer are to a draft whose modules section lists what is mapped. */
void crn_modules_add_gone(struct crn_draft *draft);

void crn_modules_after_fork(void);

#endif
