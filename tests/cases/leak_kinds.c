/*
 * The kinds of leak that Memcheck's own tests tell apart: how a block is led to, directly, through
 * others, by its start or its middle, in a ring, a tree, or not at all.  One block of each kind is
 * 64 bytes times its number, so that sums name them.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=5 indirect_blocks=13 confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE kept
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

struct node {
    struct node *left, *right;
    char rest[48];
};

GLOBAL struct node *kept[8];
GLOBAL char *kept_inside;

NOINLINE static struct node *node_make(struct node *left, struct node *right)
{
    struct node *node = malloc(sizeof *node);
    memset(node, 0, sizeof *node);
    *node = (struct node){left, right, ""};
    return node;
}

NOINLINE static struct node *tree_make(unsigned depth)
{
    return depth == 0 ? NULL : node_make(tree_make(depth - 1), tree_make(depth - 1));
}

NOINLINE static struct node *ring_make(unsigned length)
{
    struct node *first = node_make(NULL, NULL), *last = first;
    for (unsigned i = 1; i < length; i++)
        last = last->left = node_make(NULL, NULL);
    return last->left = first;
}

NOINLINE static struct node *pointing_at_itself(void)
{
    struct node *node = node_make(NULL, NULL);
    node->right = node;
    return node;
}

NOINLINE static void make_all(void)
{
    kept[0] = node_make(NULL, NULL);                  /* 1 */
    kept[1] = node_make(node_make(NULL, NULL), NULL); /* 1 and 1 */
    kept[2] = tree_make(3);                           /* 1 and 6 */
    kept[3] = ring_make(5);                           /* 1 and 4 */
    struct node *inner = node_make(NULL, NULL);
    kept[4] = node_make((struct node *)&inner->rest[8], pointing_at_itself()); /* 1 and 2 */
    kept_inside = kept[4]->rest;
}

int main(int argc, char **argv)
{
    (void)argc;
    make_all();
    if (!said(argv, "kept")) {
        memset(kept, 0, sizeof kept);
        kept_inside = NULL;
    }
    wipe();
    return 0;
}
