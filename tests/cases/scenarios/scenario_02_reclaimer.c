/*
 * The same bitmap is freed a moment after its coroutine has ended, by a queue that another thread
 * drains.  In one form the queue holds the bitmap itself, in the other one the coroutine, which
 * was retired.  Neither is a leak at any moment: not while main() checks all the time, nor when the
 * program ends before the reclaimer has started.
 *
 * RUN:      coroner run --format=json --output=report.json $CASE bitmap
 * SCENARIO: 2
 * EXPECT:   none
 * EXPECT:   stdout reclaimed
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --format=json --output=report.json $CASE coroutine
 * SCENARIO: 2
 * EXPECT:   none
 * EXPECT:   stdout reclaimed
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --format=json --output=report.json $CASE bitmap queued
 * SCENARIO: 2
 * EXPECT:   none
 * EXPECT:   stdout queued
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --format=json --output=report.json $CASE coroutine queued
 * SCENARIO: 2
 * EXPECT:   none
 * EXPECT:   stdout queued
 * EXPECT:   exit status=0
 */
#include "looper.h"

enum { COUNT = 10, BITMAP_BYTES = 1 << 20 };

struct background {
    struct frame frame;
    char *bitmap;
};

GLOBAL struct looper worker = LOOPER("worker"), reclaimer = LOOPER("reclaimer");
static bool retires;
static atomic_int ended;

NOINLINE static char *make_bitmap(void)
{
    char *bitmap = malloc(BITMAP_BYTES);
    REQUIRE(bitmap != NULL);
    fill(bitmap, 4096);
    return bitmap;
}

static void background_drop(struct frame *frame)
{
    free(((struct background *)frame)->bitmap);
}

static void background_function(struct frame *frame)
{
    struct background *self = (struct background *)frame;
    if (frame->at++ == 0) {
        self->bitmap = make_bitmap();
        LOCAL(self, bitmap);
        delay(frame, 1);
        return;
    }
    if (retires) {
        retire(frame, &reclaimer);
    } else {
        looper_post(&reclaimer, 20, free, self->bitmap);
        frame->drop = NULL;
        finish(frame);
    }
    ended++;
}

int main(int argc, char **argv)
{
    (void)argc;
    retires = said(argv, "coroutine");
    looper_start(&worker);
    if (!said(argv, "queued"))
        looper_start(&reclaimer);
    for (int i = 0; i < COUNT; i++) {
        start(launch(NULL, &worker, "background_function", sizeof(struct background),
                     background_function, background_drop));
        do
            REQUIRE(CORONER_COUNT() == 0);
        while (ended <= i);
        REQUIRE(CORONER_COUNT() == 0);
    }
    looper_join(&worker);
    if (!said(argv, "queued"))
        looper_join(&reclaimer);
    REQUIRE(CORONER_COUNT() == 0);
    puts(said(argv, "queued") ? "queued" : "reclaimed");
    wipe();
    return 0;
}
