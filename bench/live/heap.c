/*
 * heap MIB THREADS [small]: a list of 64-byte nodes in random order, and threads that wait.  `small`:
 * no huge pages in this process.
 */
#include "stand.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { NODE_BYTES = 64, TOUCHED = 2 };

struct node {
    struct node *next;
    char rest[NODE_BYTES - sizeof(struct node *)];
};

struct heap {
    struct node **nodes;
    size_t count;
    unsigned long random;
};

static size_t random_below(struct heap *heap, size_t bound)
{
    heap->random = heap->random * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(((unsigned __int128)heap->random * bound) >> 64);
}

static void touch(void *user)
{
    struct heap *heap = user;
    for (int i = 0; i < TOUCHED; i++)
        heap->nodes[random_below(heap, heap->count)]->rest[0]++;
}

static void *wait_there(void *unused)
{
    pause();
    return unused;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    if (argc > 3)
        prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    struct heap heap = {.count = strtoull(argv[1], NULL, 10) * (1 << 20) / NODE_BYTES, .random = 7};
    heap.nodes = malloc(heap.count * sizeof *heap.nodes);
    for (size_t i = 0; i < heap.count; i++) {
        heap.nodes[i] = malloc(sizeof(struct node));
        memset(heap.nodes[i], 0, sizeof(struct node));
    }
    for (size_t i = heap.count - 1; i > 0; i--) {
        size_t other = random_below(&heap, i + 1);
        struct node *node = heap.nodes[i];
        heap.nodes[i] = heap.nodes[other];
        heap.nodes[other] = node;
    }
    for (size_t i = 0; i + 1 < heap.count; i++)
        heap.nodes[i]->next = heap.nodes[i + 1];
    for (long i = strtol(argv[2], NULL, 10); i > 0; i--) {
        pthread_t thread;
        pthread_create(&thread, NULL, wait_there, NULL);
    }
    stand((struct heart){touch, &heap});
    _exit(0);
}
