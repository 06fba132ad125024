/*
 * Coroutines with stacks of 2 KiB and 16 KiB allocate on them.  Nothing of ours may need more
 * than the program left room for: the bytes below the stack stay as they were.  The message that a
 * finished one left is reported; the twin frees it.  (Bound at once: the dynamic linker's lazy
 * binding alone would take more than 2 KiB.)
 *
 * FLAGS: -Wl,-z,now
 * RUN:    coroner run --format=json --output=report.json $CASE 2048
 * EXPECT: completed  blocks=1 bytes=80 allocated_in=make_message
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 16384
 * EXPECT: completed  blocks=1 bytes=80 allocated_in=make_message
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 2048 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 16384 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

enum { CANARY_BYTES = 32768 };

GLOBAL ucontext_t scheduler, context;
GLOBAL char *memory; /* canary, then stack */
GLOBAL bool frees;

NOINLINE static char *make_message(void)
{
    char *message = malloc(80);
    message[0] = 'x';
    message[79] = 'x';
    return message;
}

static void chat(void *unused)
{
    (void)unused;
    char *volatile area[64]; /* the deepest word outlives the function, as LEFTOVER's does */
    for (size_t bytes = 8; bytes < 1000000; bytes = bytes * 5 / 3) {
        area[0] = malloc(bytes);
        area[0][0] = 'x';
        area[0] = realloc(area[0], bytes + bytes / 2);
        free(area[0]);
        area[0] = calloc(bytes, 1);
        free(area[0]);
    }
    area[0] = make_message();
    if (frees)
        free(area[0]);
}

NOINLINE static void run(size_t stack_bytes)
{
    REQUIRE(stack_bytes >= 2048);
    memory = malloc(CANARY_BYTES + stack_bytes);
    memset(memory, 0x5a, CANARY_BYTES);
    coroutine_make(&context, memory + CANARY_BYTES, stack_bytes, &scheduler, chat, NULL);
    swapcontext(&scheduler, &context);
    for (int i = 0; i < CANARY_BYTES; i++)
        REQUIRE(memory[i] == 0x5a);
}

int main(int argc, char **argv)
{
    (void)argc;
    frees = said(argv, "twin");
    run((size_t)atoi(argv[1]));
    wipe();
    return 0;
}
