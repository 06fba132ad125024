/*
 * Two jobs, uploads and downloads, have three children each, and a scope of their own.
 *
 * When a child of a plain job fails, its siblings go with it; a supervisor's go on.  Who ends the
 * supervisor's scope all the same is told which job still has children.  So is who cancelled the
 * children of one job and meant both; the job may have new ones then.  A job that is cancelled
 * itself may not: what is launched in it ends at once.
 *
 * RUN:      coroner run --strict --format=json --output=report.json $CASE plain fails
 * SCENARIO: 5
 * EXPECT:   none
 * EXPECT:   summary coroutines.seen=6 coroutines.destroyed=6
 * EXPECT:   stdout uploads 0, downloads 0
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --format=json --output=report.json $CASE supervisor fails
 * SCENARIO: 5
 * EXPECT:   none
 * EXPECT:   finding outlived count=2 coroutine=upload scope=uploads
 * EXPECT:   summary coroutines.seen=6 coroutines.destroyed=4 coroutines.suspended=2
 * EXPECT:   stdout uploads 2, downloads 0
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --strict --format=json --output=report.json $CASE supervisor fails mended
 * SCENARIO: 5
 * EXPECT:   none
 * EXPECT:   summary coroutines.seen=6 coroutines.destroyed=6
 * EXPECT:   stdout uploads 0, downloads 0
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --format=json --output=report.json $CASE children
 * SCENARIO: 5
 * EXPECT:   none
 * EXPECT:   finding outlived count=3 coroutine=download scope=downloads
 * EXPECT:   summary coroutines.seen=7 coroutines.destroyed=4 coroutines.suspended=3
 * EXPECT:   stdout uploads 0, downloads 3
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --strict --format=json --output=report.json $CASE itself
 * SCENARIO: 5
 * EXPECT:   none
 * EXPECT:   summary coroutines.seen=7 coroutines.destroyed=7
 * EXPECT:   stdout uploads 0, downloads 0
 * EXPECT:   exit status=0
 */
#include "looper.h"

struct group {
    coroner_scope scope;
    struct job *job;
};

struct transfer {
    struct frame frame;
    char *part;
    enum fate { WAITS, FAILS, ENDS } fate;
};

GLOBAL struct looper worker = LOOPER("worker");

static void transfer_drop(struct frame *frame)
{
    free(((struct transfer *)frame)->part);
}

static void transfer(struct frame *frame)
{
    struct transfer *self = (struct transfer *)frame;
    if (frame->has_failed || self->fate == ENDS) {
        finish(frame);
    } else if (self->fate == FAILS) {
        fail(frame);
    } else {
        self->part = malloc(5000);
        fill(self->part, 5000);
        delay(frame, 60000);
    }
}

static struct group group_begin(struct job *parent, const char *name, bool is_supervisor)
{
    struct group group = {coroner_scope_make((coroner_scope){0}, name),
                          job_new(parent, name, is_supervisor)};
    return group;
}

NOINLINE static void transfer_launch(struct group group, const char *name, enum fate fate)
{
    coroner_scope outside = coroner_scope_enter(group.scope);
    struct frame *frame =
        launch(group.job, &worker, name, sizeof(struct transfer), transfer, transfer_drop);
    ((struct transfer *)frame)->fate = fate;
    start(frame);
    coroner_scope_enter(outside);
}

NOINLINE static void run(char **argv)
{
    struct job *top = job_new(NULL, "transfers", false);
    struct group uploads = group_begin(top, "uploads", said(argv, "supervisor"));
    struct group downloads = group_begin(top, "downloads", false);
    bool one_fails = said(argv, "fails");
    for (int i = 0; i < 3; i++)
        transfer_launch(downloads, "download", WAITS);
    for (int i = 0; i < 3; i++)
        transfer_launch(uploads, "upload", one_fails && i == 2 ? FAILS : WAITS);
    looper_settle(&worker);
    if (said(argv, "mended"))
        job_cancel_children(uploads.job);
    if (said(argv, "supervisor"))
        job_cancel(downloads.job);
    if (said(argv, "children"))
        job_cancel_children(uploads.job);
    if (said(argv, "itself"))
        job_cancel(top);
    looper_settle(&worker);
    if (!one_fails)
        transfer_launch(uploads, "upload", said(argv, "itself") ? WAITS : ENDS);
    looper_settle(&worker);
    unsigned left[] = {job_children(uploads.job), job_children(downloads.job)};
    printf("uploads %u, downloads %u\n", left[0], left[1]);
    end_scope(uploads.scope, left[0] > 0);
    end_scope(downloads.scope, left[1] > 0);
}

int main(int argc, char **argv)
{
    (void)argc;
    looper_start(&worker);
    run(argv);
    wipe();
    return 0;
}
