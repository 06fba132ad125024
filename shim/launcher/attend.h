#ifndef CRN_LAUNCHER_ATTEND_H
#define CRN_LAUNCHER_ATTEND_H
/*
 * Has a report made by a child, so that somebody is left, whatever befalls it.
 *
 *     command ── child ── reads, names, renders, writes ──> its status
 *        └── waits: for the child, and for whoever grows impatient
 *
 * INT, TERM, HUP and QUIT wait while the child works; they do not reach it.  The second one has the
 * recordings kept and named at once, and then the child gets ten seconds more; a third one that is
 * typed at the terminal ends it.  (Service managers and shells send signals several times; that
 * shall not cost a report.)  A child that dies, of whatever, costs the report, not the recordings.
 */
#include "base/base.h"

#include <signal.h>

enum {
    CRN_NOT_MADE = -1,
    CRN_STATUS = 0xff,     /* of an answer: the status to exit with */
    CRN_UNSEEN = 0x100,    /* nobody can see the report */
    CRN_ANSWER_OWN = 0x200 /* from here on bits mean what make() and its caller agree on */
};

struct crn_attendance {
    void *user;
    int signals_before; /* that came already: 1 where one ended the program */

    /* In the child: answers the status to exit with and the bits above. */
    int (*make)(void *user);

    /* Keeps the recordings and says so, and why; called once, at most. */
    void (*keep)(void *user, const char *why);
};

/*
 * Answers what make() answered, or CRN_NOT_MADE when it came to no end.  keep() has been
 * called where there is no report, or none that could be seen.  Where there can be no child, make()
 * runs in this process.
 */
int crn_attend(const struct crn_attendance *attendance);

/* The signals that wait, without those that are ignored (nohup). */
void crn_attend_signals(sigset_t *signals);

#endif
