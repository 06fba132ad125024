#ifndef CRN_SANITIZED_H
#define CRN_SANITIZED_H
/*
 * A program with a sanitizer (base/sanitizers.h) is started again without us, before any code of
 * its own has run.
 */
#include "base/base.h"

/* What stands in the way of watching this process, as a literal, where that could not be done; or
 * NULL. */
const char *crn_sanitized_trouble(void);

/*
 * Where the kernel put argc, and behind it all else that a new program finds; for resolvers, too.
 * It is the loader's to tell; but in a program that has a copy of the loader's variable (node
 * does), the copy is made after us, and we ask the loader's own.  NULL: not known.
 */
uintptr_t *crn_beginning_find(void);

#endif
