/*
 * The words of a report.  See words.h.
 */
#include "report/words.h"

#include <stddef.h>

const char *const crn_verdict_words[] = {
    [CRN_VERDICT_LIVE] = "live",           [CRN_VERDICT_STALE] = "stale",
    [CRN_VERDICT_COMPLETED] = "completed", [CRN_VERDICT_CANCELLED] = "cancelled",
    [CRN_VERDICT_ABANDONED] = "abandoned", [CRN_VERDICT_LOST] = "lost",
};

const char *const crn_mechanism_words[] = {
    [CRN_MECHANISM_STACK] = "stack",   [CRN_MECHANISM_UCONTEXT] = "ucontext",
    [CRN_MECHANISM_SETJMP] = "setjmp", [CRN_MECHANISM_FCONTEXT] = "fcontext",
    [CRN_MECHANISM_SWITCH] = "switch", [CRN_MECHANISM_CXX20] = "c++20",
    [CRN_MECHANISM_PROBE] = "probe",   [CRN_MECHANISM_ANNOTATED] = "annotated",
};

const char *const crn_coro_state_words[] = {
    [CRN_CORO_CREATED] = "created",     [CRN_CORO_RUNNING] = "running",
    [CRN_CORO_SUSPENDED] = "suspended", [CRN_CORO_COMPLETED] = "completed",
    [CRN_CORO_CANCELLED] = "cancelled", [CRN_CORO_ABANDONED] = "abandoned",
    [CRN_CORO_DESTROYED] = "destroyed",
};

const char *const crn_root_words[] = {
    [CRN_ROOT_GLOBAL] = "global",     [CRN_ROOT_TLS] = "tls",       [CRN_ROOT_STACK] = "stack",
    [CRN_ROOT_REGISTER] = "register", [CRN_ROOT_REGION] = "region", [CRN_ROOT_MAPPING] = "mapping",
    [CRN_ROOT_KERNEL] = "kernel",
};

const char *const crn_growth_words[] = {
    [CRN_GROWTH_UNKNOWN] = "unknown",
    [CRN_GROWTH_STARTUP] = "startup",
    [CRN_GROWTH_CHURN] = "churn",
    [CRN_GROWTH_STEADY] = "steady",
};

const char *const crn_limit_words[] = {
    [CRN_LIMIT_UNKNOWN] = NULL,
    [CRN_LIMIT_CGROUP] = "cgroup",
    [CRN_LIMIT_MACHINE] = "machine",
};

const char *const crn_finding_words[] = {
    [CRN_FINDING_OUTLIVED] = "outlived",
    [CRN_FINDING_ZOMBIE] = "zombie",
    [CRN_FINDING_SWALLOWED] = "swallowed",
    [CRN_FINDING_NO_CANCEL_HOOK] = "no_cancel_hook",
    [CRN_FINDING_UNFINISHED_WATCH] = "unfinished_watch",
};

const char *const crn_check_words[] = {
    [CRN_CHECK_END] = "end",
    [CRN_CHECK_LIVE] = "live",
    [CRN_CHECK_DEMAND] = "demand",
    [CRN_CHECK_SCOPE] = "scope",
};

const char *crn_confidence_word(enum crn_confidence confidence)
{
    return confidence == CRN_PROVEN ? "proven" : "likely";
}

const char *const crn_verdict_meanings[] = {
    [CRN_VERDICT_LIVE] = "In use.",
    [CRN_VERDICT_STALE] = "Only a variable that is never read again still points here.",
    [CRN_VERDICT_COMPLETED] =
        "Only what a coroutine left behind when it ran to its end still points here.",
    [CRN_VERDICT_CANCELLED] = "Only a coroutine that was cancelled and never ended still points "
                              "here.",
    [CRN_VERDICT_ABANDONED] = "Only a suspended coroutine that nothing can resume any more still "
                              "points here.",
    [CRN_VERDICT_LOST] = "Nothing points here any more.",
};

static const char *const hints[] = {
    [CRN_VERDICT_LIVE] = "Nothing to mend.",
    [CRN_VERDICT_STALE] = "Free it after its last use, or clear the variable that still holds it.",
    [CRN_VERDICT_COMPLETED] =
        "Free it before the coroutine returns, or hand it to whoever collects the result.",
    [CRN_VERDICT_CANCELLED] = "Let the coroutine run its clean-up after the cancellation, or "
                              "destroy it and free what it holds.",
    [CRN_VERDICT_ABANDONED] = "Keep the coroutine's handle where its event can find it, or end the "
                              "coroutine when its last handle goes.",
    [CRN_VERDICT_LOST] = "Free it before its last pointer is overwritten or goes out of scope.",
};

const char *crn_verdict_hint(enum crn_verdict verdict, enum crn_mechanism mechanism)
{
    if (mechanism == CRN_MECHANISM_CXX20 && verdict == CRN_VERDICT_COMPLETED)
        return "Destroy the coroutine when it has ended, or do not suspend it at its end.";
    return hints[verdict];
}

const char *const crn_finding_meanings[] = {
    [CRN_FINDING_OUTLIVED] = "Still alive after the scope that launched it has ended.",
    [CRN_FINDING_ZOMBIE] = "Still running after it was cancelled.",
    [CRN_FINDING_SWALLOWED] = "Was told of its cancellation and suspended again.",
    [CRN_FINDING_NO_CANCEL_HOOK] = "Was cancelled while suspended, with no cancel hook to wake it.",
    [CRN_FINDING_UNFINISHED_WATCH] = "Was declared done and is still held.",
};
