/*
 * A program that limits its own address space, or is started under a limit, may map as much as without
 * Coroner, but for a few megabytes: what is not used yet of Coroner's tables takes no addresses.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE itself
 * EXPECT: lost       blocks=1 bytes=456 allocated_in=make_plan
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE itself twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    (ulimit -v 1048576; LD_PRELOAD=$SHIM CORONER_OPTIONS=format=json:output=report.json \
 *          $CASE before)
 * EXPECT: lost       blocks=1 bytes=456 allocated_in=make_plan
 * EXPECT: exit       status=23
 *
 * RUN:    prlimit --as=1073741824 $CASE before
 * EXPECT: exit       status=0
 *
 * So does one that is told by another process while it runs.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE outside
 * EXPECT: lost       blocks=1 bytes=456 allocated_in=make_plan
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { PIECE = 1 << 20, PIECES = 1024, OTHERS = 48 }; /* what programs and libraries take */

static void *nothing(void *argument)
{
    return argument;
}

/* As many pieces as fit below the limit. */
static int pieces_count(void)
{
    static void *pieces[PIECES];
    int count = 0;
    while (count < PIECES &&
           (pieces[count] = mmap(NULL, PIECE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) !=
               MAP_FAILED)
        count++;
    for (int i = 0; i < count; i++)
        munmap(pieces[i], PIECE);
    return count;
}

NOINLINE static char *make_plan(void)
{
    char *plan = malloc(456);
    fill(plan, 456);
    return plan;
}

GLOBAL char *kept;

NOINLINE static void run(bool twin)
{
    char *plan = make_plan();
    if (twin)
        kept = plan;
    for (int i = 0; i < 1000; i++) {
        char *block = malloc(100000);
        REQUIRE(block != NULL);
        fill(block, 100000);
        free(block);
    }
}

int main(int argc, char **argv)
{
    struct rlimit limit = {(rlim_t)PIECE * PIECES, (rlim_t)PIECE * PIECES};
    pthread_t thread;
    (void)argc;
    if (said(argv, "itself"))
        REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
    if (said(argv, "outside")) {
        pid_t parent = getpid(), child = fork();
        if (child == 0)
            _exit(prlimit(parent, RLIMIT_AS, &limit, NULL) != 0);
        int status = 1;
        REQUIRE(waitpid(child, &status, 0) == child && status == 0);
    }
    REQUIRE(getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur == (rlim_t)PIECE * PIECES);
    REQUIRE(pthread_create(&thread, NULL, nothing, NULL) == 0);
    pthread_join(thread, NULL);
    REQUIRE(pieces_count() > PIECES - OTHERS);
    run(said(argv, "twin"));
    wipe();
    return 0;
}
