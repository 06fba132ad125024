/*
 * What a program gets wrong in the probe API costs it one line each, and nothing else.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ended_twice
 * EXPECT: stderr     /^coroner: coroner_scope_end: this scope is not open: ended twice/
 * EXPECT: stderr-lines 1
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE out_of_order
 * EXPECT: stderr     /^coroner: coroner_scope_end: "outer" ended before 1 inside it/
 * EXPECT: stderr-lines 1
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE destroyed_used
 * EXPECT: stderr     /^coroner: coroner_co_resume: this coroutine was destroyed/
 * EXPECT: stderr-lines 1
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE destroyed_twice
 * EXPECT: stderr     /^coroner: coroner_co_destroy: this coroutine was destroyed/
 * EXPECT: stderr-lines 1
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame_freed
 * EXPECT: stderr     /^coroner: coroner_co_destroy was not called .* of 2 coroutines, "fetch" among/
 * EXPECT: stderr-lines 1
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE begun_twice
 * EXPECT: stderr     /^coroner: coroner_co_begin: another coroutine began in the frame of one/
 * EXPECT: stderr-lines 1
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE local_twice
 * EXPECT: stderr     /^coroner: coroner_local: "buffer" is registered already/
 * EXPECT: stderr-lines 1
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE small_local
 * EXPECT: stderr     /^coroner: coroner_local: "flag" cannot hold a pointer/
 * EXPECT: stderr-lines 1
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE unknown_local
 * EXPECT: stderr     /^coroner: coroner_local_done: this is no registered local/
 * EXPECT: stderr-lines 1
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE no_frame
 * EXPECT: stderr     /^coroner: coroner_co_begin: "fetch" has no frame; it is not tracked/
 * EXPECT: stderr-lines 1
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE suspended_twice
 * EXPECT: stderr     /^coroner: coroner_co_suspend: coroutine "fetch" is suspended already/
 * EXPECT: stderr-lines 1
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE resumed_twice
 * EXPECT: stderr     /^coroner: coroner_co_resume: coroutine "fetch" runs already/
 * EXPECT: stderr-lines 1
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE resumed_elsewhere
 * EXPECT: stderr     /^coroner: coroner_co_resume: coroutine "fetch" runs already/
 * EXPECT: stderr-lines 1
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE completed_twice
 * EXPECT: stderr     /^coroner: coroner_co_complete: coroutine "fetch" has ended already/
 * EXPECT: stderr-lines 1
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE enabled
 * EXPECT: stderr     /^coroner: coroner_enable: without coroner_disable before it/
 * EXPECT: stderr-lines 1
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE no_root
 * EXPECT: stderr     /^coroner: coroner_root_remove: this is no root region/
 * EXPECT: stderr-lines 1
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE entered_late
 * EXPECT: stderr     /^coroner: coroner_scope_enter: the scope has ended; none is used/
 * EXPECT: stderr-lines 1
 * EXPECT: none
 *
 * However often it happens, it is told twenty times.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE often
 * EXPECT: stderr-lines 20
 * EXPECT: none
 *
 * What only looks odd is no mistake, and is not remarked on.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE nulls
 * EXPECT: stderr-lines 0
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE never_resumed
 * EXPECT: stderr-lines 0
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE nested_frames
 * EXPECT: stderr-lines 0
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE other_thread
 * EXPECT: stderr-lines 0
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE thread_leaves
 * EXPECT: stderr-lines 0
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ended_inside
 * EXPECT: stderr-lines 0
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE checked_inside
 * EXPECT: stderr-lines 0
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE forked
 * EXPECT: stderr-lines 0
 * EXPECT: none
 * EXPECT: processes 2
 *
 * RUN:    coroner run --format=json --output=report.json $CASE in_handler
 * EXPECT: stderr-lines 0
 * EXPECT: none
 */
#include "case.h"

#include <coroner/coroner.h>
#include <pthread.h>
#include <sys/time.h>
#include <sys/wait.h>

struct frame {
    char *buffer;
    char flag;
    struct frame *inner;
    char space[40];
};

GLOBAL struct frame *frames[8];
static int frame_count;

static struct frame *frame_new(void)
{
    struct frame *frame = calloc(1, sizeof *frame);
    REQUIRE(frame != NULL);
    return frames[frame_count++] = frame;
}

static coroner_co fetch(void)
{
    return coroner_co_begin("fetch", frame_new(), sizeof(struct frame));
}

static void ended_twice(void)
{
    coroner_scope scope = coroner_scope_begin("request");
    coroner_scope_end(scope, CORONER_REPORT);
    coroner_scope_end(scope, CORONER_REPORT);
}

static void out_of_order(void)
{
    coroner_scope outer = coroner_scope_begin("outer"), inner = coroner_scope_begin("inner");
    coroner_scope_end(outer, CORONER_REPORT);
    coroner_scope_end(inner, CORONER_REPORT);
    REQUIRE(coroner_scope_current().id == (coroner_is_active() ? UINT64_MAX : 0));
}

static void destroyed_used(void)
{
    coroner_co co = fetch();
    coroner_co_destroy(co);
    coroner_co_resume(co);
}

static void destroyed_twice(void)
{
    coroner_co co = fetch();
    coroner_co_destroy(co);
    fetch();
    coroner_co_destroy(co);
}

static void frame_freed(void)
{
    for (int i = 0; i < 2; i++) {
        coroner_co_suspend(fetch());
        free(frames[i]);
        frames[i] = NULL;
    }
}

static void begun_twice(void)
{
    coroner_co old = fetch();
    coroner_co_suspend(old);
    coroner_co again = coroner_co_begin("again", frames[0], sizeof(struct frame));
    coroner_co_suspend(again);
}

static void local_twice(void)
{
    coroner_co co = fetch();
    CORONER_LOCAL(co, frames[0]->buffer);
    CORONER_LOCAL(co, frames[0]->buffer);
}

static void small_local(void)
{
    coroner_co co = fetch();
    CORONER_LOCAL(co, frames[0]->flag);
}

static void unknown_local(void)
{
    coroner_co co = fetch();
    CORONER_LOCAL_DONE(co, frames[0]->buffer);
}

static void no_frame(void)
{
    coroner_co co = coroner_co_begin("fetch", NULL, 0);
    coroner_co_suspend(co);
    coroner_co_destroy(co);
}

static void suspended_twice(void)
{
    coroner_co co = fetch();
    coroner_co_resume(co);
    coroner_co_suspend(co);
    coroner_co_cancel_seen(co);
    coroner_co_suspend(co); /* which does not count as swallowed either */
}

static void resumed_twice(void)
{
    coroner_co co = fetch();
    coroner_co_resume(co);
    coroner_co_resume(co);
    coroner_co_suspend(co);
    REQUIRE(coroner_co_current().id == 0);
}

static void *resume_it(void *co)
{
    coroner_co_resume(*(coroner_co *)co);
    REQUIRE(coroner_co_current().id == 0);
    return NULL;
}

static void resumed_elsewhere(void)
{
    coroner_co co = fetch();
    pthread_t thread;
    coroner_co_resume(co);
    REQUIRE(pthread_create(&thread, NULL, resume_it, &co) == 0);
    pthread_join(thread, NULL);
    REQUIRE(coroner_co_current().id == co.id);
}

static void completed_twice(void)
{
    coroner_co co = fetch();
    coroner_co_resume(co);
    coroner_co_complete(co);
    coroner_co_complete(co);
    coroner_co_cancel(co); /* too late, but nobody's mistake */
    coroner_co_destroy(co);
}

static void enabled(void)
{
    coroner_disable();
    coroner_enable();
    coroner_enable();
}

static void no_root(void)
{
    coroner_root_add(frames, sizeof frames);
    coroner_root_remove(frames, sizeof frames);
    coroner_root_remove(frames, sizeof frames);
}

static void entered_late(void)
{
    coroner_scope scope = coroner_scope_make(coroner_scope_global(), "request");
    coroner_scope_end(scope, CORONER_REPORT);
    coroner_scope_enter(scope);
}

static void often(void)
{
    coroner_co co = fetch();
    coroner_co_destroy(co);
    for (int i = 0; i < 1000; i++)
        coroner_co_suspend(co);
}

static void nulls(void)
{
    coroner_co co = {0};
    struct coroner_finding finding;
    coroner_co_resume(co);
    coroner_co_cancel(co);
    coroner_co_destroy(co);
    coroner_local(co, NULL, NULL, 0);
    coroner_local_done(co, NULL);
    coroner_watch(NULL, NULL);
    coroner_ignore(NULL);
    coroner_detach(NULL);
    coroner_root_add(NULL, 0);
    coroner_check(CORONER_REPORT, NULL);
    REQUIRE(coroner_finding_get(0, NULL) == 0 && coroner_finding_get(0, &finding) == 0);
    coroner_scope_end(coroner_scope_begin(NULL), CORONER_REPORT);
    coroner_co_suspend(coroner_co_begin(NULL, frame_new(), 0));
    coroner_watch(&finding, NULL); /* no block */
    coroner_ignore(&finding);
}

static void never_resumed(void)
{
    coroner_co co = fetch();
    coroner_co_suspend(co);
    coroner_co_resume(co);
    coroner_co_complete(co);
}

/* The frame of a coroutine lies in that of another, at its start or further on. */
static void nested_frames(void)
{
    struct frame *outer = frame_new();
    char *held = malloc(30);
    fill(held, 30);
    memcpy(outer->space, &held, sizeof held);
    coroner_co_suspend(coroner_co_begin("inner", outer->space, sizeof outer->space));
    coroner_co_suspend(coroner_co_begin("outer", outer, sizeof *outer));
    coroner_co_suspend(coroner_co_begin("first", outer, sizeof outer->buffer));
}

static coroner_scope scope_of_main;

static void *end_it(void *unused)
{
    (void)unused;
    coroner_scope_end(scope_of_main, CORONER_REPORT);
    return NULL;
}

/* Ended by another thread while it is current here: what is done from then on is in no scope. */
static void other_thread(void)
{
    pthread_t thread;
    scope_of_main = coroner_scope_begin("request");
    REQUIRE(pthread_create(&thread, NULL, end_it, NULL) == 0);
    pthread_join(thread, NULL);
    REQUIRE(coroner_scope_current().id == (coroner_is_active() ? UINT64_MAX : 0));
    for (int i = 0; i < 1000; i++)
        coroner_scope_end(coroner_scope_begin("next"), CORONER_REPORT);
    coroner_co_suspend(fetch());
}

static void *leave_open(void *unused)
{
    (void)unused;
    coroner_scope_begin("open");
    coroner_co co = fetch();
    coroner_co_resume(co);
    return NULL;
}

static void thread_leaves(void)
{
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, leave_open, NULL) == 0);
    pthread_join(thread, NULL);
    coroner_check(CORONER_REPORT, NULL);
}

/* The last of a scope's coroutines ends it. */
static void ended_inside(void)
{
    coroner_scope scope = coroner_scope_begin("request");
    coroner_co co = fetch();
    coroner_co_resume(co);
    coroner_scope_end(scope, CORONER_REPORT);
    coroner_co_complete(co);
    coroner_co_destroy(co);
    REQUIRE(coroner_scope_current().id == (coroner_is_active() ? UINT64_MAX : 0));
}

static ucontext_t of_main, of_coroutine;

static void check_inside(void *co)
{
    coroner_co_resume(*(coroner_co *)co);
    REQUIRE(coroner_check(CORONER_REPORT, NULL) == 0);
    coroner_co_complete(*(coroner_co *)co);
}

static void checked_inside(void)
{
    char *stack = heap_stack(STACK_BYTES);
    coroner_co co =
        coroner_co_begin_in(coroner_scope_current(), "checker", stack, STACK_BYTES, CORONER_STACK);
    coroutine_make(&of_coroutine, stack, STACK_BYTES, &of_main, check_inside, &co);
    REQUIRE(swapcontext(&of_main, &of_coroutine) == 0);
    coroner_co_destroy(co);
    free(stack);
}

/* The child ends the scope that its parent began; so does the parent. */
static void forked(void)
{
    coroner_scope scope = coroner_scope_begin("request");
    coroner_co co = fetch();
    coroner_co_resume(co);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child != 0) {
        int status;
        REQUIRE(waitpid(child, &status, 0) == child && status == 0);
    }
    REQUIRE(coroner_co_current().id == co.id);
    coroner_co_complete(co);
    coroner_co_destroy(co);
    REQUIRE(coroner_scope_end(scope, CORONER_REPORT) == 0);
}

enum { HANDLED_ENOUGH = 30 };
static volatile sig_atomic_t handled;

/* Not for ever: where a check takes longer than the timer's interval, nothing but handlers runs. */
static void check_there(int signal)
{
    (void)signal;
    if (handled < HANDLED_ENOUGH)
        coroner_check(CORONER_SILENT, NULL);
    handled++;
}

/* A check in a signal handler may be refused, and does no harm. */
static void in_handler(void)
{
    struct itimerval often_enough = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = check_there, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often_enough, NULL);
    coroner_co co = fetch();
    while (handled < HANDLED_ENOUGH) {
        char *block = malloc(100);
        fill(block, 100);
        coroner_scope scope = coroner_scope_begin("request");
        coroner_co_resume(co);
        coroner_co_suspend(co);
        coroner_scope_end(scope, CORONER_REPORT);
        free(block);
    }
    setitimer(ITIMER_REAL, &never, NULL);
}

int main(int argc, char **argv)
{
#define MISTAKE(name) {#name, name}
    static const struct {
        const char *name;
        void (*make)(void);
    } mistakes[] = {
        MISTAKE(ended_twice),     MISTAKE(out_of_order),  MISTAKE(destroyed_used),
        MISTAKE(destroyed_twice), MISTAKE(frame_freed),   MISTAKE(begun_twice),
        MISTAKE(local_twice),     MISTAKE(small_local),   MISTAKE(unknown_local),
        MISTAKE(no_frame),        MISTAKE(nulls),         MISTAKE(suspended_twice),
        MISTAKE(resumed_twice),   MISTAKE(never_resumed), MISTAKE(resumed_elsewhere),
        MISTAKE(completed_twice), MISTAKE(enabled),       MISTAKE(no_root),
        MISTAKE(entered_late),    MISTAKE(often),         MISTAKE(nested_frames),
        MISTAKE(other_thread),    MISTAKE(thread_leaves), MISTAKE(ended_inside),
        MISTAKE(checked_inside),  MISTAKE(forked),        MISTAKE(in_handler),
    };
    REQUIRE(argc == 2);
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++)
        if (said(argv, mistakes[i].name))
            mistakes[i].make();
    wipe();
    return 0;
}
