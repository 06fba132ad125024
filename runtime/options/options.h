#ifndef CRN_OPTIONS_H
#define CRN_OPTIONS_H
/*
 * The options of Coroner, from one table (options.def), for the command line and for
 * CORONER_OPTIONS alike.  Nothing here allocates: values point into the caller's text.
 */
#include "base/base.h"

enum crn_stacks_mode { CRN_STACKS_OFF, CRN_STACKS_SAMPLED, CRN_STACKS_FULL };

enum { CRN_SUPPRESSION_FILES_MAX = 16 };

struct crn_options {
    const char *format; /* "text" or "json" */
    const char *output; /* "" for the default place */
    const char *record; /* "" for none */
    enum crn_stacks_mode stacks;
    uint64_t sample_bytes; /* mean distance between samples; only for CRN_STACKS_SAMPLED */
    unsigned error_exitcode;
    bool strict;
    bool follow_children;
    bool coroutines;
    unsigned cancel_grace_ms;
    unsigned suppressions_count;
    const char *suppressions[CRN_SUPPRESSION_FILES_MAX];
};

struct crn_option_row {
    const char *key;      /* as in CORONER_OPTIONS; '_' is '-' in the long option */
    const char *type;     /* first word of its type in options.def */
    const char *fallback; /* its default, as text */
    const char *argument; /* "" for a flag */
    const char *help;
};
extern const struct crn_option_row crn_option_rows[];
extern const unsigned crn_option_rows_count;

/* Sets every option to its default. */
void crn_options_init(struct crn_options *options);

/*
 * Sets one option from text.  `value` NULL switches a flag on.  The value is kept by address:
 * it must live as long as `options`.
 *
 * Returns CRN_OK, or CRN_ERR_INVALID with one line in `message` (always terminated) that names
 * the mistake and the mend; `options` is then unchanged.
 */
enum crn_status crn_options_set(struct crn_options *options, const char *key, const char *value,
                                char *message, size_t message_bytes);

/*
 * Reads "key=value:key=value".  A value may be quoted ('…' or "…") to hold a colon.  `text` is
 * cut in place and must live as long as `options`.  What cannot be taken is told to `warn`, a
 * line each, and skipped.
 */
void crn_options_parse(struct crn_options *options, char *text,
                       void (*warn)(const char *message, void *user), void *user);

#endif
