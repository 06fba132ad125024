/*
 * A child that ends at once by _exit, of a program with as many blocks as the argument says; or one
 * that keeps a block ("keeps") or leaks one ("leaky"), or that has made some and freed them
 * ("busy").  Processor time of both.
 */
#include "growth.h"

#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 20, LEAKY_CHILDREN = 3, BLOCK_BYTES = 40, PASSING = 300 };

static void **blocks;
static void *kept;
static const char *how = "";

static void child_work(void)
{
    if (strcmp(how, "keeps") == 0) {
        kept = malloc(55);
        OPAQUE(kept);
    }
    if (strcmp(how, "leaky") == 0) {
        void *volatile lost = malloc(55);
        lost = NULL;
        (void)lost;
    }
    for (int i = 0; i < PASSING && strcmp(how, "busy") == 0; i++) {
        void *block = malloc(100);
        OPAQUE(block);
        free(block);
    }
}

int main(int argc, char **argv)
{
    int children = argc > 2 && strcmp(argv[2], "leaky") == 0 ? LEAKY_CHILDREN : CHILDREN;
    size_t count = argc > 1 ? (size_t)atol(argv[1]) : 1000000;
    how = argc > 2 ? argv[2] : "";
    blocks = malloc(count * sizeof *blocks);
    for (size_t i = 0; i < count; i++)
        blocks[i] = malloc(BLOCK_BYTES);
    double began = cpu_ms();
    for (int i = 0; i < children; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            child_work();
            _exit(0);
        }
        REQUIRE(waitpid(child, &status, 0) == child && status == 0);
    }
    printf("forks %.3f ms\n", (cpu_ms() - began) / children);
    return 0;
}
