#ifndef CRN_LANDING_H
#define CRN_LANDING_H
/*
 * Where an exception lands that passes a call: the call-site table of the language specific data
 * that gcc and clang emit ("Itanium C++ ABI: Exception Handling", and gcc's unwind-pe.h for the
 * encodings).
 */
#include "code/code.h"

enum crn_landing { CRN_LANDING_NONE, CRN_LANDING_AT, CRN_LANDING_UNKNOWN };

/*
 * Where exceptions land that the call at `call` lets through, its first byte; the function starts
 * at `start`.  Reads unwind information of the module; any thread, no lock.
 */
enum crn_landing crn_landing_find(uintptr_t start, uintptr_t call, uintptr_t *landing);

#endif
