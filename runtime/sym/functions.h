#ifndef CRN_SYM_FUNCTIONS_H
#define CRN_SYM_FUNCTIONS_H
/*
 * Finds the function around an address in debugging information, and what was inlined there, fast
 * enough to ask for every frame of a large report.
 *
 * libdw would find the compilation unit by .debug_aranges, which clang and rustc leave out, and
 * the function and the inlined ones by walking the unit's whole tree at each question.  Here a
 * module's units are indexed once, the functions of a unit when it is first asked about, and what
 * was inlined into a function when that is first asked about:
 *
 *     address --> unit (a span of its ranges) --> function (a span of its ranges)
 *             --> the innermost inlined one (a segment of the function) --> what it is in
 *
 * The tree of damaged or hostile information may lead back into itself.  A walk takes entries only
 * in the order in which they lie there, so it ends.
 */
#include <elfutils/libdw.h>

#include "base/base.h"

struct crn_functions;

/* An index over `dwarf`, which must outlive it. */
struct crn_functions *crn_functions_create(Dwarf *dwarf);
void crn_functions_destroy(struct crn_functions *functions);

/* The concrete function at an address and what was inlined there, outermost first. */
struct crn_scopes {
    Dwarf_Die unit; /* that holds the line table */
    const Dwarf_Die *rows[64];
    unsigned count; /* 0: the unit has no function there (assembler) */
};

/*
 * Finds who owns `address` (as the debugging information counts).  Answers false when no unit
 * covers it.  The rows belong to the index.
 */
bool crn_functions_find(struct crn_functions *functions, Dwarf_Addr address,
                        struct crn_scopes *scopes);

#endif
