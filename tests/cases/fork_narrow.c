/*
 * A forked child is judged by what it has written since the fork.  Whatever of its parent's leads to
 * its blocks counts, be it a variable, a part of a large block, a block that the child itself has
 * lost, a word at an odd offset, or a pointer that was written before the fork to a block that the
 * child resized; and while the child has children of its own nothing of that is known, so all counts.
 * Each word is a child, which loses a block of 555 bytes, too, unless the word is "all".
 *
 * BUILD: once
 * RUN:    coroner run -f json -o report.json --error-exitcode=0 $CASE all variable part lost odd \
 *         resized stack chain mapped thread made raw
 * EXPECT: none
 * EXPECT: processes  12
 * EXPECT: stderr-lines 0
 *
 * RUN:    coroner run -f json -o report.json --error-exitcode=0 $CASE nothing variable part lost \
 *         stack chain mapped thread made raw
 * EXPECT: lost       in=child blocks=10 bytes=5550 allocated_in=lose
 * EXPECT: processes  11
 *
 * RUN:    coroner run -f json -o report.json --error-exitcode=0 $CASE exits container
 * EXPECT: lost       in=child blocks=2 bytes=1110 allocated_in=lose
 * EXPECT: processes  3
 */
#include "case.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { PARENTS = 20000, LARGE_BYTES = 3 << 20, SIZE = 300 };

struct old {
    char before[40];
    void *word;
};

GLOBAL void *parents[PARENTS];
GLOBAL char *variable, *large, *grown, *mapping;
GLOBAL struct old *old;
GLOBAL char *packed;
static bool is_lossy = true;

NOINLINE static void *make(void)
{
    char *block = malloc(SIZE);
    fill(block, SIZE);
    return block;
}

NOINLINE static void lose(void)
{
    char *block = malloc(555);
    fill(block, 555);
}

static void hold_by_nothing(void)
{
}

static void hold_by_variable(void)
{
    variable = make();
}

static void hold_by_part(void)
{
    memcpy(large + LARGE_BYTES / 2 + 8 * 1000, &(void *){make()}, sizeof(void *));
}

/* The child loses what holds: that is its parent's, and not judged. */
static void hold_by_lost(void)
{
    old->word = make();
    old = NULL;
}

static void hold_by_odd(void)
{
    struct __attribute__((packed)) {
        char first;
        void *word;
        void *code;
    } slice = {0, make(), (void *)(uintptr_t)make};
    memcpy(packed + 64, &slice, sizeof slice);
}

/* `grown` has pointed here since before the fork, on a page that nobody writes to. */
static void hold_by_resized(void)
{
    REQUIRE(realloc(grown, LARGE_BYTES - 100) == grown);
}

static void hold_by_chain(void)
{
    void **first = malloc(64), **second = malloc(64);
    *first = second;
    *second = make();
    parents[PARENTS / 2] = first;
}

static void hold_by_mapping(void)
{
    memcpy(mapping + 8192 + 16, &(void *){make()}, sizeof(void *));
}

static void *wait_for_ever(void *block)
{
    void *volatile held = block;
    pause();
    return held;
}

static void hold_by_thread(void)
{
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, wait_for_ever, make()) == 0);
}

/* A child of the child shares with it all that it wrote, for as long as the child lives. */
static void hold_while_shared(bool is_raw)
{
    variable = make();
    pid_t parent = getpid();
    int child = is_raw ? (int)syscall(SYS_clone, 0, 0, 0, 0, 0) : fork();
    if (child != 0)
        return;
    while (getppid() == parent)
        usleep(2000);
    syscall(SYS_exit_group, 0);
}

static void hold_with_child(void)
{
    hold_while_shared(false);
}

static void hold_with_raw_child(void)
{
    hold_while_shared(true);
}

/* The child ends by exit(), so that handlers run and the second part of the end comes. */
static void leave(void)
{
    free(variable);
}

static void hold_until_exit(void)
{
    variable = make();
    atexit(leave);
}

/* As a vector does: its parent's variable, memory of the child's. */
GLOBAL struct {
    void **begin, **end, **limit;
} vector;

static void hold_by_container(void)
{
    vector.begin = malloc(8 * sizeof(void *));
    vector.end = vector.limit = vector.begin + 8;
    for (int i = 0; i < 8; i++)
        vector.begin[i] = make();
    atexit(leave);
}

static const struct {
    const char *word;
    void (*hold)(void);
    bool ends_by_exit;
} children[] = {{"nothing", hold_by_nothing, false},
                {"variable", hold_by_variable, false},
                {"part", hold_by_part, false},
                {"lost", hold_by_lost, false},
                {"odd", hold_by_odd, false},
                {"resized", hold_by_resized, false},
                {"stack", NULL, false},
                {"chain", hold_by_chain, false},
                {"mapped", hold_by_mapping, false},
                {"thread", hold_by_thread, false},
                {"made", hold_with_child, false},
                {"raw", hold_with_raw_child, false},
                {"exits", hold_until_exit, true},
                {"container", hold_by_container, true}};

NOINLINE static void child_run(unsigned which)
{
    void *volatile local = NULL;
    if (is_lossy)
        lose();
    if (children[which].hold != NULL)
        children[which].hold();
    else
        local = make();
    wipe();
    if (children[which].ends_by_exit)
        exit(0);
    _exit(local == NULL ? 0 : 0);
}

int main(int argc, char **argv)
{
    for (int i = 0; i < PARENTS; i++)
        parents[i] = malloc(48);
    old = malloc(sizeof *old);
    memset(old, 0, sizeof *old);
    packed = calloc(1, 4096);
    large = calloc(1, LARGE_BYTES);
    grown = malloc(LARGE_BYTES);
    fill(grown, LARGE_BYTES);
    mapping = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(mapping != MAP_FAILED);
    memset(mapping, 1, 1 << 20);
    for (int i = 1; i < argc; i++) {
        is_lossy &= strcmp(argv[i], "all") != 0;
        for (unsigned c = 0; c < sizeof children / sizeof *children; c++) {
            int status;
            if (strcmp(argv[i], children[c].word) != 0)
                continue;
            pid_t child = fork();
            if (child == 0)
                child_run(c);
            REQUIRE(waitpid(child, &status, 0) == child && status == 0);
        }
    }
    return 0;
}
