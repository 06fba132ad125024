/*
 * Coroutines of switches written by hand, whose entry function never returns.  One that has done its
 * work switches away for good: into a pool, whose trampoline only takes the next entry; for the last
 * time, and what follows ends the program; or in a function that threads end by.  The message that its
 * work left on the stack is a completed coroutine's, whether its stack was ever used or not; and so, likely,
 * is what the frame holds that will only abort.
 *
 * Its live twins: it waits in its work; or it waits in the entry function itself, and goes on there
 * with what it holds.  Nor has one ended whose entry function would yet return, and let its link go
 * on: what its work left is lost.  Waiting while nobody has its handle, it is abandoned.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE loop pushed
 * EXPECT: completed  blocks=1 bytes=2222 allocated_in=make_message mechanism=switch confidence=proven
 * EXPECT: summary    coroutines.completed=1 coroutines.suspended=0
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE loop threads
 * EXPECT: lost|completed  blocks=1 bytes=2222 allocated_in=make_message confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE loop frame-38
 * EXPECT: completed  blocks=1 bytes=2222 allocated_in=make_message mechanism=fcontext \
 *                    confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE loop setjmp
 * EXPECT: lost|completed  blocks=1 bytes=2222 allocated_in=make_message confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE loop ucontext
 * EXPECT: completed  blocks=1 bytes=2222 allocated_in=make_message mechanism=ucontext \
 *                    confidence=proven
 * EXPECT: summary    coroutines.completed=1 coroutines.suspended=0
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE loop pushed touched
 * EXPECT: completed  blocks=1 bytes=2222 allocated_in=make_message confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE last pushed
 * EXPECT: completed  blocks=1 bytes=2222 allocated_in=make_message mechanism=switch confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE last ucontext
 * EXPECT: lost       blocks=1 bytes=2222 allocated_in=make_message confidence=proven
 * EXPECT: summary    coroutines.completed=0 coroutines.suspended=1
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE exits ucontext
 * EXPECT: completed  blocks=1 bytes=2222 allocated_in=make_message mechanism=ucontext \
 *                    confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE exits pushed
 * EXPECT: completed  blocks=1 bytes=2222 allocated_in=make_message mechanism=switch confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE exits pushed marked
 * EXPECT: completed  blocks=1 bytes=2222 allocated_in=make_message mechanism=switch confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE keeps pushed
 * EXPECT: completed  blocks=1 bytes=2222 allocated_in=make_message mechanism=switch confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE loop pushed waits
 * EXPECT: none
 * EXPECT: summary    coroutines.completed=0 coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE loop setjmp waits
 * EXPECT: none
 * EXPECT: summary    coroutines.completed=0 coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE yields pushed
 * EXPECT: none
 * EXPECT: summary    coroutines.completed=0 coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE yields ucontext
 * EXPECT: none
 * EXPECT: summary    coroutines.completed=0 coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE idles pushed
 * EXPECT: none
 * EXPECT: summary    coroutines.completed=0 coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE idles ucontext
 * EXPECT: none
 * EXPECT: summary    coroutines.completed=0 coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE worker pushed
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE loop pushed waits dropped
 * EXPECT: abandoned  blocks=1 bytes=2222 allocated_in=make_message
 * EXPECT: abandoned  blocks=1 bytes=65536 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=1 allocated_in=record_new
 * EXPECT: exit       status=23
 */
#include "switches.h"

#include <pthread.h>
#include <setjmp.h>

struct record {
    struct place place;
    ucontext_t context;
    sigjmp_buf registers;
    void (*entry)(struct record *self);
    bool waits, is_done;
};

GLOBAL struct record scheduler, *kept;
GLOBAL struct record *volatile starting;
GLOBAL const struct flavour *flavour;
GLOBAL void (*leave)(struct record *from, struct record *to);
GLOBAL void (*trampoline)(struct record *self);

NOINLINE static void leave_by_hand(struct record *from, struct record *to)
{
    flavour->go(&from->place, &to->place);
}

NOINLINE static void leave_by_ucontext(struct record *from, struct record *to)
{
    swapcontext(&from->context, &to->context);
}

NOINLINE static void leave_by_setjmp(struct record *from, struct record *to)
{
    if (sigsetjmp(from->registers, 0) == 0)
        siglongjmp(to->registers, 1);
}

NOINLINE static char *make_message(void)
{
    char *message = malloc(2222);
    fill(message, 2222);
    return message;
}

/* Work that forgets its message. */
static void serve(struct record *self)
{
    LEFTOVER(char *, message);
    *message = make_message();
    if (self->waits) {
        leave(self, &scheduler);
        free(*message);
    }
}

static void serve_well(struct record *self)
{
    self->is_done = true;
}

NOINLINE static void run_loop(struct record *self)
{
    for (;;) {
        self->entry(self);
        leave(self, &scheduler);
    }
}

NOINLINE static void run_last(struct record *self)
{
    self->entry(self);
    self->is_done = true;
    leave(self, &scheduler); /* for the last time */
    CALLED;
}

_Noreturn NOINLINE static void record_exit(struct record *self)
{
    self->is_done = true;
    leave(self, &scheduler);
    abort();
}

NOINLINE static void run_exits(struct record *self)
{
    self->entry(self);
    wipe_registers(); /* clang pads a frame by pushing one */
    record_exit(self);
}

NOINLINE static void run_keeps(struct record *self)
{
    char *volatile message = make_message();
    fill(message, 1);
    leave(self, &scheduler); /* for the last time */
    CALLED;
}

/* A fiber that works in its entry function. */
NOINLINE static void run_yields(struct record *self)
{
    char *volatile message = make_message();
    for (;;) {
        leave(self, &scheduler);
        free(message);
        message = make_message();
    }
}

/* One that waits for ever in its entry function. */
NOINLINE static void run_idles(struct record *self)
{
    free(make_message());
    for (;;)
        leave(self, &scheduler);
}

/* A worker that holds something from one task to the next. */
NOINLINE static void run_worker(struct record *self)
{
    char *volatile message = make_message();
    for (;;) {
        self->entry(self);
        leave(self, &scheduler);
        message[1]++;
    }
}

static const struct shape {
    const char *name;
    void (*run)(struct record *self);
} shapes[] = {
    {"loop", run_loop},     {"last", run_last},     {"exits", run_exits}, {"keeps", run_keeps},
    {"yields", run_yields}, {"worker", run_worker}, {"idles", run_idles},
};

static void begin(void)
{
    trampoline(starting);
    abort();
}

static void begin_ucontext(void *self)
{
    trampoline(self);
}

NOINLINE static struct record *record_new(void)
{
    struct record *record = calloc(1, sizeof *record);
    REQUIRE(record != NULL);
    return record;
}

NOINLINE static void start(struct record *record, char **argv)
{
    char *stack = heap_stack(STACK_BYTES);
    if (said(argv, "touched"))
        memset(stack, 0, STACK_BYTES);
    if (said(argv, "ucontext")) {
        leave = leave_by_ucontext;
        coroutine_make(&record->context, stack, STACK_BYTES, NULL, begin_ucontext, record);
        return;
    }
    uintptr_t *top = (uintptr_t *)(void *)(stack + STACK_BYTES);
    bool by_setjmp = said(argv, "setjmp");
    flavour = by_setjmp ? &flavours[0] : flavour_said(argv);
    leave = by_setjmp ? leave_by_setjmp : leave_by_hand;
    flavour->make(&record->place, top);
    if (said(argv, "marked"))
        top[-1] = 0xdeaddeaddeaddead; /* where begin() would return to */
}

NOINLINE static void run(char **argv)
{
    struct record *record = kept = record_new();
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (said(argv, shapes[i].name))
            trampoline = shapes[i].run;
    record->entry = said(argv, "worker") ? serve_well : serve;
    record->waits = said(argv, "waits");
    starting = record;
    start(record, argv);
    if (!said(argv, "setjmp"))
        leave(&scheduler, record);
    else if (sigsetjmp(scheduler.registers, 0) == 0)
        leave_by_hand(&scheduler, record);
    starting = NULL;
    if (said(argv, "dropped"))
        kept = NULL;
    memset(&scheduler, 0, sizeof scheduler);
}

static void *nothing_do(void *argument)
{
    return argument;
}

int main(int argc, char **argv)
{
    (void)argc;
    pthread_t thread; /* with the first one the decoder is loaded */
    REQUIRE(pthread_create(&thread, NULL, nothing_do, NULL) == 0);
    REQUIRE(pthread_join(thread, NULL) == 0);
    run(argv);
    wipe();
    return 0;
}
