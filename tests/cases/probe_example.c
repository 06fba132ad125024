/*
 * The worked example of probes/examples, as it is built: a ucontext scheduler that announces what
 * it runs.
 *
 * BUILD:  once
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: stdout-lines 3
 * EXPECT: stderr-lines 0
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=3 coroutines.destroyed=3
 *
 * RUN:    coroner run --format=json --output=report.json $CASE forget
 * EXPECT: stdout-lines 2
 * EXPECT: stderr     /coroutine wait_forever \(probe, abandoned\)/
 * EXPECT: abandoned  blocks=1 bytes=1000 local=request allocated_in=wait_forever
 * EXPECT: abandoned  blocks=3 mechanism=probe coroutine=wait_forever confidence=proven
 * EXPECT: summary    coroutines.seen=3 coroutines.destroyed=2 coroutines.abandoned=1
 * EXPECT: exit       status=23
 *
 * RUN:    $CASE
 * EXPECT: stdout-lines 3
 * EXPECT: stderr-lines 0
 */
#include "../../probes/examples/ucontext_scheduler.c"
