/*
 * What the probes cost: one operation, by the argument.
 *
 *     switch          suspend and resume of one coroutine among 1,000
 *     scope BYTES     begin and end of a scope that leaves nothing behind, in a heap of so many bytes
 *     tracked COUNT   bytes of memory for each coroutine that is tracked; they wait when the program
 *                     ends, so check_s of the report is the time that a check of them takes
 */
#include "bench.h"

#include <coroner/coroner.h>
#include <string.h>
#include <unistd.h>

enum { COROUTINES = 1000, BLOCK_BYTES = 64 };

struct frame {
    struct frame *next;
    char *buffer;
    char locals[48];
};

static coroner_co coroutines[COROUTINES];
static struct frame *frames;

static struct frame *frame_new(void)
{
    struct frame *frame = calloc(1, sizeof *frame);
    REQUIRE(frame != NULL);
    frame->next = frames;
    return frames = frame;
}

static void switch_each(size_t count)
{
    for (size_t i = 0, at = 0; i < count; i++, at = at + 1 < COROUTINES ? at + 1 : 0) {
        coroner_co_resume(coroutines[at]);
        coroner_co_suspend(coroutines[at]);
    }
}

static void scope_each(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        coroner_scope scope = coroner_scope_begin("request");
        coroner_scope_end(scope, CORONER_SILENT);
    }
}

static double resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    REQUIRE(file != NULL && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void heap_fill(size_t bytes)
{
    for (size_t made = 0; made < bytes; made += BLOCK_BYTES)
        frame_new();
}

static void track(size_t count)
{
    coroner_co *handles = calloc(count, sizeof *handles);
    REQUIRE(handles != NULL);
    heap_fill(count * BLOCK_BYTES);
    memset(handles, 1, count * sizeof *handles);
    double before = resident_bytes();
    struct frame *frame = frames;
    for (size_t i = 0; i < count; i++, frame = frame->next) {
        handles[i] = coroner_co_begin("session", frame, sizeof *frame);
        coroner_co_suspend(handles[i]);
    }
    printf("probes %.1f B\n", (resident_bytes() - before) / (double)count);
    free(handles);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "switch";
    size_t size = argc > 2 ? strtoull(argv[2], NULL, 0) : 1000000;
    if (strcmp(what, "switch") == 0) {
        for (size_t i = 0; i < COROUTINES; i++) {
            coroutines[i] = coroner_co_begin("session", frame_new(), sizeof(struct frame));
            coroner_co_suspend(coroutines[i]);
        }
        measure("probes", switch_each, 1000000, 10000000);
    } else if (strcmp(what, "scope") == 0) {
        heap_fill(size);
        measure("probes", scope_each, 100000, 1000000);
    } else {
        track(size);
    }
    return 0;
}
