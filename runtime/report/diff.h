#ifndef CRN_REPORT_DIFF_H
#define CRN_REPORT_DIFF_H
/*
 * What is new, gone and grown between two reports.
 *
 *     OLD: processes --+                              +--> leaks, by id
 *                      +--> programs: who is whose ---+
 *     NEW: processes --+                              +--> coroutines, by kind
 *                                                     +--> what is alive, by id
 *
 * Processes are compared by program: executable and arguments, else the executable's name and its
 * arguments behind the first, else its name alone; what is left over, one on either side, is
 * compared, too.  Where all processes of a program bear the same pids on both sides, each is
 * compared with itself (a process that was looked at twice); otherwise their sums are: which worker
 * of a pool leaks is chance.
 *
 * Where stacks were sampled the amount of a stack is an estimate.  It has changed only where it
 * did so by more than twice its standard error.
 */
#include <stdio.h>

#include "report/model.h"

enum crn_change {
    CRN_CHANGE_NEW,
    CRN_CHANGE_GONE,
    CRN_CHANGE_GROWN,
    CRN_CHANGE_SHRUNK,
    CRN_CHANGE_NONE,
    CRN_CHANGE_COUNT
};
extern const char *const crn_change_words[CRN_CHANGE_COUNT]; /* "new", ... "unchanged" */

/* What one report says of a row.  Of coroutines: how many, and the bytes of their stacks. */
struct crn_diff_amounts {
    uint64_t blocks, bytes;
    uint64_t indirect_blocks, indirect_bytes;
    uint64_t proven_blocks; /* of `blocks` */
    uint64_t entries;       /* of the report; 0: it says nothing */
    double variance;        /* of the bytes, where they are an estimate; 0: they are exact */
};

/* A leak, a kind of coroutines, or what is alive of an allocation stack. */
struct crn_diff_row {
    uint64_t id; /* of the leak; of coroutines: of name, mechanism, state and where they stopped */
    enum crn_change change;
    struct crn_diff_amounts old, new;
    const struct crn_leak *leak;           /* the biggest entry, in NEW if it is there */
    const struct crn_coroutine *coroutine; /* the same, of coroutines */
    const struct crn_live *live;           /* the same, of what is alive */
    bool is_proven; /* NEW has blocks of this leak that are proven, and OLD has none */
    bool is_likely; /* neither has proven ones, and OLD has none at all */
};

struct crn_diff_list {
    struct crn_diff_row *rows; /* by change; within one, what changed most comes first */
    size_t count;
    size_t counts[CRN_CHANGE_COUNT]; /* rows of each */
};

/* Where the rows of a change begin; list->counts says how many there are. */
const struct crn_diff_row *crn_diff_rows(const struct crn_diff_list *list, enum crn_change change);

/* What one report says of a program. */
struct crn_diff_side {
    const struct crn_process *const *processes;
    size_t count, checked_count; /* 0: the report does not know the program, or did not check it */
    struct crn_amount leaked, likely, live;
    uint64_t coroutines, resurrected; /* seen alive: all but those destroyed */
    bool has_coroutines;              /* they are listed, or there are none */
    bool has_live;                    /* what is alive is listed */
    bool is_partial; /* leaks may be there without an entry: sampled, or left out */
};

struct crn_diff_program {
    struct crn_diff_side old, new;
    bool is_compared; /* both, or the only one there is, were checked; else the lists are empty */
    struct crn_diff_list leaks;
    bool has_coroutines; /* both list them; else there is no list */
    struct crn_diff_list coroutines;
    bool has_live; /* both looked at it; else there is no list */
    struct crn_diff_list live;
};

struct crn_diff {
    struct crn_store *store; /* of the caller */
    struct crn_diff_program *programs;
    size_t count, compared_count;
};

/*
 * Compares two reports, which must live as long as what comes back; that belongs to `store`.
 * Costs as much as sorting the rows of both.
 */
struct crn_diff *crn_diff_make(struct crn_store *store, const struct crn_report *old,
                               const struct crn_report *new);

/* The same of one process that was looked at twice. */
struct crn_diff_program *crn_diff_processes(struct crn_store *store, const struct crn_process *old,
                                            const struct crn_process *new);

/*
 * Whether NEW has a proven leak that OLD has not; when `strict`, a likely one, too.  Where OLD may
 * have left an entry out, that is told only if more is leaked.
 */
bool crn_diff_is_worse(const struct crn_diff *diff, bool strict);

/*
 * The same for coroutines of equal name, mechanism and state that stopped in the same functions,
 * from build to build.
 */
uint64_t crn_coroutine_kind(const struct crn_coroutine *coroutine);

/* Whether there are at least twice as many coroutines of a kind, and two more. */
bool crn_diff_has_doubled(const struct crn_diff_row *row);

/* What a person is told beside the lists: in which way the reports cannot be compared. */
struct crn_diff_names {
    const char *old, *new;           /* what the reports are called */
    const char *old_kind, *new_kind; /* "recording" or "json" */
};

/* For a person: at most `rows_max` of a list that changed one way (0: all). */
void crn_diff_write_text(const struct crn_diff *diff, const struct crn_diff_names *names,
                         size_t rows_max, FILE *file, bool has_color);

/* For programs: README.md, "The JSON of a comparison".  At most `frames_max` of a stack (0: all).
 */
void crn_diff_write_json(const struct crn_diff *diff, const struct crn_diff_names *names,
                         uint32_t frames_max, FILE *file);

/* Calls visit() with each sentence about what could not be compared. */
void crn_diff_warnings(const struct crn_diff *diff, const struct crn_diff_names *names,
                       void (*visit)(const char *text, void *user), void *user);

#endif
