/*
 * A round-robin scheduler over ucontext that tells Coroner what it does: the worked example of
 * probes/README.md.
 *
 * A scheduler has five places to tell of, marked (1) to (5) below:
 *
 *     spawn --(1) begin--> queue --(2) resume--> runs --(3) suspend--> queue
 *                                                  `--(4) complete--> (5) destroy
 *
 * `ucontext_scheduler` runs three tasks, all of which end.  `ucontext_scheduler forget` puts one of
 * them into no queue while it waits: a mistake that the report at the scope's end names.
 */
#include <coroner/coroner.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { STACK_BYTES = 64 * 1024, TASKS_MAX = 8 };

struct task {
    ucontext_t context;
    char *stack;
    coroner_co co;
    void (*run)(struct task *self);
    int has_ended;
};

static ucontext_t scheduler;
static struct task *running;
static struct task *queue[TASKS_MAX];
static size_t queue_length;

static void queue_push(struct task *task)
{
    queue[queue_length++] = task;
}

static struct task *queue_pop(void)
{
    struct task *first = queue[0];
    memmove(queue, queue + 1, --queue_length * sizeof *queue);
    queue[queue_length] = NULL;
    return first;
}

static void task_main(void)
{
    struct task *self = running;
    self->run(self);
    self->has_ended = 1;
    coroner_co_complete(self->co); /* (4) nothing on this stack will be read again */
    setcontext(&scheduler);
}

static void task_spawn(const char *name, void (*run)(struct task *self))
{
    struct task *task = calloc(1, sizeof *task);
    char *stack = malloc(STACK_BYTES);
    if (task == NULL || stack == NULL)
        abort();
    task->run = run;
    task->stack = stack;
    getcontext(&task->context);
    task->context.uc_stack.ss_sp = stack;
    task->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&task->context, task_main, 0);
    /* (1) it belongs to the scope that is current here */
    task->co = coroner_co_begin_in((coroner_scope){0}, name, stack, STACK_BYTES, CORONER_STACK);
    queue_push(task);
}

static void task_wait(struct task *self, int is_queued)
{
    if (is_queued)
        queue_push(self);
    coroner_co_suspend(self->co); /* (3) on its own stack, right before it is left */
    swapcontext(&self->context, &scheduler);
}

static void task_free(struct task *task)
{
    coroner_co_destroy(task->co); /* (5) before the stack can be anybody else's */
    free(task->stack);
    free(task);
}

static void run_all(void)
{
    while (queue_length > 0) {
        struct task *task = queue_pop();
        running = task;
        coroner_co_resume(task->co); /* (2) right before it runs */
        swapcontext(&scheduler, &task->context);
        running = NULL;
        if (task->has_ended)
            task_free(task);
    }
}

/* The tasks. */
static void count_words(struct task *self)
{
    char *volatile text = strdup("the quick brown fox");
    CORONER_LOCAL(self->co, text);
    int words = 1;
    for (const char *at = text; *at != 0; at++) {
        if (*at == ' ')
            words++;
        if (*at == 'q')
            task_wait(self, 1);
    }
    printf("%d words\n", words);
    free(text);
}

static void wait_forever(struct task *self)
{
    char *volatile request = malloc(1000);
    CORONER_LOCAL(self->co, request);
    memset(request, 1, 1000);
    task_wait(self, 0); /* in no queue: nobody will resume it */
    free(request);
}

int main(int argc, char **argv)
{
    int forgets = argc > 1 && strcmp(argv[1], "forget") == 0;
    coroner_scope scope = coroner_scope_begin("batch");
    task_spawn("count_words", count_words);
    task_spawn("count_words", count_words);
    task_spawn(forgets ? "wait_forever" : "count_words", forgets ? wait_forever : count_words);
    run_all();
    fflush(stdout);
    coroner_scope_end(scope, CORONER_REPORT);
    return 0;
}
