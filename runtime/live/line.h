#ifndef CRN_LIVE_LINE_H
#define CRN_LIVE_LINE_H
/*
 * The connection to whoever asked for a check: ask.h says what goes over it.
 *
 * Used by a thread and a process of ours that have descriptor tables of their own.  Every write ends
 * after a few seconds at the latest when nobody reads.
 */
#include "live/ask.h"
#include "base/base.h"

struct crn_line {
    int fd;          /* a socket, or the file of the answer; -1: there is nobody */
    int directory;   /* where the file is; -1: it is a socket */
};

/* Finds the asker by its cookie and connects.  False: there is none, or none that may ask. */
bool crn_line_open(struct crn_line *line, uint64_t cookie);

/* Says hello, and gets the request; false: it did not come in time, or is of another version. */
bool crn_line_greet(struct crn_line *line, struct crn_ask_request *request);

/* Sends a frame; false: the asker has gone. */
bool crn_line_send(const struct crn_line *line, enum crn_ask_kind kind, const void *payload,
                   uint64_t bytes);

/* Sends the head of a frame whose payload the caller writes to `fd` himself. */
bool crn_line_announce(const struct crn_line *line, enum crn_ask_kind kind, uint64_t bytes);

/* `is_whole`: all is said; an answer in a file gets its name then. */
void crn_line_close(struct crn_line *line, bool is_whole);

#endif
