/*
 * A result slot keeps the last posted value until the next one is posted, long after that value
 * has been shown.  Each value is watched from then on, so the report says who keeps the last one:
 * the others were freed in their turn.
 *
 * Mended: who takes the value takes it out of the slot.
 *
 * RUN:      coroner run --format=json --output=report.json $CASE kept
 * SCENARIO: 6
 * EXPECT:   none
 * EXPECT:   finding unfinished_watch count=1 object_bytes=30000
 * EXPECT:   chain global latest > block slot_new+48
 * EXPECT:   stdout shown 10
 * EXPECT:   exit status=0
 *
 * RUN:      coroner run --strict --format=json --output=report.json $CASE taken
 * SCENARIO: 6
 * EXPECT:   none
 * EXPECT:   stdout shown 10
 * EXPECT:   exit status=0
 */
#include "looper.h"

enum { COUNT = 10 };

struct slot {
    char name[48];
    char *value;
};

GLOBAL struct slot *latest;
GLOBAL struct looper ui = LOOPER("ui"), worker = LOOPER("worker");
static bool takes;
static int shown;

NOINLINE static struct slot *slot_new(void)
{
    struct slot *slot = calloc(1, sizeof *slot);
    REQUIRE(slot != NULL);
    return slot;
}

/* On the main loop. */
NOINLINE static void show(void *object)
{
    struct slot *slot = object;
    char *value = slot->value;
    REQUIRE(value[0] == 'x');
    shown++;
    coroner_watch(value, "it has been shown");
    if (takes) {
        slot->value = NULL;
        free(value);
    }
}

/* On the worker: a value, which lets go of the last one. */
NOINLINE static void post(void *object)
{
    struct slot *slot = object;
    free(slot->value);
    slot->value = malloc(30000);
    fill(slot->value, 30000);
    looper_post(&ui, 0, show, slot);
}

int main(int argc, char **argv)
{
    (void)argc;
    takes = said(argv, "taken");
    latest = slot_new();
    looper_start(&worker);
    for (int i = 0; i < COUNT; i++) {
        looper_post(&worker, 0, post, latest);
        looper_settle(&worker);
        looper_quit(&ui);
        looper_run(&ui);
    }
    looper_join(&worker);
    printf("shown %d\n", shown);
    wipe();
    return 0;
}
