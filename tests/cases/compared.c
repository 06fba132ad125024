/*
 * Two runs of a program compared: what leaks anew is named with its line and makes the status 23;
 * what is gone, grown or as before does not.  It makes no difference whether a run is there as a
 * recording or as JSON, and which of two binaries it was.
 *
 * The arguments say how many blocks leak of what is always there, and what else does.
 *
 * BUILD: once
 * RUN:    mkdir other; cp $CASE other; \
 *         coroner run --record=a.crn -f json -o a.json $CASE 2 early; \
 *         coroner run --record=b.crn -f json -o b.json other/compared 5 late; \
 *         for old in a.crn a.json; do for new in b.crn b.json; do \
 *         coroner diff $old $new >$old-$new; echo $?; done; done; \
 *         cmp a.crn-b.crn a.crn-b.json; cmp a.crn-b.crn a.json-b.crn; cmp a.crn-b.crn a.json-b.json; \
 *         grep -cE '^new +70 bytes in 1 block, lost \(proven\)' a.crn-b.crn; \
 *         grep -cE '^ +leak_late +.*compared.c:[0-9]+$' a.crn-b.crn; \
 *         grep -cE '^gone +90 bytes in 1 block, lost \(proven\)' a.crn-b.crn; \
 *         grep -cE '^grown +220 -> 550 bytes in 2 -> 5 blocks, lost \(proven\)' a.crn-b.crn; \
 *         grep -oE 'leaks: 1 new, 1 gone, 1 grown; leaked 310 -> 620 bytes' a.crn-b.crn
 * EXPECT: stdout       /^23\n23\n23\n23\n1\n1\n1\n1\nleaks: 1 new, 1 gone, 1 grown; leaked 310 -> 620 bytes\n$/
 * EXPECT: stderr-lines 0
 *
 * RUN:    coroner run --record=a.crn -f json -o a.json $CASE 2 early; \
 *         coroner run --record=b.crn -f json -o b.json $CASE 5; \
 *         coroner diff a.crn b.json >text; echo $?; coroner diff a.json a.crn | grep -o '2 unchanged; leaked 310 bytes in 3 blocks as before'; \
 *         coroner diff --quiet a.crn b.crn; coroner diff --suppressions=<(echo leak:leak_early) a.json b.crn | grep -c gone
 * EXPECT: stdout       /^0\n2 unchanged; leaked 310 bytes in 3 blocks as before\n0\n$/
 * EXPECT: stderr-lines 0
 *
 * RUN:    coroner run --record=a.crn -f json -o a.json $CASE 2; coroner run --record=b.crn -f json -o b.json $CASE 2 late; \
 *         coroner diff --error-exitcode=7 a.crn b.crn >text; echo $?; coroner diff --error-exitcode=0 a.crn b.crn >text; echo $?; \
 *         coroner diff -f json -o diff.json a.crn <(cat b.json); echo $?; \
 *         coroner diff --suppressions=<(echo leak:leak_late) a.crn <(cat b.crn) >text; echo $?; \
 *         python3 -c 'import json; d = json.load(open("diff.json")); l = d["programs"][0]["leaks"]; print(d["schema"], d["has_new_proven"], l["unchanged"], [(r["class"], r["old"], r["new"]["bytes"], r["alloc_stack"][0]["function"]) for r in l["new"]], l["gone"], l["grown"], l["shrunk"], d["programs"][0]["coroutines"])'
 * EXPECT: stdout       /^7\n0\n23\n0\ncoroner-diff\/1 True 1 \[\('lost', None, 70, 'leak_late'\)\] \[\] \[\] \[\] \{.*\}\n$/
 * EXPECT: stderr-lines 0
 *
 * RUN:    coroner run --record=a.crn -f json -o a.json $CASE 2; \
 *         for file in a.crn a.json; do for bytes in 0 1 8 100 1000 $(($(stat -c %s $file) - 3)); do \
 *         head -c $bytes $file >cut; coroner diff a.crn cut >/dev/null; echo $?; coroner diff cut a.crn >/dev/null; echo $?; \
 *         done; done | sort | uniq -c
 * EXPECT: stdout       /^ *24 2\n$/
 * EXPECT: stderr-lines 24
 *
 * RUN:    coroner run --record=a.crn -f json -o a.json $CASE 2; \
 *         for bad in '[' '{}' '{"schema":"coroner-report/2","processes":[]}' '{"schema":"coroner-report/1"}' \
 *         '{"schema":"coroner-report/1","processes":[{"summary":{},"leaks":[{"id":"1"}]}]}' \
 *         '{"schema":"coroner-report/1","processes":[{"summary":{"leaked_blocks":-1}}]}'; do \
 *         coroner diff a.crn <(echo "$bad"); echo $?; done; coroner diff a.crn /dev/zero; echo $?; coroner diff a.crn .; echo $?; \
 *         coroner diff a.crn; echo $?; coroner diff a.crn a.crn a.crn; echo $?; coroner diff --stacks=off a.crn a.crn; echo $?
 * EXPECT: stdout       /^(2\n){11}$/
 * EXPECT: stderr-lines 11
 *
 * What was not checked has no leaks that could be new or gone.
 *
 * RUN:    coroner run --record=a.crn -f json -o a.json $CASE 2; \
 *         coroner run -f json -o b.json $CASE 2 crash; \
 *         coroner diff a.crn b.json; echo $?; coroner diff b.json a.crn; echo $?
 * EXPECT: stdout       /^4\n4\n$/
 * EXPECT: stderr       /nothing to compare.*b.json/
 */
#include "case.h"

NOINLINE static void leak_always(int count)
{
    for (int i = 0; i < count; i++)
        fill(malloc(110), 110);
}

NOINLINE static void leak_early(void)
{
    fill(malloc(90), 90);
}

NOINLINE static void leak_late(void)
{
    fill(malloc(70), 70);
}

int main(int argc, char **argv)
{
    leak_always(argc > 1 ? atoi(argv[1]) : 0);
    if (said(argv, "early"))
        leak_early();
    if (said(argv, "late"))
        leak_late();
    if (said(argv, "crash"))
        abort();
    wipe();
    return 0;
}
