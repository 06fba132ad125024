/*
 * A small job server, as many programs have one: each job runs on a coroutine, and the coroutines
 * of finished jobs wait in a pool for the next one.
 *
 * It has one leak.  render_page() returns early for a page that is not there, without freeing its
 * buffer.  The pool keeps the stack and the saved context of the finished job, and both still hold
 * the address of the buffer: to a checker that takes them for ordinary memory, it looks held.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { STACK_BYTES = 65536, JOBS = 12, PAGE_BYTES = 20000 };

struct job_slot {
    ucontext_t context;
    struct job_slot *next_idle;
    char *stack;
    int page;
};

static struct job_slot *idle_pool;
static ucontext_t scheduler;

struct output {
    char *next;
    char *end;
};

__attribute__((noinline)) static void append(struct output *output, const char *text)
{
    output->next += snprintf(output->next, output->end - output->next, "%s", text);
}

/* Lets other jobs run while this one waits, say for its template. */
__attribute__((noinline)) static void wait_for_template(struct job_slot *self)
{
    swapcontext(&self->context, &scheduler);
}

__attribute__((noinline)) static void render_page(struct job_slot *self)
{
    char title[64];
    char *buffer = malloc(PAGE_BYTES);
    struct output output = {buffer, buffer + PAGE_BYTES};
    snprintf(title, sizeof title, "page %d", self->page);
    append(&output, title);
    wait_for_template(self);
    if (self->page % 4 == 3) {
        printf("%s is not there\n", title);
        return; /* the leak */
    }
    append(&output, ", in full");
    printf("served %s\n", buffer);
    free(buffer);
}

static void serve_job(struct job_slot *self)
{
    render_page(self);
}

static struct job_slot *slot_take(void)
{
    struct job_slot *slot = idle_pool;
    if (slot == NULL) {
        slot = calloc(1, sizeof *slot);
        slot->stack = malloc(STACK_BYTES);
    } else {
        idle_pool = slot->next_idle;
    }
    getcontext(&slot->context);
    slot->context.uc_stack.ss_sp = slot->stack;
    slot->context.uc_stack.ss_size = STACK_BYTES;
    slot->context.uc_link = &scheduler;
    makecontext(&slot->context, (void (*)(void))serve_job, 1, slot);
    return slot;
}

int main(void)
{
    struct job_slot *running[JOBS];
    for (int i = 0; i < JOBS; i++) {
        running[i] = slot_take();
        running[i]->page = i;
        swapcontext(&scheduler, &running[i]->context);
    }
    for (int i = 0; i < JOBS; i++) {
        swapcontext(&scheduler, &running[i]->context);
        running[i]->next_idle = idle_pool;
        idle_pool = running[i];
    }
    return 0;
}
