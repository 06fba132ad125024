/*
 * dlopen and dlclose.  dlopen itself is a tail jump in entry_x86_64.S.
 */
#include "shim/state.h"
#include "base/held.h"
#include "record/modules.h"
#include "stack/rules.h"

#include <limits.h>
#include <link.h>
#include <string.h>

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

/* Of the modules in one namespace, in the order in which they came, notes the last ones. */
static bool newest_note(const struct link_map *first, unsigned long long count)
{
    unsigned long long all = 0;
    bool is_noted = true;
    struct dl_find_object module;
    for (const struct link_map *map = first; map != NULL; map = map->l_next)
        all++;
    for (const struct link_map *map = first; map != NULL; map = map->l_next)
        if (all-- <= count && strchr(map->l_name, '/') != NULL &&
            _dl_find_object((void *)map->l_ld, &module) == 0)
            is_noted &=
                crn_module_note((uintptr_t)module.dlfo_map_start,
                                crn_align_up((uintptr_t)module.dlfo_map_end, CRN_PAGE_BYTES),
                                map->l_name, crn_self->tid);
    return is_noted;
}

/* Notes what was loaded since the last time.  While it runs, the loader lets its lists be. */
static int loaded_note(struct dl_phdr_info *info, size_t info_bytes, void *is_noted)
{
    static _Atomic unsigned long long loads_known;
    unsigned long long count = info->dlpi_adds - loads_known;
    (void)info_bytes;
    if (count == 0)
        return 1;
    const struct r_debug_extended *space = (const void *)&_r_debug;
    for (; space != NULL; space = space->base.r_version >= 2 ? space->r_next : NULL)
        *(bool *)is_noted &= newest_note(space->base.r_map, count);
    loads_known = info->dlpi_adds;
    return 1;
}

/*
 * Whether the program was about to change which files and calls it may use: then only the memory
 * map is read, as a check does.
 */
static bool is_confined(void)
{
    return crn_held_first(0, UINT_MAX) >= 0;
}

static void modules_note(void *unused)
{
    bool is_noted = !is_confined();
    (void)unused;
    if (is_noted)
        dl_iterate_phdr(loaded_note, &is_noted);
    if (!is_noted)
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
