#ifndef CRN_CHECK_MEMORY_H
#define CRN_CHECK_MEMORY_H
/*
 * Memory that is not the heap, as a row of the recording: what is resident of it, and how much is
 * left.
 */
#include "mark/mark.h"
#include "record/draft.h"

/* What bounds the process beside the machine; UINT64_MAX: nothing is known to. */
struct crn_memory_limit {
    uint64_t limit_bytes, left_bytes;
};

/*
 * Adds the row.  Coroutine stacks are known if all coroutines are listed in the draft already.
 * Reads the memory map with its details: 5 ms a gigabyte, 16 KiB of stack.
 */
void crn_memory_add(struct crn_draft *draft, bool lists_all, struct crn_memory_limit limit);

#endif
