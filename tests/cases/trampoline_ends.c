/*
 * Fibers of a library that calls their entry through a pointer, and when that has returned switches
 * away for good.  Such a fiber has completed, and what its entry left on the stack is a leak.
 *
 * In the twin each fiber waits inside its entry, and is live.  Where the list of such fibers is lost,
 * they are abandoned.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed heap pooled
 * EXPECT: completed  blocks=4 bytes=12000 allocated_in=make_note
 * EXPECT: summary    coroutines.completed=4 coroutines.suspended=0
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed heap
 * EXPECT: none
 * EXPECT: summary    coroutines.completed=0 coroutines.suspended=4
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed mapped pooled
 * EXPECT: completed  blocks=4 bytes=12000 allocated_in=make_note
 * EXPECT: summary    coroutines.completed=4 coroutines.suspended=0
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed mapped
 * EXPECT: none
 * EXPECT: summary    coroutines.completed=0 coroutines.suspended=4
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed heap dropped
 * EXPECT: abandoned  blocks=4 bytes=12000 allocated_in=make_note
 * EXPECT: abandoned  blocks=4 bytes=131072 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=4 allocated_in=start
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE swap heap pooled
 * EXPECT: completed  blocks=4 bytes=12000 allocated_in=make_note
 * EXPECT: summary    coroutines.completed=4 coroutines.suspended=0
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE swap heap
 * EXPECT: none
 * EXPECT: summary    coroutines.completed=0 coroutines.suspended=4
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE swap heap dropped
 * EXPECT: abandoned  blocks=4 bytes=12000 allocated_in=make_note
 * EXPECT: abandoned  blocks=4 bytes=131072 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=4 allocated_in=start
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE buffer heap pooled
 * EXPECT: completed  blocks=4 bytes=12000 allocated_in=make_note
 * EXPECT: summary    coroutines.completed=4 coroutines.suspended=0
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE buffer heap
 * EXPECT: none
 * EXPECT: summary    coroutines.completed=0 coroutines.suspended=4
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE buffer heap dropped
 * EXPECT: abandoned  blocks=4 bytes=12000 allocated_in=make_note
 * EXPECT: abandoned  blocks=4 bytes=131072 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=4 allocated_in=start
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE threads heap pooled
 * EXPECT: completed  blocks=4 bytes=12000 allocated_in=make_note
 * EXPECT: summary    coroutines.completed=4 coroutines.suspended=0
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE threads heap
 * EXPECT: none
 * EXPECT: summary    coroutines.completed=0 coroutines.suspended=4
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE threads mapped pooled
 * EXPECT: completed  blocks=4 bytes=12000 allocated_in=make_note
 * EXPECT: summary    coroutines.completed=4 coroutines.suspended=0
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE threads mapped
 * EXPECT: none
 * EXPECT: summary    coroutines.completed=0 coroutines.suspended=4
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE threads heap dropped
 * EXPECT: abandoned  blocks=4 bytes=12000 allocated_in=make_note
 * EXPECT: abandoned  blocks=4 bytes=131072 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=4 allocated_in=start
 * EXPECT: exit       status=23
 */
#include "trampoline.h"

static void begin(void)
{
    struct fiber *self = current;
    self->entry(self);
    self->has_ended = true;
    switch_back(self);
    __builtin_trap();
}
