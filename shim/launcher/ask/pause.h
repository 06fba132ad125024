#ifndef CRN_ASK_PAUSE_H
#define CRN_ASK_PAUSE_H
/*
 * Foresees how long a process will stand still for a snapshot, before anything is sent to it.
 *
 * A pause is the stop of the threads and the copying of page tables (clone).  What that costs
 * depends on the machine, so it is measured here and now, on memory of our own:
 *
 *     pause = base + threads * stop + mappings * m + small pages * s + huge pages * h
 *
 * The kernel tells how many of each the process has.  Only its own memory counts: the tables of
 * files and of what it shares are not copied.
 */
#include "shim/launcher/ask/target.h"

/* What there is to copy. */
struct crn_pause_facts {
    uint64_t threads, mappings;
    uint64_t small_pages, huge_pages; /* of 4 KiB, in memory or swapped out; of 2 MiB */
};

/* What one of each costs, ns. */
struct crn_pause_costs {
    double base, thread, mapping, small_page, huge_page;
};

/* What the process has; answers false where the kernel does not tell. */
bool crn_pause_look(const struct crn_target *target, struct crn_pause_facts *facts);

/* Measures what the process has; takes some 30 ms and 32 MiB. */
struct crn_pause_costs crn_pause_calibrate(const struct crn_pause_facts *facts);

uint64_t crn_pause_foresee_ns(const struct crn_pause_facts *facts,
                              const struct crn_pause_costs *costs);

#endif
