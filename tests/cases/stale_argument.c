/*
 * glibc's swapcontext saves argument registers too, though no caller may expect them back.  Here
 * such a stale word, in the context of a coroutine that is suspended and will be resumed, is all
 * that still has the address of its packet: lost.
 *
 * The twin holds the packet on its stack.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * ROW:    U11
 * EXPECT: lost       blocks=1 bytes=1200 allocated_in=make_packet confidence=proven
 * EXPECT: summary    coroutines.seen=1 coroutines.suspended=1
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * ROW:    U11 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

enum { BYTES = 1 << 18 }; /* room for wipe_stack */

GLOBAL ucontext_t *receiver, scheduler;
GLOBAL uintptr_t hidden;
GLOBAL bool is_twin;

NOINLINE static char *make_packet(void)
{
    char *packet = malloc(1200);
    fill(packet, 1200);
    hidden = hide(packet);
    return packet;
}

static void receive(void *unused)
{
    (void)unused;
    char *volatile packet = make_packet();
    if (!is_twin)
        packet = NULL;
    wipe_stack();
    wipe_registers();
    swapcontext(receiver, &scheduler);
    free(packet);
}

NOINLINE static void run(void)
{
    receiver = calloc(1, sizeof *receiver);
    coroutine_make(receiver, heap_stack(BYTES), BYTES, &scheduler, receive, NULL);
    swapcontext(&scheduler, receiver);
    /* As glibc 2.36 saves it; by hand, so that the row does not hang on its version. */
    receiver->uc_mcontext.gregs[REG_RDX] = (greg_t)unhide(hidden);
}

int main(int argc, char **argv)
{
    (void)argc;
    is_twin = said(argv, "twin");
    run();
    wipe();
    return 0;
}
