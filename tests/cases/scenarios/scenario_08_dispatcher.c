/*
 * A thread that is blocked in take still has its last message in a local.  That message went back
 * to the pool, where a dialog found it: it filled it with its listener, which leads to the
 * activity.  The dialog is closed, the activity over and watched, and the blocked thread keeps all
 * of that alive, until it is sent something.  However many messages were sent, exactly one activity
 * is held.
 *
 * Mended three times: the thread clears its local before it blocks (9); whenever it is idle it
 * posts itself an empty message a moment later, which takes the place of the last one (10);
 * the dialog detaches its listener when it is closed (11).
 *
 * RUN:      coroner run --format=json --output=report.json $CASE
 * SCENARIO: 8
 * EXPECT:   none
 * EXPECT:   finding unfinished_watch count=1 object_bytes=20000
 * EXPECT:   chain stack Dispatcher > block message_obtain+16 > block listener_new+8
 * EXPECT:   stdout 1 activities shown
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --format=json --output=report.json $CASE many
 * SCENARIO: 8
 * EXPECT:   none
 * EXPECT:   finding unfinished_watch count=1 object_bytes=20000
 * EXPECT:   chain stack Dispatcher > block message_obtain+16 > block listener_new+8
 * EXPECT:   stdout 40 activities shown
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --strict --format=json --output=report.json $CASE many cleared
 * SCENARIO: 9
 * EXPECT:   none
 * EXPECT:   stdout 40 activities shown
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --strict --format=json --output=report.json $CASE many flushed
 * SCENARIO: 10
 * EXPECT:   none
 * EXPECT:   stdout 40 activities shown
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --strict --format=json --output=report.json $CASE many detached
 * SCENARIO: 11
 * EXPECT:   none
 * EXPECT:   stdout 40 activities shown
 * EXPECT:   exit status=0
 */
#include "looper.h"

enum { MANY = 40, FLUSH_MS = 3 };

struct activity {
    atomic_int holders;
    char views[20000 - sizeof(atomic_int)];
};

struct listener {
    void (*on_dismiss)(struct activity *activity);
    struct activity *activity;
};

GLOBAL struct looper dispatcher = LOOPER("Dispatcher");
static bool detaches;
static atomic_int delivered, flushed;

NOINLINE static struct activity *activity_new(void)
{
    struct activity *activity = calloc(1, sizeof *activity);
    REQUIRE(activity != NULL);
    activity->holders = 1;
    return activity;
}

static void activity_release(struct activity *activity)
{
    if (activity != NULL && --activity->holders == 0)
        free(activity);
}

NOINLINE static struct listener *listener_new(struct activity *activity)
{
    struct listener *listener = malloc(sizeof *listener);
    REQUIRE(listener != NULL);
    listener->on_dismiss = activity_release;
    listener->activity = activity;
    activity->holders++;
    return listener;
}

static void listener_drop(void *object)
{
    struct listener *listener = object;
    activity_release(listener->activity);
    free(listener);
}

/* A dialog: it has a message ready that is to say that it was dismissed. */
NOINLINE static void show_dialog(struct activity *activity)
{
    struct listener *listener = listener_new(activity);
    struct message *dismissed = message_obtain();
    dismissed->object = listener;
    dismissed->drop = listener_drop;
    if (detaches) {
        activity_release(listener->activity);
        listener->activity = NULL;
    }
    message_release(dismissed);
}

NOINLINE static void show_activity(void)
{
    struct activity *activity = activity_new();
    show_dialog(activity);
    coroner_watch(activity, "the activity is over");
    activity_release(activity);
}

static void deliver(void *object)
{
    (void)object;
    delivered++;
}

static void flush(void *object)
{
    (void)object;
    flushed++;
}

static void flush_later(struct looper *looper)
{
    looper_post(looper, FLUSH_MS, flush, NULL);
}

/* Waits until the dispatcher has nothing left of this activity in its hands, if it ever will. */
NOINLINE static void let_go(void)
{
    int target = flushed + 2;
    while (dispatcher.idle != NULL && flushed < target)
        usleep(500);
}

int main(int argc, char **argv)
{
    (void)argc;
    int count = said(argv, "many") ? MANY : 1;
    detaches = said(argv, "detached");
    dispatcher.keeps_last = !said(argv, "cleared");
    dispatcher.idle = said(argv, "flushed") ? flush_later : NULL;
    looper_start(&dispatcher);
    for (int i = 1; i <= count; i++) {
        looper_post(&dispatcher, 0, deliver, NULL);
        while (delivered < i)
            usleep(200);
        if (dispatcher.idle == NULL)
            looper_settle(&dispatcher);
        show_activity();
    }
    let_go();
    printf("%d activities shown\n", delivered);
    wipe();
    return 0;
}
