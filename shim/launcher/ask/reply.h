#ifndef CRN_ASK_REPLY_H
#define CRN_ASK_REPLY_H
/*
 * Takes apart what a process answers, frame by frame, from a socket that does not block or a file.
 *
 * Nothing is believed: a kind, a length that does not go with it, or a recording for which there
 * is no room ends it.  Memory is taken as bytes come, not as they are announced.
 */
#include "base/base.h"
#include "live/ask.h"

enum crn_reply_state {
    CRN_REPLY_MORE,     /* to come */
    CRN_REPLY_WHOLE,    /* a frame: `frame` and `payload`, good until the next call */
    CRN_REPLY_END,      /* the other side has closed it, or said what is no frame */
    CRN_REPLY_NO_MEMORY /* for the payload */
};

struct crn_reply {
    struct crn_ask_frame frame;
    uint64_t frame_got, payload_got; /* bytes */
    unsigned char *payload;
    uint64_t payload_room;
    bool is_whole;   /* it has been answered */
    bool is_strange; /* ended by what is no frame */
    bool has_heard;  /* the last call read something */
};

/* Reads on; zeroed at first. */
enum crn_reply_state crn_reply_read(struct crn_reply *reply, int fd);

/* Takes the payload of a whole frame over, from malloc. */
unsigned char *crn_reply_take(struct crn_reply *reply, uint64_t *bytes);

void crn_reply_fini(struct crn_reply *reply);

#endif
