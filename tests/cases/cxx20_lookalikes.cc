/*
 * Blocks that begin like coroutine frames and are none: what is dropped of them is lost, and what a
 * global holds is live, though its first word is null and its second one a function.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=5 allocated_in=node_new
 * EXPECT: lost       blocks=5 allocated_in=callbacks_new
 * EXPECT: lost       blocks=5 allocated_in=flagged_new
 * EXPECT: lost       blocks=5 allocated_in=object_new
 * EXPECT: summary    coroutines.seen=0
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=0
 * EXPECT: exit       status=0
 */
#include "case.h"

enum { EACH = 5 };

/* The last of a list, with a destructor; and a function before that which clears the link. */
struct node {
    struct node *next;
    void (*destroy)(struct node *);
    char text[32];
};

NOINLINE static void node_unlink(struct node *node)
{
    node->next = nullptr;
    fill(node->text, sizeof node->text);
}

NOINLINE static void node_destroy(struct node *node)
{
    fill(node->text, sizeof node->text);
    free(node);
}

NOINLINE static struct node *node_new()
{
    struct node *fresh = (struct node *)calloc(1, sizeof *fresh);
    fresh->destroy = node_destroy;
    node_unlink(fresh);
    return fresh;
}

/* Two functions, one after the other, from a table. */
struct callbacks {
    void (*begin)(struct callbacks *);
    void (*end)(struct callbacks *);
    unsigned short state, flags;
    char text[28];
};

NOINLINE static void callbacks_begin(struct callbacks *self)
{
    if (self->state == 2)
        self->begin = nullptr;
    self->state = 2;
}

NOINLINE static void callbacks_end(struct callbacks *self)
{
    self->flags |= 1;
    callbacks_begin(self);
}

static void (*volatile table[2])(struct callbacks *) = {callbacks_begin, callbacks_end};

NOINLINE static struct callbacks *callbacks_new(bool runs)
{
    struct callbacks *fresh = (struct callbacks *)calloc(1, sizeof *fresh);
    fresh->begin = table[0];
    fresh->end = table[1];
    fresh->begin(fresh);
    if (runs)
        fresh->begin(fresh);
    return fresh;
}

/* What gcc makes of a coroutine's destroying function, in a struct that does not hold itself. */
struct flagged {
    void (*run)(struct flagged *);
    void (*stop)(struct flagged *);
    void *other;
    unsigned short state;
    char text[22];
};

NOINLINE static void flagged_run(struct flagged *self)
{
    if ((self->state & 1) == 0)
        self->state = (unsigned short)(self->state + 2);
}

NOINLINE static void flagged_stop(struct flagged *self)
{
    self->state |= 1;
    flagged_run(self);
}

NOINLINE static struct flagged *flagged_new()
{
    struct flagged *fresh = (struct flagged *)calloc(1, sizeof *fresh);
    fresh->stop = flagged_stop;
    flagged_run(fresh);
    return fresh;
}

/* Objects with a table of virtual functions. */
struct object {
    virtual void begin()
    {
    }
    virtual ~object()
    {
    }
    void (*callback)(struct node *) = node_destroy;
    char text[32];
};

NOINLINE static object *object_new()
{
    return new object;
}

GLOBAL void *held[4][EACH];

NOINLINE static void make_all()
{
    for (int i = 0; i < EACH; i++) {
        held[0][i] = node_new();
        held[1][i] = callbacks_new(i % 2 == 0);
        held[2][i] = flagged_new();
        held[3][i] = object_new();
    }
}

int main(int, char **argv)
{
    make_all();
    if (!said(argv, "twin"))
        memset(held, 0, sizeof held);
    wipe();
    return 0;
}
