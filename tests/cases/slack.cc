/*
 * What the allocator gives beyond the size that was asked for is no part of a block: a pointer to
 * the end of an array does not hold it, whether its size happens to be that of a size class or not.
 * Whoever asked for the usable size may use it, and point there.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=3 bytes=1236 allocated_in=make_buffer confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * An array of no elements whose type has a destructor is the count alone, and its address the end.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE empty
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <malloc.h>
#include <string>

struct parser {
    char *next, *end;
};

GLOBAL parser *parsers[3];
GLOBAL std::string *volatile names;

NOINLINE static char *make_buffer(size_t bytes)
{
    char *buffer = static_cast<char *>(malloc(bytes));
    fill(buffer, bytes);
    return buffer;
}

/* It has read all, so that only pointers to the end are left. */
NOINLINE static void parse(unsigned i, size_t bytes, bool asks)
{
    char *buffer = make_buffer(bytes);
    if (asks)
        bytes = malloc_usable_size(buffer) - 1;
    parsers[i] = static_cast<parser *>(calloc(1, sizeof(parser)));
    parsers[i]->next = parsers[i]->end = buffer + bytes;
}

NOINLINE static void make_names(size_t count)
{
    names = new std::string[count];
}

int main(int argc, char **argv)
{
    (void)argc;
    bool asks = said(argv, "twin");
    if (said(argv, "empty")) {
        make_names(strtoul("0", NULL, 10));
    } else {
        parse(0, 100, asks);
        parse(1, 112, asks);
        parse(2, 1024, asks);
    }
    wipe();
    return 0;
}
