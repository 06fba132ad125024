/*
 * Where stacks are sampled, verdicts and counts are as exact as ever: only stacks are missing, and
 * what those that were taken stand for is an estimate.  The ranges below are six deviations wide.
 *
 * BUILD: once
 * RUN:    coroner run --stacks=sampled=16k --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=20002 bytes=36777264 indirect_blocks=99999 indirect_bytes=4799952
 * EXPECT: lost       behind_blocks=65000..135000 behind_bytes=3120000..6480000
 * EXPECT: lost       sampled=yes allocated_in=make_many estimated_blocks=16500..23500
 * EXPECT: lost       sampled=yes allocated_in=make_big blocks=1 estimated_blocks=1
 * EXPECT: summary    leaked_blocks=120001 leaked_bytes=41577216 by_class.lost.blocks=120001
 * EXPECT: process    sample_bytes=16384
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --stacks=sampled=1 --format=json --output=report.json $CASE
 * EXPECT: lost       sampled=yes allocated_in=make_many blocks=20000 estimated_blocks=20000
 * EXPECT: lost       sampled=yes allocated_in=make_big bytes=16777216 estimated_bytes=16777216
 * EXPECT: lost       sampled=yes allocated_in=list_grow blocks=1 indirect_blocks=99999
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       sampled=null allocated_in=make_many blocks=20000
 * EXPECT: lost       sampled=null allocated_in=make_big blocks=1
 * EXPECT: lost       sampled=null allocated_in=list_grow blocks=1 indirect_blocks=99999
 * EXPECT: process    sample_bytes=null
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --stacks=sampled --format=json --output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: process    sample_bytes=524288
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --stacks=sampled=2k --record=kept.crn --output=/dev/null $CASE; \
 *         coroner report --format=json --output=report.json kept.crn
 * EXPECT: lost       blocks=20002 bytes=36777264 indirect_blocks=99999
 * EXPECT: lost       sampled=yes allocated_in=make_many estimated_blocks=18800..21200
 * EXPECT: process    sample_bytes=2048
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=stacks=sampled=2k:format=json:output=report.json $CASE
 * EXPECT: lost       blocks=20002 bytes=36777264 indirect_blocks=99999
 * EXPECT: lost       sampled=yes allocated_in=make_many estimated_blocks=18800..21200
 * EXPECT: exit       status=23
 *
 * All samples of a kind are suppressed, hence all of the kind.
 *
 * RUN:    printf 'leak:make_*\nleak:list_grow\n' >known; \
 *         coroner run --stacks=sampled=16k --suppressions=known --format=json \
 *             --output=report.json $CASE
 * EXPECT: none
 * EXPECT: summary    suppressed_blocks=120001 leaked_blocks=0
 * EXPECT: exit       status=0
 *
 * No sample falls on one small block, so nobody knows whether a pattern means it.
 *
 * RUN:    coroner run --stacks=sampled=64g --format=json --output=report.json $CASE one
 * EXPECT: lost       sampled=no blocks=1 bytes=130
 * EXPECT: exit       status=23
 *
 * RUN:    echo 'leak:nobody' >known; \
 *         coroner run --stacks=sampled=64g --suppressions=known --format=json \
 *             --output=report.json $CASE one
 * EXPECT: lost       sampled=no blocks=1 bytes=130
 * EXPECT: warning    /1 leaked block has no stack that a leak: suppression could match/
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --stacks=sampled=0 $CASE one
 * EXPECT: stderr     /bad distance '0' in stacks=sampled=0: use bytes, from 1 to 64G/
 * EXPECT: stderr-lines 1
 * EXPECT: exit       status=2
 *
 * RUN:    export CORONER_OPTIONS=stacks=sampled=x:format=json:output=report.json; \
 *         LD_PRELOAD=$SHIM $CASE one
 * EXPECT: stderr     /CORONER_OPTIONS: bad distance 'x'/
 * EXPECT: stderr-lines 1
 * EXPECT: lost       sampled=null allocated_in=make_one blocks=1
 * EXPECT: exit       status=23
 */
#include "case.h"

enum { MANY = 20000, MANY_BYTES = 1000, NODES = 100000 };

struct node {
    struct node *next;
    char rest[40];
};

GLOBAL struct node *list;

NOINLINE static void *make_many(void)
{
    void *block = malloc(MANY_BYTES);
    fill(block, MANY_BYTES);
    return block;
}

NOINLINE static void *make_big(void)
{
    void *block = malloc((size_t)1 << 24);
    fill(block, MANY_BYTES);
    return block;
}

NOINLINE static void make_one(void)
{
    fill(malloc(130), 130);
}

NOINLINE static void list_grow(void)
{
    struct node *node = malloc(sizeof *node);
    fill(node, sizeof *node);
    node->next = list;
    list = node;
}

NOINLINE static void make_all(bool frees)
{
    for (unsigned i = 0; i < MANY + 1; i++) {
        void *block = i == MANY ? make_big() : make_many();
        if (frees)
            free(block);
    }
    for (unsigned i = 0; i < NODES; i++)
        list_grow();
    if (!frees)
        list = NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    if (said(argv, "one"))
        make_one();
    else
        make_all(said(argv, "twin"));
    wipe();
    return 0;
}
