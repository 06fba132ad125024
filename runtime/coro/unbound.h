#ifndef CRN_UNBOUND_H
#define CRN_UNBOUND_H
/*
 * Functions of other modules that were never called, so that the dynamic linker has not looked them
 * up: their name is all there is.
 */
#include "code/function.h"

/*
 * The name of the function that a call to `target` reaches, where that is a stub of the procedure
 * linkage table whose symbol is not bound yet; NULL: it is no such stub.  It belongs to the module.
 * Reads code and the module's dynamic section; any thread, no lock.
 */
const char *crn_unbound_name(const struct crn_code *code, uintptr_t target);

#endif
