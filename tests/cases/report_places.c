/*
 * Where the report goes: text to standard error, JSON to standard output, %p is the pid, and
 * neither mixes with what the program writes; standard error closed by the program is no loss.
 *
 * BUILD: once
 * RUN:    coroner run $CASE
 * EXPECT: stdout       hello
 * EXPECT: stderr       /make_waste/
 * EXPECT: stderr       /wait_in_vain/
 * EXPECT: exit         status=23
 *
 * RUN:    coroner run $CASE close-stderr
 * EXPECT: stdout       hello
 * EXPECT: stderr       /make_waste/
 * EXPECT: exit         status=23
 *
 * RUN:    coroner run --format=json $CASE quiet >report.json
 * EXPECT: stderr-lines 0
 * EXPECT: abandoned    blocks=1 bytes=160 allocated_in=make_waste suspended_in=wait_in_vain
 * EXPECT: abandoned    blocks=1 allocated_in=context_new
 * EXPECT: exit         status=23
 *
 * RUN:    coroner run --format=json --output=report.json.%p $CASE pid >pid; \
 *         test -f report.json.$(cat pid) && test $(ls report.json.* | wc -l) = 1
 * EXPECT: abandoned    blocks=1 bytes=160 allocated_in=make_waste
 * EXPECT: abandoned    blocks=1 allocated_in=context_new
 * EXPECT: exit         status=0
 *
 * RUN:    coroner run --output=report.txt $CASE; grep -q make_waste report.txt && \
 *         ! grep -q $'\033' report.txt
 * EXPECT: stdout       hello
 * EXPECT: stderr-lines 0
 * EXPECT: exit         status=0
 *
 * RUN:    coroner run --output=no/such/directory/report.txt $CASE
 * EXPECT: stderr       /no/such/directory/
 * EXPECT: exit         status=2
 */
#include "case.h"

GLOBAL ucontext_t scheduler;

NOINLINE static char *make_waste(void)
{
    char *waste = malloc(160);
    fill(waste, 160);
    return waste;
}

NOINLINE static ucontext_t *context_new(void)
{
    ucontext_t *context = calloc(1, sizeof *context);
    REQUIRE(context != NULL);
    return context;
}

static void wait_in_vain(void *self)
{
    char *volatile waste = make_waste();
    swapcontext(self, &scheduler);
    free(waste);
}

NOINLINE static void run(void)
{
    ucontext_t *handle = context_new();
    coroutine_make(handle, mapped_stack(STACK_BYTES), STACK_BYTES, &scheduler, wait_in_vain,
                   handle);
    swapcontext(&scheduler, handle);
    memset(&scheduler, 0, sizeof scheduler);
}

int main(int argc, char **argv)
{
    (void)argc;
    run();
    if (said(argv, "close-stderr")) {
        fclose(stderr);
        close(2);
    }
    if (said(argv, "pid"))
        printf("%d\n", (int)getpid());
    else if (!said(argv, "quiet"))
        puts("hello");
    wipe();
    return 0;
}
