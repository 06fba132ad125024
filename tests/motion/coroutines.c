/*
 * Two threads with a scheduler each: ucontext coroutines are made on malloc'ed and mapped stacks,
 * switched, ended and made anew; some are handed to the other thread while they are suspended.
 * Each holds blocks in its frames that it must find again.
 */
#include "motion.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { SLOTS = 40, STACK_BYTES = 32768, BYTES = 120 };

struct fiber {
    ucontext_t context;
    void *stack;
    bool is_mapped, is_over;
    unsigned turns;
    char *argument;
};

struct scheduler {
    ucontext_t own;
    struct fiber *fibers[SLOTS];
    unsigned long random;
};

static struct fiber *handed;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread struct scheduler *here;

/* Where this thread's own context is: not to be kept over a switch. */
MOTION_NOINLINE static ucontext_t *own_context(void)
{
    return &here->own;
}

static void fiber_yield(struct fiber *self)
{
    MOTION_REQUIRE(swapcontext(&self->context, own_context()) == 0);
}

static char *block_make(unsigned mark)
{
    char *block = malloc(BYTES);
    memset(block, (int)(mark % 100 + 20), BYTES);
    return block;
}

static void fiber_run(unsigned low, unsigned high)
{
    struct fiber *self = (struct fiber *)((uintptr_t)high << 32 | low);
    char *volatile first = block_make(self->turns);
    char *volatile later = NULL;
    while (self->turns-- > 0) {
        free(later);
        later = block_make(self->turns);
        fiber_yield(self);
        MOTION_REQUIRE(later[BYTES - 1] == later[0] && first[BYTES - 1] == first[0]);
    }
    free(first);
    free(later);
    first = later = NULL;
    free(self->argument);
    self->argument = NULL;
    self->is_over = true;
    fiber_yield(self);
}

static struct fiber *fiber_make(unsigned long *random)
{
    struct fiber *fiber = calloc(1, sizeof *fiber);
    fiber->is_mapped = motion_random(random, 2) != 0;
    fiber->stack = fiber->is_mapped ? mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                    : malloc(STACK_BYTES);
    fiber->turns = 1 + motion_random(random, 30);
    fiber->argument = block_make(7);
    MOTION_REQUIRE(fiber->stack != MAP_FAILED && getcontext(&fiber->context) == 0);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = STACK_BYTES;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, (void (*)(void))fiber_run, 2, (unsigned)(uintptr_t)fiber,
                (unsigned)((uintptr_t)fiber >> 32));
    return fiber;
}

static void fiber_end(struct fiber *fiber)
{
    if (fiber->is_mapped)
        munmap(fiber->stack, STACK_BYTES);
    else
        free(fiber->stack);
    free(fiber);
}

/* Gives a fiber away, and gets the one that was given before. */
static struct fiber *swap_handed(struct fiber *fiber)
{
    pthread_mutex_lock(&lock);
    struct fiber *other = handed;
    handed = fiber;
    pthread_mutex_unlock(&lock);
    return other;
}

MOTION_NOINLINE static void turn(struct scheduler *scheduler)
{
    struct fiber **slot = &scheduler->fibers[motion_random(&scheduler->random, SLOTS)];
    if (*slot == NULL)
        *slot = fiber_make(&scheduler->random);
    MOTION_REQUIRE(swapcontext(&scheduler->own, &(*slot)->context) == 0);
    if ((*slot)->is_over) {
        fiber_end(*slot);
        *slot = NULL;
    } else if (motion_random(&scheduler->random, 10) == 0) {
        *slot = swap_handed(*slot);
    }
}

/* Runs what is left to its end. */
static void scheduler_drain(struct scheduler *scheduler)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        while (scheduler->fibers[i] != NULL) {
            MOTION_REQUIRE(swapcontext(&scheduler->own, &scheduler->fibers[i]->context) == 0);
            if (scheduler->fibers[i]->is_over) {
                fiber_end(scheduler->fibers[i]);
                scheduler->fibers[i] = NULL;
            }
        }
    }
}

static void *work(void *argument)
{
    struct scheduler *scheduler = calloc(1, sizeof *scheduler);
    scheduler->random = (uintptr_t)argument;
    here = scheduler;
    while (argument != NULL ? motion_is_on() : motion_goes_on())
        turn(scheduler);
    scheduler->fibers[0] = scheduler->fibers[0] != NULL ? scheduler->fibers[0] : swap_handed(NULL);
    scheduler_drain(scheduler);
    here = NULL;
    free(scheduler);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t other;
    motion_begin(argc, argv);
    MOTION_REQUIRE(pthread_create(&other, NULL, work, (void *)3) == 0);
    work(NULL);
    pthread_join(other, NULL);
    while (handed != NULL)
        work(NULL);
    motion_wipe();
    return motion_end("all fibers found their blocks");
}
