/*
 * A small job server, as many programs have one: each job runs on a coroutine, and the coroutines
 * of finished jobs wait in a pool for the next one.
 *
 * It has one leak.  render_page() returns early for a page that is not there, without freeing its
 * buffer.  The pool keeps the stacks, and the address of the buffer is still on the stack that the
 * last job left: to a checker that takes all memory for the heap, the buffer looks held.
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

__attribute__((noinline)) static void render_page(int page)
{
    char line[512];
    char *buffer = malloc(PAGE_BYTES);
    snprintf(line, sizeof line, "page %d", page);
    snprintf(buffer, PAGE_BYTES, "<h1>%s</h1>", line);
    if (page % 4 == 3) {
        printf("%s is not there\n", line);
        return; /* the leak */
    }
    printf("served %s\n", buffer);
    free(buffer);
}

static void serve_job(struct job_slot *self)
{
    swapcontext(&self->context, &scheduler); /* waits until its page is known */
    render_page(self->page);
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
