#ifndef CRN_ASK_TALK_H
#define CRN_ASK_TALK_H
/*
 * Asks, and listens to the answer, from whoever connects: the snapshot child that judges, and the
 * conductor that says when all is over (live/ask.h).
 *
 * What answers may be anything: frames are bounded, and so is the time without a word.  What a peer
 * says that is no answer ends the talk with it, not with the others.
 */
#include "live/ask.h"
#include "shim/launcher/ask/meeting.h"

#include <signal.h>

enum crn_talk_end {
    CRN_TALK_ANSWERED,   /* there is a recording */
    CRN_TALK_NOT,        /* there is none; why has been said */
    CRN_TALK_INTERRUPTED /* a signal came: `signal` */
};

struct crn_talk {
    struct crn_ask_request request; /* to be sent */
    unsigned char *recording;       /* from malloc, the caller's to free; NULL: none */
    uint64_t recording_bytes;
    struct crn_ask_over over;
    bool has_over; /* it came */
    int signal;    /* INT, TERM, HUP or QUIT, when that ended it */
};

/*
 * Signals the process and listens until it has answered or will not.  The signals of
 * crn_attend_signals() must be blocked; the first of them ends it.
 */
enum crn_talk_end crn_talk(struct crn_talk *talk, const struct crn_target *target,
                           const struct crn_meeting *meeting);

#endif
