/*
 * A callback turned into a suspension: a coroutine hands the network a call, and waits until that
 * calls back.  The network knows calls by the numbers of their streams.  Nobody has told how to
 * end the wait, so when the coroutine is cancelled nothing happens: it stays suspended, and the
 * call object in its frame will not be read again.
 *
 * Mended: a hook cancels the call, and the coroutine ends.
 *
 * RUN:      coroner run --format=json --output=report.json $CASE hookless
 * SCENARIO: 14
 * EXPECT:   cancelled blocks=1 bytes=32 indirect_blocks=1 indirect_bytes=9000 \
 *                     allocated_in=call_new confidence=proven coroutine=fetch local=call \
 *                     mechanism=probe state=cancelled
 * EXPECT:   chain * > coroutine fetch local=call
 * EXPECT:   finding no_cancel_hook count=1 coroutine=fetch
 * EXPECT:   summary coroutines.seen=1 coroutines.cancelled=1
 * EXPECT:   stdout streams open: 1
 * EXPECT:   exit status=23
 *
 * RUN:      coroner run --strict --format=json --output=report.json $CASE hooked
 * SCENARIO: 14
 * EXPECT:   none
 * EXPECT:   summary coroutines.seen=1 coroutines.destroyed=1
 * EXPECT:   stdout streams open: 0
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --strict --format=json --output=report.json $CASE hookless uncancelled
 * SCENARIO: 14
 * EXPECT:   none
 * EXPECT:   summary coroutines.seen=1 coroutines.suspended=1
 * EXPECT:   stdout streams open: 1
 * EXPECT:   exit status=0
 */
#include "looper.h"

struct call {
    int stream;
    char *body;
    void (*on_reply)(struct frame *caller, char *reply);
    struct frame *caller;
};

struct fetch {
    struct frame frame;
    struct call *call;
    bool is_hooked;
};

GLOBAL struct looper worker = LOOPER("worker");
GLOBAL bool streams[16]; /* the network */

static void on_reply(struct frame *caller, char *reply)
{
    free(reply);
    wake(caller);
}

NOINLINE static struct call *call_new(struct frame *caller)
{
    struct call *call = calloc(1, sizeof *call);
    REQUIRE(call != NULL);
    call->on_reply = on_reply;
    call->caller = caller;
    call->body = malloc(9000);
    fill(call->body, 9000);
    return call;
}

NOINLINE static void call_start(struct call *call)
{
    while (streams[call->stream])
        call->stream++;
    streams[call->stream] = true;
}

NOINLINE static void call_cancel(struct call *call)
{
    streams[call->stream] = false;
    free(call->body);
    free(call);
}

static bool fetch_cancel(struct frame *frame)
{
    struct fetch *self = (struct fetch *)frame;
    call_cancel(self->call);
    self->call = NULL;
    return true;
}

static void fetch(struct frame *frame)
{
    struct fetch *self = (struct fetch *)frame;
    if (frame->at++ == 0) {
        self->call = call_new(frame);
        LOCAL(self, call);
        call_start(self->call);
        suspend(frame, self->is_hooked ? fetch_cancel : NULL);
        return;
    }
    finish(frame);
}

NOINLINE static void run(bool is_hooked, bool is_cancelled)
{
    struct job *activity = job_new(NULL, "activity", true);
    struct frame *frame = launch(activity, &worker, "fetch", sizeof(struct fetch), fetch, NULL);
    ((struct fetch *)frame)->is_hooked = is_hooked;
    start(frame);
    looper_settle(&worker);
    if (is_cancelled)
        job_cancel(activity);
    looper_settle(&worker);
}

int main(int argc, char **argv)
{
    (void)argc;
    looper_start(&worker);
    run(said(argv, "hooked"), !said(argv, "uncancelled"));
    int open = 0;
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
        open += streams[i];
    printf("streams open: %d\n", open);
    wipe();
    return 0;
}
