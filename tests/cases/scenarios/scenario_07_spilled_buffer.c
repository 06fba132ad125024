/*
 * A coroutine has read its big buffer, and suspends for long with the buffer's address still in
 * its frame.  It is live, and so is all that it may read; but it has said that it will not read
 * this local again.  Unsaid, the buffer is live.
 *
 * Mended: it frees the buffer before it suspends.
 *
 * RUN:      coroner run --format=json --output=report.json $CASE done
 * SCENARIO: 7
 * EXPECT:   stale blocks=1 bytes=1048576 allocated_in=read_all confidence=proven \
 *                 coroutine=fetch local=buffer mechanism=probe state=suspended
 * EXPECT:   chain * > coroutine fetch local=buffer
 * EXPECT:   summary coroutines.seen=1 coroutines.suspended=1
 * EXPECT:   stdout fetched
 * EXPECT:   exit status=23
 *
 * RUN:      coroner run --format=json --output=report.json $CASE unsaid
 * SCENARIO: 7
 * EXPECT:   none
 * EXPECT:   stdout fetched
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --format=json --output=report.json $CASE freed
 * SCENARIO: 7
 * EXPECT:   none
 * EXPECT:   summary coroutines.seen=1 coroutines.suspended=1
 * EXPECT:   stdout fetched
 * EXPECT:   exit status=0
 */
#include "looper.h"

enum { BUFFER_BYTES = 1 << 20 };

struct fetch {
    struct frame frame;
    char *volatile buffer;
    char *volatile summary; /* the one that it goes on with */
    bool says, frees;
};

GLOBAL struct looper worker = LOOPER("worker");

NOINLINE static char *read_all(void)
{
    char *buffer = malloc(BUFFER_BYTES);
    REQUIRE(buffer != NULL);
    fill(buffer, BUFFER_BYTES);
    return buffer;
}

NOINLINE static char *sum_up(const char *buffer)
{
    char *summary = malloc(200);
    REQUIRE(summary != NULL);
    memcpy(summary, buffer, 200);
    return summary;
}

static void fetch(struct frame *frame)
{
    struct fetch *self = (struct fetch *)frame;
    self->buffer = read_all();
    LOCAL(self, buffer);
    self->summary = sum_up(self->buffer);
    LOCAL(self, summary);
    if (self->frees) {
        free(self->buffer);
        self->buffer = NULL;
    }
    if (self->says || self->frees)
        LOCAL_DONE(self, buffer);
    delay(frame, 60000);
}

NOINLINE static void run(bool says, bool frees)
{
    struct frame *frame = launch(NULL, &worker, "fetch", sizeof(struct fetch), fetch, NULL);
    ((struct fetch *)frame)->says = says;
    ((struct fetch *)frame)->frees = frees;
    start(frame);
}

int main(int argc, char **argv)
{
    (void)argc;
    looper_start(&worker);
    run(said(argv, "done"), said(argv, "freed"));
    looper_settle(&worker);
    puts("fetched");
    wipe();
    return 0;
}
