#ifndef CRN_REPORT_READ_JSON_H
#define CRN_REPORT_READ_JSON_H
/*
 * Reads a JSON report back into the model, as far as two reports are compared: processes, their
 * sums, leaks, coroutines and what is alive.  Findings and the addresses of blocks stay behind.
 *
 * A report may come from anywhere.  What a key holds is of the kind that README.md names, or the
 * report is refused; keys that are missing or null are unknown.  Parsing it takes at most
 * 64 MiB and 32 times its size.
 */
#include "report/model.h"

/*
 * Adds the processes of the JSON report in `bytes`; `name` stands for its path in messages.  What
 * the suppressions of `report` silence is counted as suppressed.
 *
 * Returns CRN_OK, or
 *     CRN_ERR_FORMAT     this is no JSON report of this version
 *     CRN_ERR_NO_MEMORY  it takes more than it may
 * with one line in `message` (always terminated); of `report` nothing but its end is then of use.
 */
enum crn_status crn_report_add_json(struct crn_report *report, const char *bytes, size_t count,
                                    const char *name, char *message, size_t message_bytes);

#endif
