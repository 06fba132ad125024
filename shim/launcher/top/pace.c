/*
 * The pace of looks.  See pace.h.
 */
#include "shim/launcher/top/pace.h"

/* Time that may pass for each second that a look costs; see the table in pace.h. */
enum { OF_PAUSE = 1000, OF_COPYING = 100, OF_LOOK = 5 };

double crn_pace_delay_s(const struct crn_pace *last, double wanted_s)
{
    const double page_s = 3e-6; /* copy on write, measured: 2.5 to 3.4 us */
    const double copying_s = (double)(last->copied_bytes / CRN_PAGE_BYTES) * page_s;
    const double delays_s[] = {last->pause_s * OF_PAUSE - last->look_s,
                               copying_s * OF_COPYING - last->look_s, last->look_s * (OF_LOOK - 1)};
    double delay_s = wanted_s;
    for (unsigned i = 0; i < CRN_COUNT_OF(delays_s); i++)
        if (delays_s[i] > delay_s)
            delay_s = delays_s[i];
    return delay_s;
}
