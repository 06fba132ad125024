/*
 * dlopen and dlclose.  dlopen itself is a tail jump in entry_x86_64.S.
 */
#include "shim/state.h"
#include "record/modules.h"
#include "stack/rules.h"

#include <link.h>

extern void *crn_real_dlopen __attribute__((visibility("hidden")));
void *crn_real_dlopen;
void crn_note_dlopen(void) __attribute__((visibility("hidden")));

static int unloads_read(struct dl_phdr_info *info, size_t info_bytes, void *count)
{
    (void)info_bytes;
    *(unsigned long long *)count = info->dlpi_subs;
    return 1;
}

/* libc unloads modules of its own (iconv's) without asking us: to their place another may come. */
void crn_note_dlopen(void)
{
    static _Atomic unsigned long long unloads_known;
    unsigned long long unloads = 0;
    if (crn_real_dlopen == NULL)
        crn_real_dlopen = crn_shim_next("dlopen");
    dl_iterate_phdr(unloads_read, &unloads);
    if (unloads_known != unloads) {
        unloads_known = unloads;
        crn_rules_flush();
    }
}

static void modules_note(void *unused)
{
    (void)unused;
    crn_modules_note(crn_self->tid);
}

CRN_EXPORT CRN_REALIGNED int dlclose(void *library);
CRN_EXPORT CRN_REALIGNED int dlclose(void *library)
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
