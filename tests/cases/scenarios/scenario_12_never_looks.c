/*
 * A coroutine is cancelled while it is busy in a loop that never looks.  It runs on: the report
 * shows where.
 *
 * Mended: the loop asks whether it is active.
 *
 * RUN:      coroner run --format=json --output=report.json $CASE forever
 * SCENARIO: 12
 * EXPECT:   none
 * EXPECT:   finding zombie count=1 coroutine=crunch state=running stack_in=crunch_numbers
 * EXPECT:   summary coroutines.seen=1 coroutines.running=1
 * EXPECT:   stdout cancelled
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --strict --format=json --output=report.json $CASE active
 * SCENARIO: 12
 * EXPECT:   none
 * EXPECT:   summary coroutines.seen=1 coroutines.destroyed=1
 * EXPECT:   stdout cancelled
 * EXPECT:   exit status=0
 */
#include "looper.h"

struct crunch {
    struct frame frame;
    char *numbers;
    bool looks;
};

GLOBAL struct looper worker = LOOPER("worker");
static atomic_bool is_busy;

static void crunch_drop(struct frame *frame)
{
    free(((struct crunch *)frame)->numbers);
}

NOINLINE static void crunch_numbers(struct crunch *self)
{
    char *volatile numbers = self->numbers;
    is_busy = true;
    do
        for (int i = 0; i < 4096; i++)
            numbers[i]++;
    while (!self->looks || is_active(&self->frame));
}

static void crunch(struct frame *frame)
{
    struct crunch *self = (struct crunch *)frame;
    self->numbers = malloc(4096);
    fill(self->numbers, 4096);
    LOCAL(self, numbers);
    crunch_numbers(self);
    finish(frame);
}

int main(int argc, char **argv)
{
    (void)argc;
    struct job *job = job_new(NULL, "work", false);
    looper_start(&worker);
    struct frame *frame =
        launch(job, &worker, "crunch", sizeof(struct crunch), crunch, crunch_drop);
    ((struct crunch *)frame)->looks = said(argv, "active");
    start(frame);
    while (!is_busy)
        usleep(1000);
    job_cancel(job);
    usleep(130000); /* longer than Coroner's grace */
    puts("cancelled");
    wipe();
    return 0;
}
