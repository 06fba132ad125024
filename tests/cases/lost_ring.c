/*
 * A lost ring of ten blocks has no first one, yet freeing any of them gives all up: one direct
 * leak with nine indirect ones.  The twin's ring is held.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=1 bytes=64 indirect_blocks=9 indirect_bytes=576 allocated_in=make_link
 * EXPECT: summary    leaked_blocks=10 leaked_bytes=640
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

struct link {
    struct link *next;
    char text[56];
};

GLOBAL struct link *held;

NOINLINE static struct link *make_link(void)
{
    struct link *link = calloc(1, sizeof *link);
    link->next = link;
    return link;
}

NOINLINE static void run(bool twin)
{
    struct link *ring = make_link();
    for (int i = 1; i < 10; i++) {
        struct link *link = make_link();
        link->next = ring->next;
        ring->next = link;
    }
    if (twin)
        held = ring;
}

int main(int argc, char **argv)
{
    (void)argc;
    run(said(argv, "twin"));
    wipe();
    return 0;
}
