/*
 * A lost list is one direct leak, its head; the rest goes when the head is freed.  The twin's list
 * is held by a global through an address inside its head.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=1 bytes=40 indirect_blocks=6 indirect_bytes=240 allocated_in=push_node
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

struct node {
    struct node *next;
    char text[32];
};

GLOBAL char *inside;

NOINLINE static struct node *push_node(struct node *next)
{
    struct node *node = calloc(1, sizeof *node);
    node->next = next;
    return node;
}

NOINLINE static void run(bool twin)
{
    struct node *head = NULL;
    for (int i = 0; i < 7; i++)
        head = push_node(head);
    if (twin)
        inside = &head->text[5];
}

int main(int argc, char **argv)
{
    (void)argc;
    run(said(argv, "twin"));
    wipe();
    return 0;
}
