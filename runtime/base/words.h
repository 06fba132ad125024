#ifndef CRN_WORDS_H
#define CRN_WORDS_H
/*
 * The words that the target decides with, the recording stores and the report prints.  Their
 * numbers are part of the recording's format: add at the end, never renumber.
 */

/* The verdicts, in the order in which the stronger holder wins.  report/README.md has them in words. */
enum crn_verdict {
    CRN_VERDICT_LIVE,
    CRN_VERDICT_STALE,
    CRN_VERDICT_COMPLETED,
    CRN_VERDICT_CANCELLED,
    CRN_VERDICT_ABANDONED,
    CRN_VERDICT_LOST,
    CRN_VERDICT_COUNT
};

enum crn_confidence { CRN_LIKELY, CRN_PROVEN };

enum crn_mechanism {
    CRN_MECHANISM_STACK, /* a switched stack of a kind not known */
    CRN_MECHANISM_UCONTEXT,
    CRN_MECHANISM_SETJMP,
    CRN_MECHANISM_FCONTEXT,
    CRN_MECHANISM_SWITCH,
    CRN_MECHANISM_CXX20,
    CRN_MECHANISM_PROBE,
    CRN_MECHANISM_ANNOTATED,
    CRN_MECHANISM_COUNT
};

/* The states a report counts; they exclude each other.  ABANDONED is a verdict of the check. */
enum crn_coro_state {
    CRN_CORO_CREATED,
    CRN_CORO_RUNNING,
    CRN_CORO_SUSPENDED,
    CRN_CORO_COMPLETED,
    CRN_CORO_CANCELLED,
    CRN_CORO_ABANDONED,
    CRN_CORO_DESTROYED,
    CRN_CORO_STATE_COUNT
};

enum crn_root_kind {
    CRN_ROOT_GLOBAL,
    CRN_ROOT_TLS,
    CRN_ROOT_STACK,
    CRN_ROOT_REGISTER,
    CRN_ROOT_REGION,
    CRN_ROOT_MAPPING,
    CRN_ROOT_KERNEL,
    CRN_ROOT_KIND_COUNT
};

#endif
