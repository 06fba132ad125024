/*
 * Words that popped frames left on the stack hold nothing, wherever they come to lie in the frames of
 * whoever ends the process: ours, libc's, and those of main and of constructors that have returned.
 * The stack counts from where the program's own code stands when the end is asked for.  What its
 * frames there hold is live: one block, where the end comes from inside a function.  Code that was
 * interrupted has a red zone below its sp, 16 words that may be in use.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE return
 * EXPECT: lost       blocks=65 bytes=7265 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE exit
 * EXPECT: lost       blocks=64 bytes=6400 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE _exit
 * EXPECT: lost       blocks=64 bytes=6400 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE quick_exit
 * EXPECT: lost       blocks=64 bytes=6400 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE signal
 * EXPECT: lost       blocks=48..64 bytes=4800..6400 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE thread
 * EXPECT: lost       blocks=64 bytes=6400 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE last
 * EXPECT: lost       blocks=65 bytes=7265 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE coroutine
 * EXPECT: lost       blocks=64 bytes=6400 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE fallen
 * EXPECT: lost       blocks=65 bytes=7265 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    CONSTRUCTOR=1 coroner run --format=json --output=report.json $CASE constructor
 * EXPECT: lost       blocks=64 bytes=6400 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

enum { TIMES = 64, BYTES = 100, HELD_BYTES = 865 };

NOINLINE static void *get(size_t bytes)
{
    void *block = malloc(bytes);
    fill(block, bytes);
    return block;
}

/* Leaves the address of a block on the dead stack, each time in another place. */
NOINLINE static void lose(int number)
{
    void *volatile *place = __builtin_alloca((size_t)number * 8 + 8);
    place[0] = get(BYTES);
    __asm__ volatile("" : : "r"(place) : "memory");
}

NOINLINE static void lose_all(void)
{
    for (int i = 0; i < TIMES; i++)
        lose(i);
}

__attribute__((constructor)) static void lose_early(void)
{
    if (getenv("CONSTRUCTOR") != NULL)
        lose_all();
}

/* Ends the process from here: what this frame holds is live. */
NOINLINE static void end(char **arguments)
{
    void *volatile held = get(HELD_BYTES);
    lose_all();
    wipe_registers();
    if (said(arguments, "_exit"))
        _exit(0);
    else if (said(arguments, "quick_exit"))
        quick_exit(0);
    else if (said(arguments, "signal"))
        syscall(SYS_kill, getpid(), SIGTERM);
    else if (!said(arguments, "return") && !said(arguments, "last") && !said(arguments, "fallen"))
        exit(0);
    (void)held;
}

static void *thread(void *arguments)
{
    end(arguments);
    return NULL;
}

int main(int count, char **arguments)
{
    pthread_t id;
    (void)count;
    if (said(arguments, "constructor"))
        return 0;
    if (said(arguments, "thread") || said(arguments, "last")) {
        pthread_create(&id, NULL, thread, arguments);
        pthread_exit(NULL);
    }
    if (said(arguments, "coroutine") || said(arguments, "fallen")) {
        static ucontext_t here, there;
        coroutine_make(&there, mapped_stack(STACK_BYTES), STACK_BYTES, NULL, (void (*)(void *))end,
                       arguments);
        swapcontext(&here, &there);
    }
    end(arguments);
    return 0;
}
