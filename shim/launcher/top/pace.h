#ifndef CRN_TOP_PACE_H
#define CRN_TOP_PACE_H
/*
 * How long `coroner top` leaves a process alone between two looks.
 *
 * A look makes the process stand still (the pause), copies each page that it writes while the
 * snapshot stands, and takes processor time beside it.  Each of them may have a share of all time:
 *
 *     pause                      a thousandth
 *     copying, 3 us a page       a hundredth
 *     the look from end to end   a fifth
 *
 * Whoever asks for looks more often waits for the longest of these.
 */
#include "base/base.h"

struct crn_pace {
    double pause_s; /* how long it stood still */
    uint64_t copied_bytes;
    double look_s; /* from asking until all was known */
};

/* The seconds from the end of a look until the next one may begin; at least `wanted_s`. */
double crn_pace_delay_s(const struct crn_pace *last, double wanted_s);

#endif
