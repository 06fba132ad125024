/*
 * A background coroutine makes a bitmap, hops to the main loop to show it, hops back and ends.  Its
 * job stays in the list and keeps the continuation, so the frame is live, and the bitmap is not:
 * nothing will ever read a local of a coroutine that has ended.  The program itself, when it asks,
 * gets the same answer.
 *
 * Mended twice: the coroutine is destroyed when it is done; or the job stays in the list, but drops
 * its continuation.
 *
 * RUN:      coroner run --format=json --output=report.json $CASE kept
 * SCENARIO: 1
 * EXPECT:   completed blocks=1 bytes=67108864 allocated_in=make_bitmap confidence=proven \
 *                     coroutine=background_function local=bitmap mechanism=probe state=completed
 * EXPECT:   chain global jobs > block job_new > coroutine background_function local=bitmap
 * EXPECT:   summary coroutines.seen=1 coroutines.completed=1
 * EXPECT:   stdout shown: 67108864 bytes
 * EXPECT:   exit status=23
 *
 * RUN:      coroner run --format=json --output=report.json $CASE destroyed
 * SCENARIO: 1
 * EXPECT:   none
 * EXPECT:   summary coroutines.seen=1 coroutines.destroyed=1
 * EXPECT:   stdout shown: 67108864 bytes
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --format=json --output=report.json $CASE dropped
 * SCENARIO: 1
 * EXPECT:   none
 * EXPECT:   summary coroutines.seen=1 coroutines.destroyed=1
 * EXPECT:   stdout shown: 67108864 bytes
 * EXPECT:   exit status=0
 */
#include "looper.h"

enum { BITMAP_BYTES = 64 << 20 };

struct background {
    struct frame frame;
    char *bitmap;
};

GLOBAL struct looper ui = LOOPER("ui"), worker = LOOPER("worker");

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
    switch (frame->at++) {
    case 0:
        self->bitmap = make_bitmap();
        LOCAL(self, bitmap);
        hop(frame, &ui);
        return;
    case 1:
        printf("shown: %d bytes\n", self->bitmap[0] == 'x' ? BITMAP_BYTES : 0);
        hop(frame, &worker);
        return;
    default:
        finish(frame);
        looper_quit(&ui);
    }
}

NOINLINE static void run(bool keeps_continuation, bool keeps_job)
{
    struct frame *frame = launch(NULL, &worker, "background_function", sizeof(struct background),
                                 background_function, background_drop);
    frame->job->keeps_continuation = keeps_continuation;
    frame->job->is_kept = keeps_job;
    start(frame);
}

/* Asks for a check where Coroner is there to answer. */
NOINLINE static void ask(bool is_leaky)
{
    struct coroner_summary summary;
    struct coroner_finding finding;
    if (!coroner_is_active())
        return;
    REQUIRE(coroner_check(CORONER_SILENT, &summary) == is_leaky && summary.findings == is_leaky);
    if (!is_leaky)
        return;
    REQUIRE(summary.leaked_bytes == BITMAP_BYTES && summary.likely_blocks == 0);
    REQUIRE(coroner_finding_get(0, &finding) && !coroner_finding_get(1, &finding));
    REQUIRE(finding.kind == CORONER_LEAK && finding.is_proven);
    REQUIRE(strcmp(finding.verdict, "completed") == 0 && strcmp(finding.local, "bitmap") == 0);
    REQUIRE(strcmp(finding.coroutine, "background_function") == 0);
    REQUIRE(finding.blocks == 1 && finding.bytes == BITMAP_BYTES);
}

int main(int argc, char **argv)
{
    (void)argc;
    looper_start(&worker);
    run(said(argv, "kept"), said(argv, "dropped"));
    looper_run(&ui);
    looper_join(&worker);
    wipe();
    ask(said(argv, "kept"));
    wipe();
    return 0;
}
