#ifndef CRN_ASK_RISEN_H
#define CRN_ASK_RISEN_H
/*
 * Two looks at one process: what is dead stays dead.
 *
 * What the first look called proven leaked can be freed or used by nobody, so the second must list
 * it again.  A block that it does not list has *risen*: Coroner was wrong.  A block is the same when
 * its address is, and its birth is no later.
 */
#include "record/reader.h"

struct crn_risen {
    bool is_known; /* both looks list all that they call leaked */
    uint64_t blocks, bytes;
};

/* What the first look called proven, and the second no longer lists. */
struct crn_risen crn_risen_find(const struct crn_recording *first,
                                const struct crn_recording *second);

#endif
