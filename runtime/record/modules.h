#ifndef CRN_MODULES_H
#define CRN_MODULES_H
/*
 * Modules with their build ids: those that are mapped, and those that were once, for stacks of
 * blocks may lead through code that is gone.
 *
 * A check reads them from the memory map and from the ELF headers mapped with them, not from the
 * loader, whose lock a stopped thread may hold.  Before each dlclose those are noted that were
 * loaded since the last one, as the loader has them: a memory map may have a hundred thousand
 * lines.  When addresses came again with another module, the one seen last is told.
 */
#include "record/draft.h"

/* Adds the modules that are mapped now. */
void crn_draft_modules(struct crn_draft *draft);

/* Notes every module that is mapped now.  Needs 16 KiB of stack; takes a lock of its own. */
void crn_modules_note(int tid);

/*
 * Notes the module that the loader mapped to [start, end) and knows by this file name.  Needs 24
 * KiB of stack; takes the lock.  False: the file is not there any more, or is another one, so that
 * only the memory map has its name.
 */
bool crn_module_note(uintptr_t start, uintptr_t end, const char *name, int tid);

/* Adds those that no longer are to a draft whose modules section lists what is mapped. */
void crn_modules_add_gone(struct crn_draft *draft);

void crn_modules_after_fork(void);

#endif
