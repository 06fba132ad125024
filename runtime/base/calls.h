#ifndef CRN_CALLS_H
#define CRN_CALLS_H
/*
 * Which system calls of ours a seccomp filter would kill the process for (seccomp(2)).
 *
 * A filter that only refuses calls is no matter: they fail, and whoever makes them does without.
 * One that kills is found out beforehand.  A child (a copy of the process, which the program cannot
 * see) tries each call with arguments that do nothing; where it is killed, the call is forbidden to
 * us from then on, and fails with EPERM before it is made (base/sys.h).
 *
 *     the program installs a filter   a child installs it first, and tries
 *     the process began with one      a child tries, before we do anything else
 *     strict mode                     nothing needs to be tried
 */
#include "base/base.h"

/* How a filter is installed. */
struct crn_filter {
    enum { CRN_FILTER_THERE, CRN_FILTER_PRCTL, CRN_FILTER_SECCOMP } how;
    const void *program; /* struct sock_fprog */
};

/*
 * Finds out what the filter forbids, on top of what is forbidden already.  Takes some 0.1 ms, and
 * as much for each call that is.  False: nothing can be tried, because no child may be made; all
 * but read, write and exit is then forbidden.
 */
bool crn_calls_try(const struct crn_filter *filter);

/* All but read, write and exit. */
void crn_calls_forbid_all(void);

/* Whether the process runs under a filter, as the kernel says in /proc/self/status. */
bool crn_calls_are_filtered(void);

/* For a filter that could not be installed after all. */
struct crn_calls_state {
    uint64_t words[8];
};
void crn_calls_save(struct crn_calls_state *state);
void crn_calls_restore(const struct crn_calls_state *state);

#endif
