#ifndef CRN_REPORT_JUDGE_H
#define CRN_REPORT_JUDGE_H
/*
 * Decides which leaks and findings the suppressions silence.
 */
#include "report/model.h"

struct crn_judge;

/* `suppressions` must outlive the judge. */
struct crn_judge *crn_judge_create(const struct crn_suppressions *suppressions);
void crn_judge_destroy(struct crn_judge *judge);

/*
 * What is judged from here on is of a program that answers these suppressions itself, beside the
 * others; "": none.  `message` gets what is wrong with them, else it is empty.
 */
void crn_judge_begin(struct crn_judge *judge, const char *text, char *message,
                     size_t message_bytes);

/* Calls visit() for every suppression, with what it has silenced so far. */
void crn_judge_visit(const struct crn_judge *judge,
                     void (*visit)(const struct crn_suppression *, void *user), void *user);

/* What silences a leak; NULL: nothing does. */
struct crn_suppression *crn_judge_find(struct crn_judge *judge, const struct crn_leak *leak);

/* Whether there are suppressions that only a leak's allocation stack can match. */
bool crn_judge_needs_stacks(const struct crn_judge *judge);

bool crn_judge_silences_finding(struct crn_judge *judge, const struct crn_finding *finding);

#endif
