#ifndef CRN_REPORT_MODEL_H
#define CRN_REPORT_MODEL_H
/*
 * A report as the renderers see it: recordings with names for addresses, without what was
 * suppressed, alike leaks made one, the biggest first.
 *
 *     recording --build.c--> process, leaks, findings, coroutines --text.c, json.c--> bytes
 *
 * Everything belongs to the report and lives until crn_report_destroy().  A text that is NULL is
 * unknown, and so is a stack that is NULL.
 */
#include "options/options.h"
#include "record/reader.h"
#include "report/suppressions.h"
#include "sym/sym.h"

/* Frames innermost first, Coroner's own left out. */
struct crn_stack {
    const struct crn_named_frame *const *frames;
    uint32_t count;
    uint64_t key; /* equal for stacks that a reader could not tell apart */
};

/* How old things alike are, in seconds; `oldest_s` negative: not known. */
struct crn_age_range {
    double oldest_s, median_s, youngest_s;
};

struct crn_coroutine {
    const char *name; /* without parameters, if it is a function's */
    enum crn_mechanism mechanism;
    enum crn_coro_state state;
    uint64_t count; /* coroutines alike */
    const struct crn_stack *created, *suspended;
    uint64_t stack_bytes, touched_bytes, retained_bytes; /* of all; UINT64_MAX: unknown */
    struct crn_age_range ages;
    uint64_t key; /* equal for coroutines that a reader could not tell apart */
};

struct crn_link {
    enum crn_link_kind kind;
    enum crn_root_kind root;  /* of a root */
    const char *name;         /* of a root, or the local that a coroutine holds it by */
    const char *module;       /* of a root */
    const char *allocated_in; /* of a block: a function */
    const struct crn_coroutine *coroutine;
    bool is_own;     /* no word of the coroutine leads on: what follows is its own memory */
    uint64_t offset; /* into the variable, block, stack or coroutine frame */
    uint64_t bytes;  /* of a block or the leak */
    uint64_t skipped; /* links before this one that are left out */
};

struct crn_chain {
    const struct crn_link *links;
    uint32_t count; /* 0: none */
};

/* What samples come to, when each counts for as many blocks as it stands for. */
struct crn_estimate {
    double blocks, bytes;
    uint64_t sampled; /* how many blocks that rests on */
};

/* Where blocks were allocated that a leak's blocks hold; known by samples. */
struct crn_behind {
    const struct crn_stack *stack;
    struct crn_estimate estimate;
    struct crn_behind *next; /* of the same leak; NULL: the last */
};

/* A leaked block. */
struct crn_object {
    uint64_t address, bytes;
    bool is_indirect;
    const struct crn_object *next; /* of the same leak; NULL: the last */
};

struct crn_leak {
    uint64_t id; /* the same from run to run */
    enum crn_verdict verdict;
    enum crn_confidence confidence;
    const char *why;
    uint64_t blocks, bytes;
    uint64_t indirect_blocks, indirect_bytes;
    uint64_t retained_bytes;
    struct crn_age_range ages; /* of the direct ones */
    const struct crn_stack *allocated;
    const struct crn_coroutine *coroutine; /* NULL: none */
    uint64_t coroutine_count;              /* how many like it hold blocks of this leak */
    struct crn_chain chain;
    struct crn_object *objects, *last_object; /* where they were asked for; NULL: none */
    bool is_sampled;              /* its stack stands for others that nobody took */
    bool is_missed;               /* stacks were sampled, and no sample fell on it */
    struct crn_estimate estimate; /* of the direct blocks with this stack, if it is */
    struct crn_behind *behind;    /* sampled among the indirect ones; NULL: none */
    uint64_t explained_bytes;     /* if missed: by samples of its family */
    bool is_unjudged;             /* missed, and a suppression might have matched its stack */
    uint64_t row; /* in the recording: the last resort of sorting */
    uint64_t family; /* equal for leaks of equal verdict, confidence and holder */
    uint64_t key; /* equal for leaks of one process that are to be one */
};

/* Blocks of one allocation stack that are alive and not leaked. */
struct crn_live {
    uint64_t id; /* the same from run to run */
    const struct crn_stack *allocated;
    uint64_t blocks, bytes; /* where stacks were sampled: those that samples fell on */
    bool is_sampled;
    struct crn_estimate estimate; /* what they stand for, if they were */
    uint64_t retained_bytes;      /* UINT64_MAX: unknown */
    enum crn_growth_shape shape;
    double bytes_per_s; /* how fast it grows; negative: unknown */
    double since_s;     /* how long before the check that began; negative: unknown */
    struct crn_record_age ages[CRN_AGE_COUNT];
    struct crn_chain chain; /* to one of the older blocks; none: unknown */
    uint64_t key;           /* equal for rows of one process that are to be one */
};

struct crn_finding {
    enum crn_finding_kind kind;
    const struct crn_coroutine *coroutine;
    uint64_t object, object_bytes; /* 0: none */
    uint64_t object_retained;      /* with what it leads to; 0: unknown */
    const char *scope, *why;
    const struct crn_stack *stack;
    struct crn_chain chain;
    uint64_t count;
};

struct crn_amount {
    uint64_t blocks, bytes;
};

/* How the process was at the check before this one. */
struct crn_since {
    uint64_t number; /* of that check */
    double ago_s;
    bool has_risen; /* it is known whether what was called proven then is still there */
    uint64_t risen_blocks, risen_bytes; /* that were freed or used since: they were not leaked */
    const struct crn_diff_program *diff;
};

struct crn_process {
    uint64_t pid, parent_pid;
    const char *exe;
    const char *const *argv;
    uint32_t argc;
    int exit_code;   /* -1: unknown */
    int exit_signal; /* 0: none */
    double duration_s;
    enum crn_check_kind check_kind;
    bool goes_on;    /* it had not ended: nobody says how it did */
    bool is_checked; /* else what follows is unknown */
    uint64_t check_number;
    double predicted_pause_s; /* negative: nobody foresaw it */
    uint64_t copied_bytes;    /* while a snapshot stood */
    struct crn_amount leaked, likely, suppressed, live;
    struct crn_amount unjudged[2]; /* by confidence; part of leaked: suppressions may mean them */
    uint64_t sample_bytes; /* between two sampled stacks; 0: they were not sampled */
    struct crn_amount by_verdict[CRN_VERDICT_COUNT];
    uint64_t allocations, frees, peak_bytes;
    uint64_t coroutines_seen, coroutines_resurrected;
    uint64_t coroutines_by_state[CRN_CORO_STATE_COUNT];
    uint64_t unseen_threads;
    uint64_t double_frees;
    double check_pause_s, check_s;
    uint64_t check_bytes; /* the most memory that a check took */
    const struct crn_since *since; /* NULL: there is nothing to compare with */
    const struct crn_leak *leaks;
    size_t leaks_count;
    size_t leaks_left_out; /* how many more there are than --max-leaks lets us report */
    const struct crn_finding *findings;
    size_t findings_count;
    const struct crn_coroutine *coroutines; /* all of them, if they were asked for */
    size_t coroutines_count;
    bool has_live;                    /* the live heap was looked at */
    const struct crn_live *live_rows; /* what grows fastest first, then the biggest */
    size_t live_rows_count;
    bool has_memory;
    struct crn_record_memory memory; /* what is resident, if it was looked at */
};

/* A module some of whose code has no names. */
struct crn_unnamed {
    const char *path;
    uint64_t addresses_count;
};

/* What takes long, as it goes. */
enum crn_work { CRN_WORK_NAMING, CRN_WORK_WRITING };

struct crn_report {
    /* Called now and then; NULL: nobody wants to know.  `done` of `total` rows are done. */
    void (*step)(void *user, enum crn_work work, uint64_t done, uint64_t total);
    void *step_user;
    struct crn_store *store;
    struct crn_sym *sym;
    struct crn_judge *judge;
    bool has_coroutines; /* the list of coroutines was asked for */
    bool is_full;        /* everything of a live check, not only a page */
    bool has_suppressions; /* and that of the suppressions that matched */
    bool has_objects;      /* and the address of every leaked block */
    size_t leaks_max;      /* of a process; 0: all */
    uint32_t frames_max;   /* of a stack; 0: all */
    uint32_t frames_written_max; /* the same where stacks are written whole (JSON) */
    uint64_t recorded_bytes;     /* of all recordings */
    const char **warnings;
    size_t warnings_count, warnings_room;
    struct crn_process *processes;
    size_t processes_count, processes_room;
    struct crn_unnamed *unnamed;
    size_t unnamed_count, unnamed_room;
};

/* An empty report; `suppressions` must outlive it. */
struct crn_report *crn_report_create(const struct crn_suppressions *suppressions,
                                     bool has_coroutines);
void crn_report_destroy(struct crn_report *report);

/* Takes over what the options say of how much to show; before anything is added. */
void crn_report_heed(struct crn_report *report, const struct crn_options *options);

/* Tells whoever wants to know how far a work has come. */
void crn_report_step(const struct crn_report *report, enum crn_work work, uint64_t done,
                     uint64_t total);

/* Adds a process as its recording tells it; the recording may be closed afterwards. */
void crn_report_add(struct crn_report *report, const struct crn_recording *recording);

void crn_report_warn(struct crn_report *report, const char *format, ...) CRN_PRINTF(2, 3);

/* Adds what only the whole report can tell: warnings about modules, and those without names. */
void crn_report_finish(struct crn_report *report);

/* What usually mends a leak, in a sentence. */
const char *crn_leak_hint(const struct crn_leak *leak);

/* Whether it names a proven leak; when `strict`, a likely one or a finding too. */
bool crn_report_is_bad(const struct crn_report *report, bool strict);

#endif
