/*
 * The spare memory of a vector keeps the bytes of the elements that it has let go of.  A run queue
 * whose coroutine was popped and then forgotten still has its handle there; nobody takes one from
 * behind the end, so the coroutine is abandoned.  That this is a vector is a guess: likely.
 *
 * In the twin the handle is an element.  A ring whose begin, head and limit look the same, with a
 * count beside them, holds the coroutine: its elements begin at the second pointer.  So does a list
 * whose head, cursor and tail are two blocks that lie side by side.  A block that only spare memory
 * holds, and no coroutine, stays live while the vector is there.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request mechanism=c++20 confidence=likely
 * EXPECT: abandoned  mechanism=c++20 confidence=likely
 * EXPECT: summary    coroutines.abandoned=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: summary    coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ring
 * EXPECT: none
 * EXPECT: summary    coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE list
 * EXPECT: none
 * EXPECT: summary    coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE block
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "task.h"

#include <vector>

struct ring {
    void **begin, **head, **limit;
    size_t count;
};

struct node {
    struct node *next;
    void *element;
    char more[48];
};

struct list {
    struct node *head, *cursor, *tail;
};

GLOBAL std::vector<void *> *queue;
GLOBAL struct list *list;
GLOBAL struct ring *ring;
static std::coroutine_handle<> place;

static task wait_for_reply()
{
    char *request = make_request(4096);
    co_await parked{&place};
    free(request);
}

NOINLINE static void *coroutine_make_and_park()
{
    task made = wait_for_reply();
    made.handle.resume();
    void *handle = place.address();
    place = nullptr;
    return handle;
}

NOINLINE static void ring_fill(void *element)
{
    ring = new struct ring;
    ring->begin = new void *[8]();
    ring->limit = ring->begin + 8;
    ring->head = ring->begin + 6;
    ring->head[0] = element;
    ring->count = 1;
}

/* Of many nodes two that are neighbours. */
NOINLINE static void list_fill(void *element)
{
    enum { NODES = 200 };
    static struct node *nodes[NODES];
    list = new struct list();
    for (int i = 0; i < NODES; i++)
        nodes[i] = new node();
    for (int i = 0; i < NODES && list->head == nullptr; i++)
        for (int k = 0; k < NODES; k++)
            if (nodes[i] + 1 == nodes[k]) {
                *list = {nodes[i], nodes[i], nodes[k]};
                break;
            }
    REQUIRE(list->head != nullptr);
    for (int i = 0; i < NODES; i++) {
        if (nodes[i] != list->head && nodes[i] != list->tail)
            delete nodes[i];
        nodes[i] = nullptr;
    }
    list->head->next = list->tail;
    list->tail->element = element;
}

NOINLINE static void queue_fill(char **argv)
{
    queue = new std::vector<void *>;
    queue->reserve(8);
    queue->push_back(queue);
    queue->push_back(said(argv, "block") ? make_request(100) : coroutine_make_and_park());
    if (!said(argv, "twin"))
        queue->pop_back();
}

int main(int, char **argv)
{
    if (said(argv, "ring"))
        ring_fill(coroutine_make_and_park());
    else if (said(argv, "list"))
        list_fill(coroutine_make_and_park());
    else
        queue_fill(argv);
    wipe();
    return 0;
}
