#ifndef CRN_REPORT_CLEAN_H
#define CRN_REPORT_CLEAN_H
/*
 * Makes texts fit to be shown.  Paths, arguments and names come from the program under test, so
 * they may hold any byte; what leaves Coroner is UTF-8 and steers no terminal.
 */
#include "sym/store.h"

/* `text` as UTF-8: each byte that is none becomes U+FFFD.  NULL stays NULL. */
const char *crn_clean_utf8(struct crn_store *store, const char *text);

/* The same, and control characters become '?'. */
const char *crn_clean_line(struct crn_store *store, const char *text);

#endif
