/*
 * A thousand coroutines of each state are counted exactly.  The destroyed ones come first: their
 * memory is used again by the others, and an address is not an identity.
 *
 * In the twin the completed ones have freed their notes, and the others stay in the list.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * ROW:    M1
 * EXPECT: completed  blocks=1000 bytes=24000 allocated_in=make_note
 * EXPECT: abandoned  blocks=1000 bytes=24000 allocated_in=make_note suspended_in=work
 * EXPECT: abandoned  blocks=1000 bytes=16384000 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=1000 allocated_in=task_new
 * EXPECT: summary    coroutines.seen=5000 coroutines.created=1000 coroutines.suspended=1000
 * EXPECT: summary    coroutines.completed=1000 coroutines.abandoned=1000 coroutines.destroyed=1000
 * EXPECT: summary    coroutines.running=0 coroutines.cancelled=0 coroutines.resurrected=0
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * ROW:    M1 twin
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=5000 coroutines.created=1000 coroutines.suspended=2000
 * EXPECT: summary    coroutines.completed=1000 coroutines.abandoned=0 coroutines.destroyed=1000
 * EXPECT: exit       status=0
 */
#include "case.h"

enum { COUNT = 1000, SMALL_STACK = 16384 };
enum state { DESTROYED, CREATED, SUSPENDED, COMPLETED, ABANDONED };

struct task {
    struct task *next;
    void *stack;
    ucontext_t context;
};

GLOBAL struct task *tasks;
GLOBAL ucontext_t scheduler;
GLOBAL bool is_twin;

NOINLINE static char *make_note(void)
{
    char *note = malloc(24);
    fill(note, 24);
    return note;
}

NOINLINE static struct task *task_new(void)
{
    struct task *task = calloc(1, sizeof *task);
    REQUIRE(task != NULL);
    return task;
}

static void work(void *argument)
{
    struct task *self = argument;
    LEFTOVER(char *, note);
    __asm__ volatile("" : : "r"(note_area) : "memory"); /* clang would keep that word alone of it */
    *note = NULL;
    swapcontext(&self->context, &scheduler); /* destroyed ones hold nothing */
    *note = make_note();
    swapcontext(&self->context, &scheduler);
    (*note)[0] = 'y';
    if (is_twin)
        free(*note);
}

NOINLINE static void start(enum state state)
{
    struct task *task = task_new();
    task->stack = heap_stack(SMALL_STACK);
    coroutine_make(&task->context, task->stack, SMALL_STACK, &scheduler, work, task);
    int switches = state == CREATED ? 0 : state == DESTROYED ? 1 : state == COMPLETED ? 3 : 2;
    while (switches-- > 0)
        swapcontext(&scheduler, &task->context);
    if (state == DESTROYED) {
        free(task->stack);
        free(task);
    } else if (state != ABANDONED || is_twin) {
        task->next = tasks;
        tasks = task;
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    is_twin = said(argv, "twin");
    for (enum state state = DESTROYED; state <= ABANDONED; state++)
        for (int i = 0; i < COUNT; i++)
            start(state);
    memset(&scheduler, 0, sizeof scheduler);
    wipe();
    return 0;
}
