#ifndef CRN_SYM_STORE_H
#define CRN_SYM_STORE_H
/*
 * Memory that lives as long as one report, and the texts in it, each kept once.
 *
 * The launcher builds a report, prints it and ends.  So nothing here is freed alone: a store
 * hands out pieces and takes all of them back at once.  When memory runs out there is no report
 * to be had, and the process ends with one line and status 2.
 */
#include "base/base.h"

struct crn_store;

struct crn_store *crn_store_create(void);
void crn_store_destroy(struct crn_store *store);

/* How many bytes were handed out. */
size_t crn_store_size(const struct crn_store *store);

/* `bytes` zeroed bytes, aligned for anything, valid until the store is destroyed. */
void *crn_store_bytes(struct crn_store *store, size_t bytes);

/*
 * The store's copy of `text`.  Equal texts get the same address, so texts of one store may be
 * compared and hashed by address.  NULL stays NULL.
 */
const char *crn_store_text(struct crn_store *store, const char *text);

/*
 * The same of a name or path that somebody else chose the length of: what stands behind its first
 * 4,096 bytes is left out, and "..." says so.
 */
const char *crn_store_name(struct crn_store *store, const char *name);

/* The same as crn_store_text() of a printf-like format. */
const char *crn_store_print(struct crn_store *store, const char *format, ...) CRN_PRINTF(2, 3);

/*
 * Makes room for one more row in an array from malloc: answers `rows`, moved when it was full.
 * *room is how many rows fit, 0 for a NULL array.  The caller frees it.
 */
void *crn_grow(void *rows, size_t count, size_t *room, size_t row_bytes);

/*
 * Says that memory ran out, unless somebody else does (crn_out_of_memory_is_told), and ends the
 * process with status 2.
 */
enum { CRN_EXIT_NO_MEMORY = 2 };
_Noreturn void crn_out_of_memory(void);
extern bool crn_out_of_memory_is_told;

#endif
