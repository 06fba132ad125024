#ifndef CRN_REPORT_PATTERN_H
#define CRN_REPORT_PATTERN_H
/*
 * The patterns of suppressions, as LeakSanitizer reads them: a pattern matches anywhere in a
 * text; `*` stands for any characters, `^` at its start and `$` at its end tie it to the ends.
 */
#include "base/base.h"

/* Whether `pattern` matches `text`.  NULL and the empty text match nothing. */
bool crn_pattern_matches(const char *pattern, const char *text);

#endif
