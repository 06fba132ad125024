/*
 * One line on a terminal while a report is made.  See progress.h.
 */
#include "shim/launcher/progress.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const uint64_t silence_ns = 2000000000, pace_ns = 200000000;

/* What is said of each time a report is gone through. */
static const char *const words[] = {[CRN_WORK_NAMING] = "naming functions",
                                    [CRN_WORK_WRITING] = "writing the report"};

void crn_progress_step(struct crn_progress *progress, const char *what, uint64_t done,
                       uint64_t total, uint64_t now_ns)
{
    if (progress->file == NULL || now_ns - progress->began_ns < silence_ns ||
        (progress->is_shown && now_ns - progress->shown_ns < pace_ns))
        return;
    fprintf(progress->file, "\r\033[Kcoroner: %s", what);
    if (total != UINT64_MAX)
        fprintf(progress->file, ", %.0f %%",
                done >= total ? 100 : 100 * (double)done / (double)total);
    fflush(progress->file);
    progress->is_shown = true;
    progress->shown_ns = now_ns;
}

void crn_progress_clear(struct crn_progress *progress)
{
    if (!progress->is_shown)
        return;
    fputs("\r\033[K", progress->file);
    fflush(progress->file);
    progress->is_shown = false;
}

static struct crn_progress attached;

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void step(void *user, enum crn_work work, uint64_t done, uint64_t total)
{
    crn_progress_step(user, words[work], done, total, now());
}

void crn_progress_begin(void)
{
    const char *terminal = getenv("TERM");
    if (isatty(STDERR_FILENO) && terminal != NULL && strcmp(terminal, "dumb") != 0 &&
        attached.file == NULL)
        attached = (struct crn_progress){.file = stderr, .began_ns = now()};
}

void crn_progress_tell(const char *what, uint64_t done, uint64_t total)
{
    crn_progress_step(&attached, what, done, total, now());
}

void crn_progress_attach(struct crn_report *report)
{
    crn_progress_begin();
    if (attached.file == NULL)
        return;
    report->step = step;
    report->step_user = &attached;
}

void crn_progress_end(void)
{
    crn_progress_clear(&attached);
    attached.file = NULL;
}

void crn_progress_hide(void)
{
    crn_progress_clear(&attached);
}
