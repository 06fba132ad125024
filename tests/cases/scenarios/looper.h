#ifndef LOOPER_H
#define LOOPER_H
/*
 * A small application framework for the scenarios, and what it tells Coroner.
 *
 *     looper --> message --> message      a thread takes them one by one, and waits for more
 *                   |
 *                   v
 *     jobs --> job --> frame              a coroutine: a record, and a function that goes on in it
 *               |
 *               +----> job --> frame      a child: it is cancelled with its parent
 *
 * A frame begins with a struct frame; behind it are the coroutine's locals.  Its function is a
 * switch over frame->at: it asks for what it waits for (hop, delay, suspend) and returns, and is
 * called again when that is there.  frame->has_failed then says whether it was cancelled.
 *
 * What a framework's thread has in its registers and dead stack is an accident, so a looper wipes
 * both before it waits.
 */
#include "../case.h"

#include "coroner/coroner.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * Messages are counted: one that has been handled goes back to the pool, whoever else has it.
 * The last holder lets go of the object by `drop`, if there is one.
 */
struct message {
    struct message *next;
    void (*handle)(void *object);
    void *object;
    void (*drop)(void *object);
    int64_t due_ms;
    atomic_int holders;
};

struct message *message_obtain(void);
void message_release(struct message *message);

/* A queue of messages, and the thread that takes them. */
struct looper {
    const char *name;                    /* the thread's too */
    bool keeps_last;                     /* it forgets a message only when it has the next one */
    void (*idle)(struct looper *looper); /* called when nothing is queued, if not NULL */
    pthread_t thread;
    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t changed;
    struct message *first; /* in order of due_ms */
    bool is_waiting, is_over;
};

#define LOOPER(text)                                                                           \
    {                                                                                          \
        .name = (text), .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER \
    }

/* Calls handle(object) on the looper's thread, not before some time has passed. */
void looper_post(struct looper *looper, int delay_ms, void (*handle)(void *), void *object);
void looper_send(struct looper *looper, struct message *message); /* one of the caller's own */

void looper_start(struct looper *looper);  /* a thread of its own */
void looper_run(struct looper *looper);    /* the calling thread, until it is told to stop */
void looper_settle(struct looper *looper); /* until its thread waits, and will for a second */
void looper_quit(struct looper *looper);   /* when all that is queued has been handled */
void looper_join(struct looper *looper);   /* tells it to quit, and waits for its thread */

struct frame;

/*
 * A job is a coroutine's, or a group of them; a supervisor does not fail with its children.  Jobs
 * without a parent are in the list `jobs`.
 */
struct job {
    const char *name;
    struct job *next, *parent, *children;
    struct frame *continuation; /* NULL: none, or no more */
    bool is_supervisor;
    bool is_kept, keeps_continuation; /* when that has ended */
    atomic_bool is_cancelled;
};
extern struct job *jobs;

struct job *job_new(struct job *parent, const char *name, bool is_supervisor);
void job_free(struct job *job);
void job_cancel(struct job *job);
void job_cancel_children(struct job *job);
void job_forget(struct job *job);       /* nobody knows it any more; nobody told it */
void job_join(struct job *job);         /* waits until no child is left */
unsigned job_children(struct job *job); /* how many have not ended */

struct frame {
    coroner_co co;
    struct job *job;
    struct looper *looper; /* where it goes on */
    void (*go_on)(struct frame *frame);
    void (*drop)(struct frame *frame); /* frees its locals, if not NULL */
    bool (*hook)(struct frame *frame); /* ends what it waits for, if not NULL */
    unsigned at;
    bool has_failed, is_waiting;
};

/* Names a local of a frame to Coroner; it will not be read again. */
#define LOCAL(self, local) \
    coroner_local((self)->frame.co, #local, (const void *)&(self)->local, sizeof(self)->local)
#define LOCAL_DONE(self, local) coroner_local_done((self)->frame.co, (const void *)&(self)->local)

/*
 * Launches a coroutine in Coroner's current scope, as a child of `parent` (NULL: of nobody), and
 * answers its frame, of `bytes` bytes.  It starts on the looper once start() is called, which may
 * be after arguments have been put into its frame.
 */
struct frame *launch(struct job *parent, struct looper *looper, const char *name, size_t bytes,
                     void (*go_on)(struct frame *), void (*drop)(struct frame *));
void start(struct frame *frame);

/* What a coroutine asks for, and then returns. */
void hop(struct frame *frame, struct looper *looper);
void delay(struct frame *frame, int ms); /* ends early when it is cancelled */

/*
 * Suspends until wake(), or until it is cancelled and the hook, called under the lock of the jobs,
 * answers true: what it waited for has been ended.
 */
void suspend(struct frame *frame, bool (*hook)(struct frame *frame));
void wake(struct frame *frame);

/* It ends; it fails, and takes along who is to fail with it; it ends and is destroyed later. */
void finish(struct frame *frame);
void fail(struct frame *frame);
void retire(struct frame *frame, struct looper *reclaimer);

bool is_active(struct frame *frame); /* asks whether it is not cancelled */

/* Ends a scope: Coroner, if it is there, must find something, or nothing. */
void end_scope(coroner_scope scope, bool has_findings);

#endif
