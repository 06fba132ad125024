#ifndef CRN_LAUNCHER_PROGRESS_H
#define CRN_LAUNCHER_PROGRESS_H
/*
 * One line on a terminal, rewritten, while a report takes longer than anybody likes to look at
 * nothing: "coroner: naming functions, 43 %".
 *
 * Nothing is shown in the first two seconds, nor where standard error is no terminal; and the line
 * is gone before anything else is written there.
 */
#include <stdio.h>

#include "report/model.h"

struct crn_progress {
    FILE *file; /* NULL: nothing is shown */
    uint64_t began_ns, shown_ns;
    bool is_shown;
};

/* Says where something stands, at the time `now_ns`; `total` UINT64_MAX: nobody knows how much
 * there is. */
void crn_progress_step(struct crn_progress *progress, const char *what, uint64_t done,
                       uint64_t total, uint64_t now_ns);

/* Takes the line away, if there is one. */
void crn_progress_clear(struct crn_progress *progress);

/* Begins a work on standard error, where that is a terminal, and says where it stands. */
void crn_progress_begin(void);
void crn_progress_tell(const char *what, uint64_t done, uint64_t total);

/* Lets the report tell of its progress on standard error, from now on. */
void crn_progress_attach(struct crn_report *report);

/* Takes away the line of an attached report, and shows none any more. */
void crn_progress_end(void);

/* Takes it away for now: something is going to be said. */
void crn_progress_hide(void);

#endif
