/*
 * An activity is stopped: its children are cancelled, and all of them end.
 *
 * In the leaky twin one of them is not a child: it was launched for the activity, with the
 * application's job for its parent, so that nobody tells it.
 *
 * RUN:      coroner run --strict --format=json --output=report.json $CASE children
 * SCENARIO: 4
 * EXPECT:   none
 * EXPECT:   summary coroutines.seen=3 coroutines.destroyed=3
 * EXPECT:   stdout stopped, 0 children left
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --strict --format=json --output=report.json $CASE stray
 * SCENARIO: 4
 * EXPECT:   none
 * EXPECT:   finding outlived count=1 coroutine=stray state=suspended scope=activity
 * EXPECT:   summary coroutines.seen=3 coroutines.destroyed=2 coroutines.suspended=1
 * EXPECT:   stdout stopped, 0 children left
 * EXPECT:   exit status=23
 */
#include "looper.h"

struct child {
    struct frame frame;
    char *page;
};

GLOBAL struct looper worker = LOOPER("worker");

static void child_drop(struct frame *frame)
{
    free(((struct child *)frame)->page);
}

static void child(struct frame *frame)
{
    struct child *self = (struct child *)frame;
    if (frame->has_failed) {
        finish(frame);
        return;
    }
    self->page = malloc(8000);
    fill(self->page, 8000);
    delay(frame, 60000);
}

NOINLINE static void child_launch(struct job *parent, const char *name)
{
    start(launch(parent, &worker, name, sizeof(struct child), child, child_drop));
}

NOINLINE static void run(bool is_stray)
{
    struct job *application = job_new(NULL, "application", true);
    coroner_scope scope = coroner_scope_begin("activity");
    struct job *activity = job_new(application, "activity", true);
    child_launch(activity, "loader");
    child_launch(activity, "ticker");
    child_launch(is_stray ? application : activity, "stray");
    looper_settle(&worker);
    job_cancel_children(activity);
    job_join(activity);
    printf("stopped, %u children left\n", job_children(activity));
    job_free(activity);
    end_scope(scope, is_stray);
}

int main(int argc, char **argv)
{
    (void)argc;
    looper_start(&worker);
    run(said(argv, "stray"));
    looper_settle(&worker);
    wipe();
    return 0;
}
