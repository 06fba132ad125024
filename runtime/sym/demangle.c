/*
 * Names as a programmer wrote them, by libiberty's demangler.
 */
#include "sym/demangle.h"

#include <stdlib.h>
#include <string.h>

#include <libiberty/demangle.h>

const char *crn_demangle(struct crn_store *store, const char *raw, bool has_parameters)
{
    /* Both schemes mark their names; everything else is C and stays away from the demangler. */
    if (strncmp(raw, "_Z", 2) != 0 && strncmp(raw, "_R", 2) != 0)
        return crn_store_text(store, raw);
    char *readable =
        cplus_demangle(raw, DMGL_AUTO | (has_parameters ? DMGL_PARAMS | DMGL_ANSI : 0));
    const char *kept = crn_store_text(store, readable != NULL ? readable : raw);
    free(readable);
    return kept;
}
