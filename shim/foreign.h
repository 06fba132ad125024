#ifndef CRN_FOREIGN_H
#define CRN_FOREIGN_H
/*
 * Blocks that no record tells of: libc's own, and jemalloc's after Coroner has stood down.  Whose a
 * block is, is told by where it lies; it then is freed, resized and asked for its size by whoever
 * made it.
 */
#include "base/base.h"

/* jemalloc placed a block outside its region while nobody records: so that it is known again. */
void crn_foreign_note(void *block);

/* free, with jemalloc's flags; false: it is nobody's, and nothing was done. */
bool crn_foreign_free(void *block, int flags);

/* Whether it is neither jemalloc's nor libc's. */
bool crn_foreign_is_nobodys(const void *block);

/* realloc, with jemalloc's flags; errno as realloc. */
void *crn_foreign_realloc(void *block, size_t bytes, int flags);

/* malloc_usable_size; 0 for what is no block. */
size_t crn_foreign_usable(const void *block);

#endif
