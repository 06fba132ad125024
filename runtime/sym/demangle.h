#ifndef CRN_SYM_DEMANGLE_H
#define CRN_SYM_DEMANGLE_H
/*
 * Names as a programmer wrote them.
 */
#include "sym/store.h"

/*
 * The readable form of a C++ or Rust symbol, with its parameters or without: "ns::f(int)" or
 * "ns::f"; any other name as it is.
 */
const char *crn_demangle(struct crn_store *store, const char *raw, bool has_parameters);

#endif
