#ifndef CRN_SYM_LOCALS_H
#define CRN_SYM_LOCALS_H
/*
 * Names of local variables, by where they lie.
 */
#include <elfutils/libdw.h>

#include "sym/image.h"

/*
 * The name of a variable or parameter of `function`, or of a block or inlined function in it, that
 * lies in `place` while the code at `address` (as the debugging information counts) executes; the
 * innermost one's.  NULL: none does.
 */
const char *crn_local_name(Dwarf_Die *function, Dwarf_Addr address,
                           const struct crn_image_place *place);

#endif
