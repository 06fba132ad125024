#ifndef CRN_LIVE_CHILD_H
#define CRN_LIVE_CHILD_H
/*
 * The snapshot child: a copy of the process, with one thread, that judges and answers.
 */
#include "live/line.h"
#include "snap/beforehand.h"
#include "snap/stop.h"

/* Memory that the child and the conductor share. */
enum crn_line_owner { CRN_LINE_FREE, CRN_LINE_CONDUCTOR, CRN_LINE_CHILD };
struct crn_live_shared {
    _Atomic uint32_t line_owner; /* who writes to the line now */
    _Atomic uint32_t is_resumed; /* the threads go on: pause_ns is known */
    _Atomic uint64_t pause_ns;
    _Atomic uint32_t has_answered; /* the recording was sent, as a whole */
    _Atomic uint64_t copied_bytes; /* as the child counts them, when it has marked */
};

/* Answers whether the line is now the caller's; the child keeps it, once it has it. */
CRN_INLINE bool crn_live_line_take(struct crn_live_shared *shared, uint32_t owner)
{
    uint32_t expected = CRN_LINE_FREE;
    return atomic_compare_exchange_strong(&shared->line_owner, &expected, owner);
}

/* What a check is, from the conductor's side. */
struct crn_live_job {
    struct crn_line line;
    struct crn_ask_request request;
    struct crn_stopped_list stopped;
    struct crn_beforehand *beforehand;
    struct crn_live_shared *shared;
    bool is_torn;
    uint32_t number; /* of the checks of this process, from 1 */
    int parent_pid;  /* of the process */
    uint64_t began_ns;
};

/* In the child; it ends there. */
__attribute__((noreturn)) void crn_live_child(struct crn_live_job *job);

#endif
