#ifndef CRN_LAUNCHER_RESCUE_H
#define CRN_LAUNCHER_RESCUE_H
/*
 * Keeps recordings that could not be rendered: copies them where they last (place.h), and says in
 * one line why, where, and how to render them.
 */
#include "shim/launcher/ending.h"
#include "shim/launcher/place.h"

/* A recording to keep. */
struct crn_rescued {
    const char *path;                      /* of the file; NULL: it is only in memory */
    const struct crn_recording *recording; /* in memory; NULL: it is in the file */
    bool is_kept;                          /* answered: a copy of it lasts */
};

/* What they say, as far as that shows without names and suppressions. */
struct crn_rescue_facts {
    bool has_proven_leak, has_news;
};

/*
 * Copies `count` recordings and says where they are: "coroner: WHY; …".  What cannot be copied
 * stays, and is named where it is.  `ending`, unless NULL, is written into the copy of its process.
 * Needs little memory, and trusts nothing that it reads.
 */
void crn_rescue(const char *why, struct crn_rescued *rescued, size_t count,
                const struct crn_ending *ending, enum crn_place_order order);

/* What recordings say. */
struct crn_rescue_facts crn_rescue_look(const struct crn_rescued *rescued, size_t count);

#endif
