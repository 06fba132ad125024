#ifndef CRN_REPORT_SUPPRESSIONS_H
#define CRN_REPORT_SUPPRESSIONS_H
/*
 * The list of what the user does not want to hear about, and the built-in one.
 *
 * A file holds a suppression a line; blank lines and lines that begin with # say nothing:
 *
 *     leak:PATTERN       a function, module or source file of any frame that allocated the block
 *     chain:PATTERN      any name in the chain that holds it
 *     coroutine:PATTERN  the coroutine, or a function that created it or where it stopped
 */
#include "base/base.h"

enum crn_suppression_kind {
    CRN_SUPPRESS_LEAK,
    CRN_SUPPRESS_CHAIN,
    CRN_SUPPRESS_COROUTINE,
    CRN_SUPPRESS_BUILTIN, /* a function of the C or C++ runtime; the verdict `lost` only */
    CRN_SUPPRESS_KIND_COUNT
};

/* One of them, and what it has silenced. */
struct crn_suppression {
    char *pattern;
    enum crn_suppression_kind kind;
    uint64_t blocks, bytes;
};

/* What its line begins with: "leak:". */
const char *crn_suppression_prefix(enum crn_suppression_kind kind);

struct crn_suppressions;

/* A list that holds the built-in suppressions. */
struct crn_suppressions *crn_suppressions_create(void);
void crn_suppressions_destroy(struct crn_suppressions *suppressions);

/*
 * Adds the suppressions of the file `path`.
 *
 * Returns CRN_OK, or CRN_ERR_SYSTEM (the file cannot be read) or CRN_ERR_INVALID (a bad line)
 * with one line in `message` (always terminated) that names the place, the mistake and the mend.
 */
enum crn_status crn_suppressions_read(struct crn_suppressions *suppressions, const char *path,
                                      char *message, size_t message_bytes);

/*
 * A list of its own from the lines of a text that a program answers, without the built-in ones.  A
 * bad line is skipped, and so is what follows after the first thousand lines; the first bad line or
 * that is told in `message`, which is empty otherwise.
 */
struct crn_suppressions *crn_suppressions_of_text(const char *text, char *message,
                                                  size_t message_bytes);

/* The first pattern of that kind that matches `text`; NULL: none.  NULL matches nothing. */
struct crn_suppression *crn_suppressions_find(const struct crn_suppressions *suppressions,
                                              enum crn_suppression_kind kind, const char *text);

/* Calls visit() for each. */
void crn_suppressions_visit(const struct crn_suppressions *suppressions,
                            void (*visit)(const struct crn_suppression *, void *user), void *user);

/* Whether a pattern of that kind matches `text`; NULL matches nothing. */
bool crn_suppressions_match(const struct crn_suppressions *suppressions,
                            enum crn_suppression_kind kind, const char *text);

/* Whether there is any pattern of that kind. */
bool crn_suppressions_has(const struct crn_suppressions *suppressions,
                          enum crn_suppression_kind kind);

#endif
