#ifndef CRN_OPTIONS_H
#define CRN_OPTIONS_H
/*
 * The options of Coroner, from one table (options.def), for the command line and for
 * CORONER_OPTIONS alike.  Nothing here allocates: values point into the caller's text.
 */
#include "base/base.h"

enum crn_bad_free_mode {
    CRN_BAD_FREE_ABORT,
    CRN_BAD_FREE_REPORT,
    CRN_BAD_FREE_IGNORE,
    CRN_BAD_FREE_MODES
};
extern const char *const crn_bad_free_words[CRN_BAD_FREE_MODES];
enum crn_scrub_mode { CRN_SCRUB_NO, CRN_SCRUB_SMALL, CRN_SCRUB_ALL, CRN_SCRUB_MODES };
extern const char *const crn_scrub_words[CRN_SCRUB_MODES];
enum crn_stacks_mode { CRN_STACKS_OFF, CRN_STACKS_SAMPLED, CRN_STACKS_FULL };

enum { CRN_SUPPRESSION_FILES_MAX = 16, CRN_OPTIONS_MAX = 48 };

/* Who says what an option is: a later one of these overrides an earlier one. */
enum crn_option_source {
    CRN_SOURCE_DEFAULT,
    CRN_SOURCE_PROGRAM, /* __lsan_default_options() */
    CRN_SOURCE_LSAN,    /* LSAN_OPTIONS */
    CRN_SOURCE_OWN,     /* CORONER_OPTIONS, then the command line */
};

struct crn_options {
    const char *format; /* "text" or "json" */
    const char *output; /* "" for the default place */
    const char *record; /* "" for none */
    enum crn_stacks_mode stacks;
    uint64_t sample_bytes; /* mean distance between samples; only for CRN_STACKS_SAMPLED */
    unsigned error_exitcode;
    bool strict;
    bool live;
    bool follow_children;
    bool fold_recursion;
    bool coroutines;
    bool full;
    unsigned cancel_grace_ms;
    unsigned suppressions_count;
    const char *suppressions[CRN_SUPPRESSION_FILES_MAX];
    enum crn_bad_free_mode on_bad_free;
    enum crn_scrub_mode scrub;
    unsigned max_pause; /* ms; counts if it was given: see sources */
    unsigned check_signal;    /* 0: none */
    uint64_t check_every;     /* s; 0: never */
    uint64_t check_at;        /* bytes; 0: never */
    unsigned keep;
    bool quiet;
    bool stale;
    bool debuginfod;
    bool detect_leaks, leak_check_at_exit;
    unsigned max_leaks;           /* 0: all */
    unsigned malloc_context_size; /* 0: no limit */
    bool report_objects, print_suppressions;
    bool use_globals, use_stacks, use_registers, use_tls, use_root_regions, use_unaligned;
    unsigned verify_stacks;    /* compare every so many-th stack with libunwind's; 0: none */
    const char *verify_output; /* where that is told; "": standard error */
    bool deliver;              /* `report` works for the shim: the recording is its own */
    bool itself;               /* `check` works for the shim: the process is its own */
    const char *late_reports;  /* where they go that outlive the launcher; "": see deliver.c */
    const char *fail_call;     /* base/fail.h, which reads both earlier than anybody else can */
    const char *count_calls;
    const char *await_check;          /* shim/await.h */
    uint8_t sources[CRN_OPTIONS_MAX]; /* enum crn_option_source, by row of the table */
};

struct crn_option_row {
    const char *key;      /* as in CORONER_OPTIONS; '_' is '-' in the long option */
    const char *type;     /* first word of its type in options.def */
    const char *fallback; /* its default, as text */
    const char *argument; /* "" for a flag */
    const char *help;
    size_t offset; /* of its field in struct crn_options */
};
extern const struct crn_option_row crn_option_rows[];
extern const unsigned crn_option_rows_count;

/* Sets every option to its default. */
void crn_options_init(struct crn_options *options);

/* Whether an option needs no value. */
bool crn_option_may_stand_alone(const struct crn_option_row *row);

/* The row of a key, or -1. */
int crn_option_find(const char *key);

/*
 * Sets one option from text.  `value` NULL switches a flag on.  The value is kept by address:
 * it must live as long as `options`.  What a stronger source has said stays, and a stronger one's
 * list of suppressions takes the place of a weaker one's.
 *
 * Returns CRN_OK, or CRN_ERR_INVALID with one line in `message` (always terminated) that names
 * the mistake and the mend; `options` is then unchanged.
 */
enum crn_status crn_options_set(struct crn_options *options, const char *key, const char *value,
                                enum crn_option_source source, char *message,
                                size_t message_bytes);

/*
 * Reads "key=value:key=value".  A value may be quoted ('…' or "…") to hold a colon.  `text` is
 * cut in place and must live as long as `options`.  What cannot be taken is told to `warn`, a
 * line each, and skipped.  The source is CRN_SOURCE_OWN.
 */
void crn_options_parse(struct crn_options *options, char *text,
                       void (*warn)(const char *message, void *user), void *user);

/* Finds the end of a value among `separators`, cuts it there and takes quotes off; answers what
 * follows it. */
char *crn_option_value_cut(char **value, const char *separators);

#endif
