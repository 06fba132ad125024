/*
 * The places that LeakSanitizer's own tests ask about, one after the other: each holds the only
 * pointer to a block while the check runs, and so the block is live.  What the same places held
 * before, and was overwritten there, is lost.
 *
 * RUN:    for k in data bss local_exec key key_of_second_level all_keys stack thread registers \
 *             vector_registers packed interior heap_chain exit_argument; do \
 *             coroner run --format=json --output=report.json.$k $CASE $k || echo "$k: $?"; done
 * EXPECT: none
 * EXPECT: stdout-lines 0
 * EXPECT: stderr-lines 0
 *
 * RUN:    for k in data bss local_exec key key_of_second_level stack thread registers \
 *             vector_registers packed interior heap_chain; do \
 *             coroner run --format=json --output=report.json.$k $CASE $k forget || echo "$k: $?"; done
 * EXPECT: lost       blocks=12 bytes=4044 allocated_in=block_make confidence=proven
 * EXPECT: stdout-lines 12
 */
#include "case.h"

#include <pthread.h>

enum { BYTES = 337 };

struct __attribute__((packed)) packed_event {
    uint32_t kind;
    void *data;
};

static int initialised = 1;
GLOBAL void *in_data = &initialised;
GLOBAL void *in_bss;
GLOBAL struct packed_event events[2];
GLOBAL char *in_the_middle;
static __thread void *in_tls;
static pthread_key_t key;
static bool forgets;

struct link {
    struct link *next;
    char *block;
};
GLOBAL struct link *chain;

NOINLINE static char *block_make(void)
{
    char *block = malloc(BYTES);
    fill(block, BYTES);
    return block;
}

NOINLINE static struct link *link_make(struct link *next, char *block)
{
    struct link *link = malloc(sizeof *link);
    *link = (struct link){next, block};
    return link;
}

/* Keys from the 33rd on have their values in memory of their own (glibc's struct pthread). */
NOINLINE static void key_use(unsigned skipped)
{
    for (unsigned i = 0; i < skipped; i++)
        pthread_key_create(&key, NULL);
    REQUIRE(pthread_key_create(&key, NULL) == 0);
    pthread_setspecific(key, block_make());
    if (forgets)
        pthread_setspecific(key, NULL);
}

NOINLINE static void all_keys_use(void)
{
    while (pthread_key_create(&key, NULL) == 0)
        pthread_setspecific(key, block_make());
}

static pthread_barrier_t is_held;

static void *hold_on_stack(void *unused)
{
    char *volatile block = block_make();
    if (forgets)
        block = NULL;
    wipe();
    pthread_barrier_wait(&is_held);
    for (;;) {
        pause();
        __asm__ volatile("" : : "r"(block)); /* it will be read again */
    }
    return unused;
}

static _Atomic bool is_loaded;

/* The register alone has it while the thread runs: the loop stores nothing. */
static void *hold_in_register(void *unused)
{
    register char *block __asm__("r13") = block_make();
    if (forgets)
        block = NULL;
    __asm__ volatile("" : "+r"(block));
    wipe_stack();
    is_loaded = true;
    for (;;)
        __asm__ volatile("pause" : "+r"(block));
    return unused;
}

static void *hold_in_vector_register(void *unused)
{
    char *block = block_make();
    if (forgets)
        block = NULL;
    __asm__ volatile("movq %0, %%xmm7" : : "r"(block) : "xmm7");
    block = NULL;
    wipe_area();
    __asm__ volatile("xor %%eax, %%eax\n xor %%ebx, %%ebx\n xor %%ecx, %%ecx\n xor %%edx, %%edx\n"
                     "xor %%esi, %%esi\n xor %%edi, %%edi\n xor %%r8d, %%r8d\n xor %%r9d, %%r9d\n"
                     "xor %%r10d, %%r10d\n xor %%r11d, %%r11d\n xor %%r12d, %%r12d\n"
                     "xor %%r13d, %%r13d\n xor %%r14d, %%r14d\n xor %%r15d, %%r15d\n"
                     "movl $1, %0\n1: pause\n jmp 1b"
                     : "=m"(is_loaded)
                     :
                     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
                       "r13", "r14", "r15", "memory");
    return unused;
}

NOINLINE static void thread_use(void *(*work)(void *))
{
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, work, NULL) == 0);
    if (work == hold_on_stack)
        pthread_barrier_wait(&is_held);
    while (work != hold_on_stack && !is_loaded)
        sched_yield();
}

NOINLINE static void end_with(char *volatile block)
{
    wipe_stack();
    exit(block == NULL); /* its frame, and main's, are still there */
}

NOINLINE static void place_use(char **argv)
{
    void **place = said(argv, "data") ? &in_data : said(argv, "bss") ? &in_bss : NULL;
    if (said(argv, "local_exec"))
        place = &in_tls;
    if (said(argv, "packed"))
        memcpy(&events[1].data, &(void *){block_make()}, sizeof(void *));
    if (said(argv, "interior"))
        in_the_middle = block_make() + BYTES / 2;
    if (said(argv, "heap_chain"))
        chain = link_make(link_make(NULL, block_make()), NULL);
    if (place != NULL)
        *place = block_make();
    if (!forgets)
        return;
    if (place != NULL)
        *place = NULL;
    memset(events, 0, sizeof events);
    in_the_middle = NULL;
    if (chain != NULL)
        chain->next->block = NULL;
}

int main(int argc, char **argv)
{
    char *volatile on_stack = NULL;
    (void)argc;
    forgets = said(argv, "forget");
    pthread_barrier_init(&is_held, NULL, 2);
    place_use(argv);
    if (said(argv, "key"))
        key_use(0);
    if (said(argv, "key_of_second_level"))
        key_use(100);
    if (said(argv, "all_keys"))
        all_keys_use();
    if (said(argv, "thread"))
        thread_use(hold_on_stack);
    if (said(argv, "registers"))
        thread_use(hold_in_register);
    if (said(argv, "vector_registers"))
        thread_use(hold_in_vector_register);
    if (said(argv, "stack") || said(argv, "exit_argument"))
        on_stack = block_make();
    if (forgets)
        on_stack = NULL;
    wipe();
    if (said(argv, "exit_argument"))
        end_with(on_stack);
    if (said(argv, "stack"))
        exit(0); /* with main's frame still there */
    return 0;
}
