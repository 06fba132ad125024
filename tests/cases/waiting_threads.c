/*
 * A thread that waits in a system call of libc's holds what it passed to the kernel and what registers
 * keep over a call.  What the last functions left in other registers, and right below the stack
 * pointer, holds nothing.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=100 bytes=10000 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <pthread.h>

enum { THREADS = 100, BYTES = 100 };

static pthread_barrier_t all_have;
static int ends[2];
static bool is_twin;

NOINLINE static void *get(void)
{
    void *block = malloc(BYTES);
    fill(block, BYTES);
    return block;
}

/* Leaves the address in registers that no call keeps, and in the red zone of whoever is called. */
NOINLINE static void leave(uintptr_t hidden)
{
    __asm__ volatile("mov %0, %%r8\n not %%r8\n mov %%r8, %%r9\n mov %%r8, %%r11\n"
                     "movq %%r8, %%xmm5\n mov %%r8, -72(%%rsp)\n mov %%r8, -104(%%rsp)"
                     :
                     : "r"(hidden)
                     : "r8", "r9", "r11", "xmm5", "memory");
}

/* The kernel alone holds the buffer, once the thread is there. */
NOINLINE static void wait_to_read(uintptr_t hidden)
{
    read(ends[0], unhide(hidden), BYTES);
}

static void *run(void *unused)
{
    (void)unused;
    uintptr_t hidden = hide(get());
    wipe();
    pthread_barrier_wait(&all_have);
    if (is_twin) {
        wait_to_read(hidden);
    } else {
        leave(hidden);
        pause();
    }
    return NULL;
}

int main(int count, char **arguments)
{
    (void)count;
    is_twin = said(arguments, "twin");
    REQUIRE(pipe(ends) == 0);
    pthread_barrier_init(&all_have, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, run, NULL) == 0);
    }
    pthread_barrier_wait(&all_have);
    usleep(300000); /* until they wait */
    wipe();
    return 0;
}
