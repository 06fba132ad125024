#ifndef CRN_REPORT_CLEAN_H
#define CRN_REPORT_CLEAN_H
/*
 * Makes texts of a report fit to be shown: UTF-8 that steers no terminal.  base/characters.h says
 * what is unwelcome, and why.
 */
#include "sym/store.h"

/* `text` as UTF-8: each byte that is none becomes U+FFFD.  NULL stays NULL. */
const char *crn_clean_utf8(struct crn_store *store, const char *text);

/* The same, and unwelcome characters become '?'. */
const char *crn_clean_line(struct crn_store *store, const char *text);

#endif
