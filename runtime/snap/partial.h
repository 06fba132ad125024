#ifndef CRN_PARTIAL_H
#define CRN_PARTIAL_H
/*
 * Calls that a signal ends half way: they answer how much is done, and that is less than was asked.
 *
 * On a blocking pipe, stream socket or terminal, write(2) and its relatives do that for no other
 * reason, and programs rely on it.  So what is left is done before the call returns, and its result
 * is the sum.
 */
#include "snap/machine.h"

#include <sys/socket.h>

/* What is left of a call: one or two calls, the second when the first has done all of its own. */
struct crn_partial {
    unsigned count; /* 0: nothing; the call is done, or its result is not our doing */
    struct crn_piece {
        long number;
        uintptr_t arguments[6];
        uintptr_t expected; /* the result when all is done */
    } pieces[2];
    bool has_header; /* the second takes `header` as its second argument */
    struct msghdr header;
};

/* Of a call in the state CRN_CALL_COUNTED. */
struct crn_partial crn_partial_find(const struct crn_call *call);

#endif
