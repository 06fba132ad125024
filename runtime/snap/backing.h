#ifndef CRN_BACKING_H
#define CRN_BACKING_H
/*
 * What stands behind a mapping: memory, a file, or something that must not be read like either.
 */
#include "base/maps.h"

enum crn_backing {
    CRN_BACKED_BY_NOTHING, /* anonymous and private */
    CRN_BACKED_BY_MEMORY,  /* a memfd, /dev/shm, anonymous and shared, System V, huge pages */
    CRN_BACKED_BY_FILE,
    CRN_BACKED_BY_DEVICE, /* reading it may do something, or wait */
    CRN_BACKED_BY_OTHER,  /* a device whose words are no addresses of ours */
};

enum crn_backing crn_backing_of(const struct crn_map_entry *entry);

/* Whether a mapping is memory that others may change: shared, and somebody may write to it. */
bool crn_backing_is_shared_memory(const struct crn_map_entry *entry);

#endif
