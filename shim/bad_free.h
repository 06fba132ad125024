#ifndef CRN_BAD_FREE_H
#define CRN_BAD_FREE_H
/*
 * What happens when the program frees, or resizes, what is no block: one that it freed before, or a
 * pointer that nobody gave it.  glibc ends such a program; jemalloc may hand a block out twice.
 */
#include "shim/state.h"

/* A pointer that was given to `function`, which is "free()" or the like. */
struct crn_bad_free {
    const char *function;
    uintptr_t address;
    const struct crn_record
        *record; /* of that address, in the region; NULL: no block starts there */
};

/*
 * Counts it, says in one line which block it was and where it had been allocated, and ends the
 * process as glibc does: as far as on_bad_free tells.  When it returns, nothing must be freed.
 * While libc is still coming up, nothing is said.
 */
void crn_bad_free_note(struct crn_bad_free bad);

#endif
