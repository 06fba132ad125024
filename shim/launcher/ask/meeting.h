#ifndef CRN_ASK_MEETING_H
#define CRN_ASK_MEETING_H
/*
 * Where the process and we meet: a directory that is its user's alone, in its own mount namespace,
 * with a socket on which we listen (live/ask.h).
 *
 * It is made and removed with the rights of that user, so root lends nobody any of its own.  As
 * long as we are there the directory is locked (flock); who can lock one knows that its maker was
 * killed, and removes it.
 */
#include "shim/launcher/ask/target.h"

struct crn_meeting {
    uint64_t cookie;
    int place, directory;   /* descriptors of the directory that it is in, and of itself; -1 */
    int listener, abstract; /* sockets; -1: there is none */
    uid_t uid;              /* whose it is */
    gid_t gid;
    char name[32];
};

/*
 * Makes the directory in the first place of CRN_ASK_PLACES that can be written to, and listens; and
 * on the abstract address where there is no such place.  Removes what killed ones of that user have
 * left.  Answers false after saying why not.
 */
bool crn_meeting_make(struct crn_meeting *meeting, const struct crn_target *target);

/* A file `answer` that is there whole, opened for reading; -1: there is none. */
int crn_meeting_answer(const struct crn_meeting *meeting);

/* Closes and removes all of it. */
void crn_meeting_end(struct crn_meeting *meeting);

#endif
