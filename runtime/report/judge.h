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

bool crn_judge_silences_leak(struct crn_judge *judge, const struct crn_leak *leak);
bool crn_judge_silences_finding(struct crn_judge *judge, const struct crn_finding *finding);

#endif
