/*
 * Coroutines that move between threads: four threads take turns at resuming a hundred of them.  A
 * coroutine belongs to no thread, so what it holds stays live after the thread that started it is
 * gone.  With the queue dropped at the end, all are abandoned.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * ROW:    T1
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=100 coroutines.suspended=100 coroutines.resurrected=0
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE dropped
 * ROW:    T1 twin
 * EXPECT: abandoned  blocks=100 bytes=7200 allocated_in=make_cargo suspended_in=travel
 * EXPECT: abandoned  blocks=100 bytes=6553600 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=100 allocated_in=traveller_new
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <pthread.h>

enum { THREADS = 4, TRAVELLERS = 100, TURNS = 4000 };

struct traveller {
    struct traveller *next;
    ucontext_t context;
    ucontext_t *back; /* where this turn came from; each turn may be on another thread */
};

/* A queue of those that may be resumed, and the turns left, protected by the lock. */
GLOBAL pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
GLOBAL struct traveller *first, **last = &first;
GLOBAL int turns_left = TURNS;

NOINLINE static char *make_cargo(void)
{
    char *cargo = malloc(72);
    fill(cargo, 72);
    return cargo;
}

NOINLINE static struct traveller *traveller_new(void)
{
    struct traveller *traveller = calloc(1, sizeof *traveller);
    REQUIRE(traveller != NULL);
    return traveller;
}

static void travel(void *argument)
{
    struct traveller *self = argument;
    char *volatile cargo = make_cargo();
    for (;;) {
        swapcontext(&self->context, self->back);
        free(cargo);
        cargo = make_cargo();
    }
}

static void push(struct traveller *traveller)
{
    traveller->next = NULL;
    *last = traveller;
    last = &traveller->next;
}

NOINLINE static struct traveller *pop(void)
{
    struct traveller *traveller = NULL;
    pthread_mutex_lock(&lock);
    if (turns_left > 0 && first != NULL) {
        turns_left--;
        traveller = first;
        first = traveller->next;
        if (first == NULL)
            last = &first;
    }
    pthread_mutex_unlock(&lock);
    return traveller;
}

static void *drive(void *unused)
{
    struct traveller *traveller;
    while ((traveller = pop()) != NULL) {
        ucontext_t here;
        traveller->back = &here;
        swapcontext(&here, &traveller->context);
        pthread_mutex_lock(&lock);
        push(traveller);
        pthread_mutex_unlock(&lock);
    }
    return unused;
}

NOINLINE static void create(void)
{
    struct traveller *traveller = traveller_new();
    coroutine_make(&traveller->context, heap_stack(STACK_BYTES), STACK_BYTES, NULL, travel,
                   traveller);
    push(traveller);
}

NOINLINE static void run(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < TRAVELLERS; i++)
        create();
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, drive, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
    (void)argc;
    run();
    if (said(argv, "dropped")) {
        first = NULL;
        last = NULL;
    }
    wipe();
    return 0;
}
