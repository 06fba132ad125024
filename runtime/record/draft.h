#ifndef CRN_DRAFT_H
#define CRN_DRAFT_H
/*
 * A recording in the making: sections that grow, in memory of Coroner's own.
 *
 * The target fills a draft after each mark and writes it once, at the very end.  Not thread safe;
 * works while other threads stand still.  When memory runs out rows are dropped and `is_partial`
 * is set.
 */
#include "base/vm.h"
#include "record/format.h"

struct crn_draft_section {
    char *rows;
    size_t row_bytes, count, room;
};

struct crn_draft {
    struct crn_arena arena;
    struct crn_draft_section sections[CRN_SECTION_COUNT];
    uint32_t *row_of_node; /* open addressing over (tree node, row) pairs */
    size_t row_of_node_mask, row_of_node_count;
    bool is_partial;
    struct crn_record_process process;
};

void crn_draft_init(struct crn_draft *draft);
void crn_draft_free(struct crn_draft *draft);

/* Appends rows to a section; answers the index of the first, 0 when there is no memory. */
uint32_t crn_draft_rows(struct crn_draft *draft, enum crn_record_section which, const void *rows,
                        size_t count);

/* Each answers the offset or row of what was added. */
uint32_t crn_draft_string(struct crn_draft *draft, const char *text);
uint32_t crn_draft_node(struct crn_draft *draft, uint32_t tree_node);
uint32_t crn_draft_link(struct crn_draft *draft, const struct crn_record_link *link);
uint32_t crn_draft_coro(struct crn_draft *draft, const struct crn_record_coro *coro);
void crn_draft_leak(struct crn_draft *draft, const struct crn_record_leak *leak);
void crn_draft_warning(struct crn_draft *draft, const char *format, ...) CRN_PRINTF(2, 3);

/*
 * Where a draft stands, and back to there: what was added of leaks, coroutines, chains, findings
 * and the live heap is dropped.
 */
struct crn_draft_place {
    size_t counts[CRN_SECTION_COUNT];
};
struct crn_draft_place crn_draft_place_get(const struct crn_draft *draft);
void crn_draft_rewind(struct crn_draft *draft, const struct crn_draft_place *place);

/* Adds exe, argv and the modules of this process, from /proc/self and the modules' headers. */
void crn_draft_self(struct crn_draft *draft);

/*
 * Writes the draft to the file `name` (mode 0600) of a directory, a descriptor or AT_FDCWD, by way
 * of a name beside it; 0 or a negative errno.
 */
int crn_draft_write(struct crn_draft *draft, int directory, const char *name);

/* All of it, as it is to be written, in memory for crn_vm_unmap; NULL: there is none for it. */
char *crn_draft_image(struct crn_draft *draft, size_t *bytes);

/* Writes it to a descriptor, say of a pipe; 0 or a negative errno. */
int crn_draft_send(struct crn_draft *draft, int fd);

#endif
