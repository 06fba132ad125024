/*
 * Threads whose structures grow, move and shrink: vectors by realloc, a list, a hash table that is
 * made anew.  main returns while they are at it, so the check at the end meets them in the middle.
 */
#include "motion.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 4, VECTORS = 16 };

struct vector {
    void **items; /* each a block of 32 bytes that begins with its own index */
    size_t count, room;
};

struct node {
    struct node *next;
    size_t value;
};

struct table {
    struct node **buckets;
    size_t room, count;
};

static void vector_push(struct vector *vector)
{
    if (vector->count == vector->room) {
        vector->room = vector->room == 0 ? 1 : vector->room * 2;
        vector->items = vector->room % 3 == 0
                            ? reallocarray(vector->items, vector->room, sizeof(void *))
                            : realloc(vector->items, vector->room * sizeof(void *));
    }
    size_t *item = malloc(32);
    *item = vector->count;
    vector->items[vector->count++] = item;
}

/* Gives up all but a few, and the room too. */
static void vector_shrink(struct vector *vector, size_t left)
{
    while (vector->count > left) {
        size_t *item = vector->items[--vector->count];
        MOTION_REQUIRE(*item == vector->count);
        free(item);
    }
    vector->room = left == 0 ? 1 : left;
    vector->items = realloc(vector->items, vector->room * sizeof(void *));
}

static void table_grow(struct table *table)
{
    size_t room = table->room == 0 ? 4 : table->room * 2;
    struct node **buckets = calloc(room, sizeof *buckets);
    for (size_t i = 0; i < table->room; i++) {
        for (struct node *node = table->buckets[i], *next; node != NULL; node = next) {
            next = node->next;
            node->next = buckets[node->value % room];
            buckets[node->value % room] = node;
        }
    }
    free(table->buckets);
    table->buckets = buckets;
    table->room = room;
}

static void table_add(struct table *table, size_t value)
{
    if (table->count >= table->room)
        table_grow(table);
    struct node *node = malloc(sizeof *node);
    *node = (struct node){table->buckets[value % table->room], value};
    table->buckets[value % table->room] = node;
    table->count++;
}

static void table_clear(struct table *table)
{
    for (size_t i = 0; i < table->room; i++) {
        for (struct node *node = table->buckets[i], *next; node != NULL; node = next) {
            next = node->next;
            free(node);
        }
    }
    free(table->buckets);
    *table = (struct table){NULL, 0, 0};
}

static void *work(void *argument)
{
    unsigned long random = (uintptr_t)argument;
    struct vector vectors[VECTORS] = {{NULL, 0, 0}};
    struct table table = {NULL, 0, 0};
    char *text = NULL;
    size_t length = 0;
    for (;;) {
        struct vector *vector = &vectors[motion_random(&random, VECTORS)];
        for (unsigned i = motion_random(&random, 200); i > 0; i--)
            vector_push(vector);
        if (motion_random(&random, 8) == 0)
            vector_shrink(vector, motion_random(&random, 20));
        if (vector->count > 20000)
            vector_shrink(vector, 0);
        for (unsigned i = motion_random(&random, 50); i > 0; i--)
            table_add(&table, motion_random(&random, 1u << 30));
        if (table.count > 5000)
            table_clear(&table);
        /* A large block, which grows where it is as often as it moves. */
        length = length > 3000000 ? 100 : length + 1 + motion_random(&random, 40000);
        text = realloc(text, length);
        text[length - 1] = 'x';
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    motion_begin(argc, argv);
    for (uintptr_t i = 1; i <= WORKERS; i++)
        MOTION_REQUIRE(pthread_create(&thread, NULL, work, (void *)i) == 0);
    struct vector own = {NULL, 0, 0};
    unsigned long random = 99;
    while (motion_goes_on()) {
        vector_push(&own);
        if (motion_random(&random, 5000) == 0)
            vector_shrink(&own, 3);
    }
    vector_shrink(&own, 0);
    free(own.items);
    own.items = NULL;
    motion_wipe();
    return motion_end("all items in their places");
}
