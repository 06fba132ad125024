#ifndef CRN_HOST_H
#define CRN_HOST_H
/*
 * What a check wants of whoever hosts it in the process: the caller's thread, the options, what
 * process this is, the sigaction that really installs, and somebody to deliver a report.
 *
 * The host defines crn_host, one table of constants, so that it can be asked at any time, the very
 * first allocation included.
 */
#include "base/base.h"
#include "options/options.h"

struct crn_draft;
struct crn_thread;
struct sigaction;

enum crn_host_phase {
    CRN_HOST_COMES_UP, /* libc and the loader are still at work; nothing is judged */
    CRN_HOST_WATCHES,
    CRN_HOST_STOOD_DOWN /* the report says why; there is no check */
};

/* What process this is.  The host writes it: when it starts, after a fork, when it stands down. */
struct crn_process_facts {
    int pid;             /* the process we watch: a vfork child has another */
    bool is_forked;      /* by fork, without exec */
    bool is_first;       /* PROGRAM itself: its exit code may change */
    bool is_silenced;    /* --follow-children=no, and we are one */
    const char *session; /* directory of the launcher; NULL in a plain preload */
    uint64_t started_unix_ns, started_ns;
    const char *trouble; /* why we stood down; NULL: we did not */
};

struct crn_host {
    const struct crn_options *options;
    const struct crn_process_facts *process;
    enum crn_host_phase (*phase)(void);

    /* The calling thread's record, attached now if needed; NULL when there is no memory for it. */
    struct crn_thread *(*thread)(void);

    /* libc's sigaction, past what is interposed.  Async-signal-safe. */
    int (*sigaction)(int signal, const struct sigaction *action, struct sigaction *old);

    /* TMPDIR, as it is now; NULL: it is not set, or no absolute path. */
    const char *(*temporary)(void);

    /*
     * The end begins: whatever the program closes from here on, its report must find its way.
     * Async-signal-safe.
     */
    void (*end_begins)(void);

    /* Adds to a draft what the program says of itself, for whoever reads the recording. */
    void (*describe)(struct crn_draft *draft);

    /*
     * Has the recording at `path` rendered by the coroner command, if `has_news`, and deletes it;
     * with path "", the draft, which could not be written to any file.  Answers the code to exit
     * with: `exit_code`, or --error-exitcode when it finds proven leaks; when it cannot be run,
     * `leak_code`.
     */
    int (*deliver)(const char *path, struct crn_draft *draft, int exit_code, int leak_code,
                   bool has_news);

    /*
     * Says, where a report would say no more than that nothing was lost, that one line; nothing is
     * written or started for it.  False: it was not said, for whatever reason.
     */
    bool (*say_clean)(const struct crn_draft *draft);

    /*
     * Whether the recording at `path` has a leak that counts for the exit code and no suppression
     * silences; if `is_said`, it is then rendered, too, where --output says.  `fallback` is
     * answered where the command cannot be run.
     */
    bool (*deliver_judged)(const char *path, bool is_said, bool fallback);

    /* Has it printed as text to standard error; the recording stays.  False: not possible. */
    bool (*deliver_text)(const char *path);
};
extern const struct crn_host crn_host;

#endif
