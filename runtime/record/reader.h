#ifndef CRN_RECORD_READER_H
#define CRN_RECORD_READER_H
/*
 * Opens a raw recording for the launcher and proves it whole, so that everybody above may follow
 * its indices blindly.
 */
#include "base/base.h"
#include "record/format.h"

/* A whole recording: the rows of each section, pointing into `bytes`.  See format.h. */
struct crn_recording {
    unsigned char *bytes;
    uint64_t total_bytes;
    const struct crn_record_process *process;
    const char *strings;
    const uint32_t *argv, *warnings;
    const struct crn_record_module *modules;
    const struct crn_record_node *nodes;
    const struct crn_record_coro *coros;
    const struct crn_record_leak *leaks;
    const struct crn_record_link *links;
    const struct crn_record_finding *findings;
    const struct crn_record_object *objects;
    const struct crn_record_sample *samples;
    const struct crn_record_live *live;
    const struct crn_record_place *places;
    const struct crn_record_memory *memory; /* NULL: nobody looked */
    uint64_t counts[CRN_SECTION_COUNT];
};

/*
 * Reads the file `path` and checks R1 to R4 of format.h, and that every number that stands
 * for a word (a verdict, a state, ...) is one this version knows.  The file may be a pipe; it is
 * read once, into memory, so what happens to it later does not matter.
 *
 * Returns CRN_OK and a recording for crn_record_close(), or
 *     CRN_ERR_SYSTEM     the file cannot be opened or read
 *     CRN_ERR_FORMAT     it is not a whole recording of this version
 *     CRN_ERR_NO_MEMORY  it is larger than memory
 * with one line in `message` (always terminated) that names the file, the mistake and the mend;
 * *recording is then empty.
 */
enum crn_status crn_record_open(const char *path, struct crn_recording *recording, char *message,
                                size_t message_bytes);

/*
 * The same for bytes in memory, from malloc, which the recording takes over (and frees when it
 * refuses them); `name` stands for the path in messages.
 */
enum crn_status crn_record_adopt(unsigned char *bytes, uint64_t total_bytes, const char *name,
                                 struct crn_recording *recording, char *message,
                                 size_t message_bytes);

/* Frees what crn_record_open() filled; an empty recording is fine. */
void crn_record_close(struct crn_recording *recording);

/* The text of a string of this recording; "" when unknown. */
CRN_INLINE const char *crn_record_text(const struct crn_recording *recording, uint32_t string)
{
    return recording->strings + string;
}

/* The module that was mapped at `address`, or NULL. */
const struct crn_record_module *crn_record_find_module(const struct crn_recording *recording,
                                                       uint64_t address);

#endif
