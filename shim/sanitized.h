#ifndef CRN_SANITIZED_H
#define CRN_SANITIZED_H
/*
 * A program with a sanitizer (base/sanitizers.h) is started again without us, before any code of
 * its own has run.
 */

/* What stands in the way of watching this process, as a literal, where that could not be done; or
 * NULL. */
const char *crn_sanitized_trouble(void);

#endif
