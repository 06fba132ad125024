/*
 * What stands behind a mapping.  See backing.h.
 */
#include "snap/backing.h"

#include <string.h>

enum crn_backing crn_backing_of(const struct crn_map_entry *entry)
{
    static const struct {
        const char *path;
        enum crn_backing backing;
    } known[] = {
        {"/dev/shm/", CRN_BACKED_BY_MEMORY},
        {"/dev/zero", CRN_BACKED_BY_MEMORY},
        {"/dev/hugepages", CRN_BACKED_BY_MEMORY},
        {"/memfd:", CRN_BACKED_BY_MEMORY},
        {"/SYSV", CRN_BACKED_BY_MEMORY},
        {"/anon_hugepage", CRN_BACKED_BY_MEMORY},
        {"/dmabuf:", CRN_BACKED_BY_DEVICE},
        {"/drm mm object", CRN_BACKED_BY_DEVICE},
        {"/dev/", CRN_BACKED_BY_DEVICE},
        {"/sys/", CRN_BACKED_BY_DEVICE},
        {"/proc/", CRN_BACKED_BY_DEVICE},
        {"anon_inode:[perf_event]", CRN_BACKED_BY_OTHER},
        {"anon_inode:kvm-vcpu", CRN_BACKED_BY_OTHER},
        {"anon_inode:bpf-map", CRN_BACKED_BY_MEMORY},
    };
    bool is_device = entry->details != NULL && (entry->details->flags & CRN_MAP_DEVICE) != 0;
    for (unsigned i = 0; i < CRN_COUNT_OF(known); i++)
        if (strncmp(entry->path, known[i].path, strlen(known[i].path)) == 0)
            return known[i].backing;
    if (is_device && entry->path[0] != '[')
        return CRN_BACKED_BY_DEVICE;
    if ((entry->flags & CRN_MAP_FILE) == 0)
        return CRN_BACKED_BY_NOTHING;
    return entry->path[0] == '/' ? CRN_BACKED_BY_FILE : CRN_BACKED_BY_DEVICE;
}

bool crn_backing_is_shared_memory(const struct crn_map_entry *entry)
{
    enum crn_backing backing = crn_backing_of(entry);
    if ((entry->flags & CRN_MAP_SHARED) == 0 || strncmp(entry->path, "[v", 2) == 0)
        return false;
    return backing == CRN_BACKED_BY_MEMORY ||
           ((backing == CRN_BACKED_BY_FILE || backing == CRN_BACKED_BY_NOTHING) &&
            (entry->flags & CRN_MAP_WRITE) != 0);
}
