#ifndef CRN_CALLS_H
#define CRN_CALLS_H
/*
 * What a signal handler does to each blocking system call, and how the call goes on after it.
 *
 * A handler with SA_RESTART ends most blocking calls early all the same (signal(7), "Interruption
 * of system calls and library functions by signal handlers").  Ours must not be felt, so each call
 * has a row that says what becomes of it.
 */
#include "base/base.h"

enum crn_call_kind {
    CRN_CALL_UNKNOWN,   /* no row: it is left as the kernel leaves it */
    CRN_CALL_RESTARTED, /* the kernel restarts it, as SA_RESTART says */
    CRN_CALL_AGAIN,    /* it ends with EINTR, and is issued again as it is: it has no time limit, or
                          an absolute one */
    CRN_CALL_LEFT,     /* AGAIN; the kernel wrote back what is left, a struct timespec in `limit` */
    CRN_CALL_LEFT_US,  /* AGAIN; the same, a struct timeval */
    CRN_CALL_BLOCK,    /* it ends with EINTR, and restart_syscall(2) knows how it goes on */
    CRN_CALL_MS,       /* AGAIN, with a limit in ms in `limit`; -1: none */
    CRN_CALL_TIMESPEC, /* AGAIN, with a limit in a struct timespec; NULL: none */
    CRN_CALL_RECEIVES, /* RESTARTED, or AGAIN with the limit that SO_RCVTIMEO set */
    CRN_CALL_SENDS,    /* RESTARTED, or AGAIN with the limit that SO_SNDTIMEO set */
    CRN_CALL_CONNECTS, /* SENDS; at the limit it answers EINPROGRESS */
    CRN_CALL_URING_WAIT, /* AGAIN, with a limit in a struct io_uring_getevents_arg */
};

/* Where a call has the signal mask that it waits with. */
enum crn_call_mask {
    CRN_MASK_NONE,
    CRN_MASK_SET,  /* a pointer to a set of 8 bytes */
    CRN_MASK_PAIR, /* a pointer to such a pointer and a size */
};

struct crn_call_row {
    uint16_t number;
    uint8_t kind;  /* enum crn_call_kind */
    uint8_t limit; /* the argument with the time limit, 0 to 5 */
    uint8_t mask;  /* enum crn_call_mask */
    uint8_t mask_argument;
};

/* The row of a call with these arguments; CRN_CALL_UNKNOWN in `kind` when there is none. */
struct crn_call_row crn_call_find(long number, const uintptr_t arguments[6]);

#endif
