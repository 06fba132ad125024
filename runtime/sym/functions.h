#ifndef CRN_SYM_FUNCTIONS_H
#define CRN_SYM_FUNCTIONS_H
/*
 * Finds the function around an address in debugging information, fast enough to ask for every
 * frame of a large report.
 *
 * libdw would find the compilation unit by .debug_aranges, which clang and rustc leave out, and
 * the function by walking the unit's whole tree at each question.  Here a module's units are
 * indexed once, and the functions of a unit when it is first asked about:
 *
 *     address --> unit (a span of its ranges) --> function (a span of its ranges)
 */
#include <elfutils/libdw.h>

#include "base/base.h"

struct crn_functions;

/* An index over `dwarf`, which must outlive it. */
struct crn_functions *crn_functions_create(Dwarf *dwarf);
void crn_functions_destroy(struct crn_functions *functions);

/*
 * Finds who owns `address` (as the debugging information counts).  Answers false when no unit
 * covers it.  `unit` is the one that holds the line table; `function` is the concrete function,
 * with its `addr` NULL when the unit has none there (assembler).
 */
bool crn_functions_find(struct crn_functions *functions, Dwarf_Addr address, Dwarf_Die *unit,
                        Dwarf_Die *function);

#endif
