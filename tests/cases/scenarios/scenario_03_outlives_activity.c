/*
 * A coroutine that an activity launches on nobody's account goes on when the activity is over, and
 * keeps it, as it has captured it.  Coroner is told that the activity should be gone.
 *
 * Mended: it is launched as the activity's own, and cancelled with it.
 *
 * RUN:      coroner run --format=json --output=report.json $CASE global
 * SCENARIO: 3
 * EXPECT:   none
 * EXPECT:   finding outlived count=1 coroutine=refresh state=suspended scope=activity \
 *                             object_bytes=4000 object_retained=104000
 * EXPECT:   finding unfinished_watch count=1 scope=activity object_bytes=4000 \
 *                                     stack_in=activity_new
 * EXPECT:   chain * > coroutine refresh local=activity
 * EXPECT:   summary coroutines.seen=1 coroutines.suspended=1
 * EXPECT:   stdout activity over
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --strict --format=json --output=report.json $CASE own
 * SCENARIO: 3
 * EXPECT:   none
 * EXPECT:   summary coroutines.seen=1 coroutines.destroyed=1
 * EXPECT:   stdout activity over
 * EXPECT:   exit status=0
 */
#include "looper.h"

struct activity {
    atomic_int holders;
    coroner_scope scope;
    struct job *job;
    char *views;
};

struct refresh {
    struct frame frame;
    struct activity *activity;
};

GLOBAL struct looper worker = LOOPER("worker");
GLOBAL struct activity *current;

NOINLINE static struct activity *activity_new(void)
{
    struct activity *activity = calloc(1, 4000);
    REQUIRE(activity != NULL);
    return activity;
}

NOINLINE static void activity_start(void)
{
    coroner_scope scope = coroner_scope_begin("activity");
    struct activity *activity = activity_new();
    activity->holders = 1;
    activity->scope = scope;
    activity->job = job_new(NULL, "activity", true);
    activity->views = malloc(100000);
    fill(activity->views, 100000);
    current = activity;
}

static void activity_release(struct activity *activity)
{
    if (--activity->holders == 0) {
        free(activity->views);
        free(activity);
    }
}

/* Answers its scope: nothing else knows the activity any more. */
NOINLINE static coroner_scope activity_stop(void)
{
    struct activity *activity = current;
    coroner_scope scope = activity->scope;
    current = NULL;
    job_cancel(activity->job);
    job_join(activity->job);
    job_free(activity->job);
    activity->job = NULL;
    coroner_watch(activity, "the activity is over");
    activity_release(activity);
    return scope;
}

static void refresh_drop(struct frame *frame)
{
    activity_release(((struct refresh *)frame)->activity);
}

static void refresh(struct frame *frame)
{
    struct refresh *self = (struct refresh *)frame;
    if (frame->has_failed) {
        finish(frame);
        return;
    }
    self->activity->views[0] = 'y';
    delay(frame, 60000);
}

NOINLINE static void refresh_launch(struct job *parent)
{
    struct frame *frame =
        launch(parent, &worker, "refresh", sizeof(struct refresh), refresh, refresh_drop);
    struct refresh *self = (struct refresh *)frame;
    self->activity = current;
    LOCAL(self, activity);
    current->holders++;
    start(frame);
}

int main(int argc, char **argv)
{
    (void)argc;
    bool is_global = said(argv, "global");
    looper_start(&worker);
    activity_start();
    refresh_launch(is_global ? NULL : current->job);
    looper_settle(&worker);
    coroner_scope scope = activity_stop();
    wipe();
    end_scope(scope, is_global);
    puts("activity over");
    wipe();
    return 0;
}
