/*
 * What has risen between two looks.  See risen.h.
 */
#include "shim/launcher/ask/risen.h"

#include <stdlib.h>
#include <string.h>

#include "sym/store.h"

/* Whether the recording lists every block that it counts as leaked. */
static bool lists_all(const struct crn_recording *recording)
{
    uint64_t blocks = 0;
    for (uint64_t i = 0; i < recording->counts[CRN_SECTION_LEAKS]; i++)
        blocks += recording->leaks[i].blocks + recording->leaks[i].indirect_blocks;
    return (recording->process->flags & CRN_PROCESS_CHECKED) != 0 &&
           blocks == recording->counts[CRN_SECTION_OBJECTS];
}

static int by_address(const void *a, const void *b)
{
    const struct crn_record_object *left = a, *right = b;
    return (left->address > right->address) - (left->address < right->address);
}

/* The objects in the order of their addresses; from malloc. */
static struct crn_record_object *objects_sort(const struct crn_recording *recording)
{
    size_t count = recording->counts[CRN_SECTION_OBJECTS];
    struct crn_record_object *objects = malloc((count + 1) * sizeof *objects);
    if (objects == NULL)
        crn_out_of_memory();
    if (count > 0) {
        memcpy(objects, recording->objects, count * sizeof *objects);
        qsort(objects, count, sizeof *objects, by_address);
    }
    return objects;
}

struct crn_risen crn_risen_find(const struct crn_recording *first,
                                const struct crn_recording *second)
{
    struct crn_risen risen = {.is_known = lists_all(first) && lists_all(second)};
    if (!risen.is_known)
        return risen;
    struct crn_record_object *objects = objects_sort(second);
    for (uint64_t i = 0; i < first->counts[CRN_SECTION_OBJECTS]; i++) {
        const struct crn_record_object *object = &first->objects[i];
        if (first->leaks[object->leak].confidence != CRN_PROVEN)
            continue;
        const struct crn_record_object *again =
            bsearch(object, objects, second->counts[CRN_SECTION_OBJECTS], sizeof *objects,
                    by_address);
        if (again != NULL && again->birth <= object->birth)
            continue;
        risen.blocks++;
        risen.bytes += object->bytes;
    }
    free(objects);
    return risen;
}
