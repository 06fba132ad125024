#ifndef CRN_REPORT_SINCE_H
#define CRN_REPORT_SINCE_H
/*
 * What has changed since the check before this one, of the same process: a few lines of a report.
 */
#include <jansson.h>

#include "report/model.h"
#include "report/page.h"

/* For a person; nothing where there was no check before. */
void crn_since_print(const struct crn_page *page, const struct crn_since *since);

/* For programs; null where there was none. */
json_t *crn_since_json(struct crn_store *store, const struct crn_since *since);

#endif
