#ifndef CRN_REPORT_WORDS_H
#define CRN_REPORT_WORDS_H
/*
 * The words of a report, one table per enumeration; the contract fixes how they are spelled.
 */
#include "record/format.h"

extern const char *const crn_verdict_words[CRN_VERDICT_COUNT];
extern const char *const crn_mechanism_words[CRN_MECHANISM_COUNT];
extern const char *const crn_coro_state_words[CRN_CORO_STATE_COUNT];
extern const char *const crn_root_words[CRN_ROOT_KIND_COUNT];
extern const char *const crn_growth_words[CRN_GROWTH_SHAPE_COUNT];
extern const char *const crn_limit_words[CRN_LIMIT_KIND_COUNT]; /* NULL: unknown */
extern const char *const crn_finding_words[CRN_FINDING_COUNT];
extern const char *const crn_check_words[CRN_CHECK_KIND_COUNT];

/* "proven" or "likely". */
const char *crn_confidence_word(enum crn_confidence confidence);

/* Of a verdict: what it says about the blocks; a sentence. */
extern const char *const crn_verdict_meanings[CRN_VERDICT_COUNT];

/* What usually mends a leak, in a sentence; `mechanism` of the coroutine that holds it, if any. */
const char *crn_verdict_hint(enum crn_verdict verdict, enum crn_mechanism mechanism);

/* Of a finding: what it says about the coroutine or object. */
extern const char *const crn_finding_meanings[CRN_FINDING_COUNT];

#endif
