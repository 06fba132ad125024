#ifndef CRN_SUSPECTS_H
#define CRN_SUSPECTS_H
/*
 * Suspects, when the threads run again.
 */
#include "mark/mark.h"

/*
 * Whether a suspect is still allocated, later on.  One born at or after `born_before` is another
 * block at the same address.
 */
bool crn_suspect_is_still_there(const struct crn_mark *mark, const struct crn_suspect *suspect,
                                uint64_t born_before);

#endif
