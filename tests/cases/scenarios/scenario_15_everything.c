/*
 * A thousand activities on four threads.  Each launches coroutines that hop from thread to thread,
 * is stopped a moment later, and cancels what it launched.  A random one in ten has one of the
 * faults of the other scenarios; the program prints how many of each, and the report never has
 * more of them, and at most two fewer a thread.
 *
 * RUN:      coroner run --format=json --output=report.json $CASE 1
 * SCENARIO: 15
 * EXPECT:   completed blocks=15..17 allocated_in=make_kept coroutine=kept local=payload
 * EXPECT:   finding outlived count=9..11 coroutine=outliving scope=activity
 * EXPECT:   finding outlived count=9..11 coroutine=stray scope=activity
 * EXPECT:   finding unfinished_watch count=12..14 object_bytes=104
 * EXPECT:   stale blocks=9..11 allocated_in=make_spilled coroutine=spilled local=payload
 * EXPECT:   finding swallowed count=6..8 coroutine=ignoring
 * EXPECT:   cancelled blocks=6..8 allocated_in=make_freed coroutine=ignoring local=payload
 * EXPECT:   abandoned blocks=9..11 allocated_in=make_forgotten coroutine=forgotten \
 *                     local=payload
 * EXPECT:   abandoned blocks=9..11 allocated_in=launch coroutine=forgotten
 * EXPECT:   abandoned total_blocks=18..22 allocated_in=job_new coroutine=forgotten
 * EXPECT:   finding no_cancel_hook count=9..11 coroutine=hookless
 * EXPECT:   cancelled blocks=9..11 allocated_in=make_hookless coroutine=hookless local=payload
 * EXPECT:   stdout kept 17, outliving 11, stray 11, watched 14, spilled 11, ignoring 8, forgotten 11, hookless 11
 * EXPECT:   exit status=23
 *
 * RUN:      coroner run --format=json --output=report.json $CASE 2
 * SCENARIO: 15
 * EXPECT:   completed blocks=18..20 allocated_in=make_kept coroutine=kept local=payload
 * EXPECT:   finding outlived count=10..12 coroutine=outliving scope=activity
 * EXPECT:   finding outlived count=16..18 coroutine=stray scope=activity
 * EXPECT:   finding unfinished_watch count=8..10 object_bytes=104
 * EXPECT:   stale blocks=15..17 allocated_in=make_spilled coroutine=spilled local=payload
 * EXPECT:   finding swallowed count=10..12 coroutine=ignoring
 * EXPECT:   cancelled blocks=10..12 allocated_in=make_freed coroutine=ignoring local=payload
 * EXPECT:   abandoned blocks=10..12 allocated_in=make_forgotten coroutine=forgotten \
 *                     local=payload
 * EXPECT:   abandoned blocks=10..12 allocated_in=launch coroutine=forgotten
 * EXPECT:   abandoned total_blocks=20..24 allocated_in=job_new coroutine=forgotten
 * EXPECT:   finding no_cancel_hook count=6..8 coroutine=hookless
 * EXPECT:   cancelled blocks=6..8 allocated_in=make_hookless coroutine=hookless local=payload
 * EXPECT:   stdout kept 20, outliving 12, stray 18, watched 10, spilled 17, ignoring 12, forgotten 12, hookless 8
 * EXPECT:   exit status=23
 */
#include "looper.h"

enum { ACTIVITIES = 1000, THREADS = 4, SHORT_MS = 5, LONG_MS = 60000 };

/* The faults, and the scenarios that are about them. */
enum fault {
    KEPT,      /* 1: a coroutine has ended, and its job keeps it */
    OUTLIVING, /* 3: launched on nobody's account */
    STRAY,     /* 4: launched as another's child */
    WATCHED,   /* 6: a list keeps a value that has been used */
    SPILLED,   /* 7: a local that is not read again keeps a buffer */
    IGNORING,  /* 13: told of its cancellation, a coroutine waits again */
    FORGOTTEN, /* 13: nobody can cancel or resume it any more */
    HOOKLESS,  /* 14: cancelled while it waits in a way that nobody can end */
    FAULTS,
    NONE = FAULTS,
};
static const char *const fault_names[] = {"kept",    "outliving", "stray",     "watched",
                                          "spilled", "ignoring",  "forgotten", "hookless"};

struct activity {
    coroner_scope scope;
    struct job *job;
    struct looper *looper;
    enum fault fault;
};

struct work {
    struct frame frame;
    char *payload;
    struct looper *home;
    enum fault fault;
};

struct value {
    struct value *next;
    char text[96];
};

GLOBAL struct looper loopers[THREADS] = {LOOPER("one"), LOOPER("two"), LOOPER("three"),
                                         LOOPER("four")};
GLOBAL struct job *application;
GLOBAL struct value *_Atomic values;
static atomic_int ended, erring;

/* One maker for each fault, so that the report tells them apart. */
#define MAKER(name)                  \
    NOINLINE static char *name(void) \
    {                                \
        char *payload = malloc(100); \
        REQUIRE(payload != NULL);    \
        fill(payload, 100);          \
        return payload;              \
    }
MAKER(make_kept)
MAKER(make_spilled)
MAKER(make_forgotten)
MAKER(make_hookless)
MAKER(make_freed)

NOINLINE static char *payload_new(enum fault fault)
{
    switch (fault) {
    case KEPT:
        return make_kept();
    case SPILLED:
        return make_spilled();
    case FORGOTTEN:
        return make_forgotten();
    case HOOKLESS:
        return make_hookless();
    default:
        return make_freed();
    }
}

static void work_drop(struct frame *frame)
{
    free(((struct work *)frame)->payload);
}

static bool never_mind(struct frame *frame)
{
    (void)frame;
    return true;
}

/* Cancels, or forgets, the job of a coroutine that waits. */
static void outside_stop(void *object)
{
    job_cancel(object);
    erring--;
}

static void outside_forget(void *object)
{
    job_forget(object);
    erring--;
}

/* What it does once it has been everywhere.  Whoever suspends does not touch the frame any more. */
static void work_last(struct frame *frame)
{
    struct work *self = (struct work *)frame;
    struct looper *home = self->home;
    struct job *job = frame->job->parent;
    bool has_failed = frame->has_failed;
    switch (self->fault) {
    case KEPT:
        finish(frame);
        erring--;
        break;
    case SPILLED:
        LOCAL_DONE(self, payload);
        delay(frame, LONG_MS);
        erring--;
        break;
    case FORGOTTEN:
        suspend(frame, never_mind);
        looper_post(home, 0, outside_forget, job);
        break;
    case HOOKLESS:
        suspend(frame, NULL);
        looper_post(home, 0, outside_stop, job);
        break;
    case IGNORING:
        delay(frame, LONG_MS);
        if (!has_failed)
            looper_post(home, 0, outside_stop, job);
        break;
    default:
        delay(frame, LONG_MS);
    }
}

static void work(struct frame *frame)
{
    struct work *self = (struct work *)frame;
    unsigned at = frame->at++;
    if (frame->has_failed && self->fault != IGNORING) {
        finish(frame);
    } else if (at == 0) {
        self->payload = payload_new(self->fault);
        LOCAL(self, payload);
        hop(frame, &loopers[(self->home - loopers + 1) % THREADS]);
    } else if (at == 1) {
        hop(frame, self->home);
    } else {
        work_last(frame);
    }
}

static struct frame *work_launch(struct activity *activity, struct job *parent, const char *name,
                                 enum fault fault)
{
    struct frame *frame =
        launch(parent, activity->looper, name, sizeof(struct work), work, work_drop);
    ((struct work *)frame)->home = activity->looper;
    ((struct work *)frame)->fault = fault;
    return frame;
}

/* Launches a coroutine outside of the activity's scope, in a job of its own. */
static void work_launch_outside(struct activity *activity)
{
    enum fault fault = activity->fault;
    coroner_scope inside = coroner_scope_enter(coroner_scope_global());
    struct job *job = job_new(NULL, "outside", true);
    struct frame *frame = work_launch(activity, job, fault_names[fault], fault);
    frame->job->keeps_continuation = fault == KEPT;
    erring++;
    start(frame);
    coroner_scope_enter(inside);
}

NOINLINE static struct value *value_new(void)
{
    struct value *value = calloc(1, sizeof *value);
    REQUIRE(value != NULL);
    return value;
}

NOINLINE static void value_use(void)
{
    struct value *value = value_new();
    value->next = values;
    while (!atomic_compare_exchange_weak(&values, &value->next, value))
        ;
    coroner_watch(value, "it has been used");
}

/* The last part of an activity: its children have been cancelled, and are gone or will be. */
static void activity_end(void *object)
{
    struct activity *activity = object;
    if (job_children(activity->job) > 0) {
        looper_post(activity->looper, 1, activity_end, activity);
        return;
    }
    job_free(activity->job);
    coroner_scope_end(activity->scope, CORONER_LATER);
    free(activity);
    ended++;
}

static void activity_stop(void *object)
{
    struct activity *activity = object;
    job_cancel_children(activity->job);
    activity_end(activity);
}

NOINLINE static void activity_err(struct activity *activity)
{
    switch (activity->fault) {
    case OUTLIVING:
        start(work_launch(activity, NULL, "outliving", NONE));
        break;
    case STRAY:
        start(work_launch(activity, application, "stray", NONE));
        break;
    case WATCHED:
        value_use();
        break;
    case NONE:
        break;
    default:
        work_launch_outside(activity);
    }
}

static void activity_start(void *object)
{
    struct activity *activity = object;
    activity->scope = coroner_scope_begin("activity");
    activity->job = job_new(NULL, "activity", true);
    for (int i = 0; i < 3; i++)
        start(work_launch(activity, activity->job, "work", NONE));
    activity_err(activity);
    coroner_scope_enter(coroner_scope_global());
    looper_post(activity->looper, SHORT_MS, activity_stop, activity);
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 16;
}

NOINLINE static void run(uint32_t seed)
{
    int plan[FAULTS + 1] = {0};
    for (int i = 0; i < ACTIVITIES; i++) {
        struct activity *activity = calloc(1, sizeof *activity);
        REQUIRE(activity != NULL);
        activity->looper = &loopers[i % THREADS];
        activity->fault = next_random(&seed) % 10 == 0 ? next_random(&seed) % FAULTS : NONE;
        plan[activity->fault]++;
        looper_post(activity->looper, 0, activity_start, activity);
    }
    for (int fault = 0; fault < FAULTS; fault++)
        printf("%s %d%s", fault_names[fault], plan[fault], fault < FAULTS - 1 ? ", " : "\n");
}

int main(int argc, char **argv)
{
    REQUIRE(argc > 1);
    application = job_new(NULL, "application", true);
    for (int i = 0; i < THREADS; i++)
        looper_start(&loopers[i]);
    run((uint32_t)atoi(argv[1]));
    while (ended < ACTIVITIES || erring > 0)
        usleep(1000);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < THREADS; i++)
            looper_settle(&loopers[i]);
    wipe();
    return 0;
}
