/*
 * A program that brings its own malloc comes before every preloaded one.  Coroner says so in one
 * line, and the program runs.
 *
 * BUILD: once
 * FLAGS: -rdynamic
 * RUN:    coroner run $CASE
 * EXPECT: stdout       /hello/
 * EXPECT: stderr-lines 1
 * EXPECT: stderr       /malloc of its own/
 * EXPECT: exit         status=0
 */
#include "case.h"

static char memory[1 << 20];
static size_t used;

void *malloc(size_t bytes)
{
    void *block = memory + used;
    used += (bytes + 31) & ~(size_t)15;
    return used <= sizeof memory ? block : NULL;
}

void free(void *block)
{
    (void)block;
}

void *calloc(size_t count, size_t bytes)
{
    return malloc(count * bytes);
}

void *realloc(void *block, size_t bytes)
{
    void *moved = malloc(bytes);
    if (block != NULL && moved != NULL)
        memmove(moved, block, bytes);
    return moved;
}

int main(void)
{
    char *text = malloc(6);
    strcpy(text, "hello");
    puts(text);
    return 0;
}
