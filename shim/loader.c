/*
 * dlopen and dlclose.  dlopen itself is a tail jump in entry_x86_64.S.
 */
#include "shim/state.h"
#include "stack/rules.h"

extern void *crn_real_dlopen __attribute__((visibility("hidden")));
void *crn_real_dlopen;
void crn_loader_find(void) __attribute__((visibility("hidden")));

void crn_loader_find(void)
{
    crn_real_dlopen = crn_shim_next("dlopen");
}

CRN_EXPORT int dlclose(void *library);
CRN_EXPORT int dlclose(void *library)
{
    static int (*real)(void *);
    if (real == NULL)
        real = (int (*)(void *))crn_shim_next("dlclose");
    int result = real(library);
    crn_rules_flush(); /* other code may come to the same addresses */
    return result;
}
