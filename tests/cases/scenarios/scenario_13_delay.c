/*
 * A loop with a short delay in it, which fails when the coroutine is cancelled: the coroutine ends.
 *
 * In the second form it catches the failure and goes on: it swallowed its cancellation, six times
 * before it waits for long.
 *
 * In the third form a coroutine does nothing but wait to be cancelled, and its activity is there
 * to do that: it is live.  When the activity is forgotten instead, nobody can cancel it any more:
 * it is abandoned, with its activity's job, which only it leads to.
 *
 * RUN:      coroner run --strict --format=json --output=report.json $CASE ends
 * SCENARIO: 13
 * EXPECT:   none
 * EXPECT:   summary coroutines.seen=1 coroutines.destroyed=1
 * EXPECT:   stdout over
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --format=json --output=report.json $CASE ignores
 * SCENARIO: 13
 * EXPECT:   none
 * EXPECT:   finding swallowed entries=1 count=6 coroutine=poll
 * EXPECT:   stdout over
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --strict --format=json --output=report.json $CASE waits
 * SCENARIO: 13
 * EXPECT:   none
 * EXPECT:   summary coroutines.seen=1 coroutines.suspended=1
 * EXPECT:   stdout over
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --format=json --output=report.json $CASE waits forgotten
 * SCENARIO: 13
 * EXPECT:   abandoned blocks=1 bytes=700 allocated_in=make_subscription confidence=proven \
 *                     coroutine=wait_for_end local=subscription mechanism=probe state=abandoned
 * EXPECT:   chain coroutine wait_for_end local=subscription
 * EXPECT:   abandoned blocks=1 allocated_in=launch coroutine=wait_for_end
 * EXPECT:   abandoned total_blocks=2 allocated_in=job_new coroutine=wait_for_end
 * EXPECT:   summary coroutines.seen=1 coroutines.abandoned=1 by_class.abandoned.blocks=4
 * EXPECT:   stdout over
 * EXPECT:   exit status=23
 */
#include "looper.h"

enum { IGNORED = 6 };

struct poll {
    struct frame frame;
    bool ignores;
};

struct wait {
    struct frame frame;
    char *subscription;
};

GLOBAL struct looper worker = LOOPER("worker");
GLOBAL struct job *activity;
static atomic_int rounds, failures;

static void poll(struct frame *frame)
{
    struct poll *self = (struct poll *)frame;
    rounds++;
    failures += frame->has_failed;
    if (frame->has_failed && !self->ignores) {
        finish(frame);
        return;
    }
    delay(frame, failures < IGNORED ? 1 : 60000);
}

NOINLINE static char *make_subscription(void)
{
    char *subscription = malloc(700);
    REQUIRE(subscription != NULL);
    fill(subscription, 700);
    return subscription;
}

static void wait_drop(struct frame *frame)
{
    free(((struct wait *)frame)->subscription);
}

static bool wait_is_over(struct frame *frame)
{
    (void)frame;
    return true;
}

static void wait_for_end(struct frame *frame)
{
    struct wait *self = (struct wait *)frame;
    if (frame->at++ == 0) {
        self->subscription = make_subscription();
        LOCAL(self, subscription);
        suspend(frame, wait_is_over);
        return;
    }
    finish(frame);
}

NOINLINE static void run_poll(bool ignores)
{
    struct frame *frame = launch(activity, &worker, "poll", sizeof(struct poll), poll, NULL);
    ((struct poll *)frame)->ignores = ignores;
    start(frame);
    while (rounds < 5)
        usleep(500);
    job_cancel(activity);
    while (ignores && failures < IGNORED)
        usleep(500);
    if (!ignores)
        job_join(activity);
}

NOINLINE static void run_wait(bool is_forgotten)
{
    start(launch(activity, &worker, "wait_for_end", sizeof(struct wait), wait_for_end, wait_drop));
    looper_settle(&worker);
    if (!is_forgotten)
        return;
    job_forget(activity);
    activity = NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    activity = job_new(NULL, "activity", true);
    looper_start(&worker);
    if (said(argv, "waits"))
        run_wait(said(argv, "forgotten"));
    else
        run_poll(said(argv, "ignores"));
    looper_settle(&worker);
    puts("over");
    wipe();
    return 0;
}
