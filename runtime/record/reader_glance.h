#ifndef CRN_RECORD_GLANCE_H
#define CRN_RECORD_GLANCE_H
/*
 * What a recording says at a glance: for whoever has no memory, or no trust, for all of it.
 */
#include "base/base.h"
#include "record/format.h"

struct crn_record_glance {
    uint32_t pid;
    uint32_t flags;       /* enum crn_process_flags */
    char name[40];        /* of its executable, fit for a file's name; "": not known */
    bool has_proven_leak; /* suppressions would have to be asked yet */
    bool has_news;        /* a leak, however sure, or a finding */
};

/*
 * Reads what the file's header, process and leaks say, by small reads of the descriptor (a regular
 * file, from its beginning; its position stays).  Neither allocates nor trusts what it reads.
 *
 * Answers false when this is no recording of this version, or not all of one.
 */
bool crn_record_glance(int fd, struct crn_record_glance *glance);

#endif
