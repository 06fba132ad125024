#ifndef CRN_SECURE_H
#define CRN_SECURE_H
/*
 * Whether the program has more rights than whoever started it: setuid, setgid, or capabilities of
 * its file.  Its user then must not steer what happens with those rights.
 */
#include "base/base.h"

/* Asks the kernel's own word, AT_SECURE (getauxval(3)); good before libc is up. */
bool crn_process_is_secure(void);

/* Takes our variables out of the environment, as the loader does with its own. */
void crn_secure_environment_clean(void);

#endif
