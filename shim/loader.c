/*
 * dlopen and dlclose.  dlopen itself is a tail jump in entry_x86_64.S.
 */
#include "shim/state.h"
#include "record/modules.h"
#include "stack/rules.h"

extern void *crn_real_dlopen __attribute__((visibility("hidden")));
void *crn_real_dlopen;
void crn_loader_find(void) __attribute__((visibility("hidden")));

void crn_loader_find(void)
{
    crn_real_dlopen = crn_shim_next("dlopen");
}

static void modules_note(void *unused)
{
    (void)unused;
    crn_modules_note(crn_self->tid);
}

CRN_EXPORT int dlclose(void *library);
CRN_EXPORT int dlclose(void *library)
{
    static int (*real)(void *);
    if (real == NULL)
        real = (int (*)(void *))crn_shim_next("dlclose");
    struct crn_thread *self = crn_shim_thread();
    if (self != NULL && !self->is_busy && crn_shim.takes_stacks)
        crn_shim_on_scratch(self, modules_note, NULL);
    int result = real(library);
    crn_rules_flush(); /* other code may come to the same addresses */
    return result;
}
