#ifndef CRN_BASE_SIGNALS_H
#define CRN_BASE_SIGNALS_H
/*
 * The deadly signals: those that end a process by default, and leave no core dump (signal(7)).
 *
 * SIGKILL is not one of them, since nobody can do anything about it; nor are 32 and 33, which glibc
 * keeps for itself.  The target and the command both ask.
 */
#include "base/base.h"

#include <signal.h>

enum { CRN_FIRST_REALTIME_SIGNAL = 34, CRN_SIGNAL_COUNT = 64 /* 1 to 64 */ };

CRN_INLINE bool crn_signal_is_deadly(int signal)
{
    static const uint64_t standard = 1ull << SIGHUP | 1ull << SIGINT | 1ull << SIGPIPE |
                                     1ull << SIGALRM | 1ull << SIGTERM | 1ull << SIGUSR1 |
                                     1ull << SIGUSR2 | 1ull << SIGSTKFLT | 1ull << SIGIO |
                                     1ull << SIGPROF | 1ull << SIGVTALRM | 1ull << SIGPWR;
    if (signal < 1 || signal > CRN_SIGNAL_COUNT)
        return false;
    return signal >= CRN_FIRST_REALTIME_SIGNAL || (standard >> signal & 1) != 0;
}

#endif
