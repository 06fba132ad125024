/*
 * `coroner run` returns when the program has ended.  A descendant that lives on keeps running, and
 * writes its own report to FILE.PID when it ends.  Nobody else can have that go where he likes: not
 * by a directory of the session's name, nor by a link of the file's.
 *
 * BUILD: once
 * RUN:    mkfifo gate; coroner run --format=json --output=report.json $CASE >pid; first=$?; \
 *         test -f report.json && ! ls report.json.* 2>/dev/null || exit 98; \
 *         echo go >gate; child=$(cat pid); \
 *         for i in $(seq 200); do \
 *         test -s report.json.$child && ! kill -0 $child 2>/dev/null && break; sleep 0.05; done; \
 *         sleep 0.2; test -s report.json.$child || exit 97; exit $first
 * EXPECT: processes  2
 * EXPECT: lost       blocks=1 bytes=270 allocated_in=lose_later
 * EXPECT: process    exit.code=0
 * EXPECT: exit       status=0
 *
 * RUN:    mkfifo gate; mkdir t; TMPDIR=$PWD/t coroner run -f json -o report.json $CASE tells >pid; \
 *         child=$(cat pid); mkdir -m 777 $(cat session); ln -s elsewhere report.json.$child; \
 *         echo go >gate; while kill -0 $child 2>/dev/null; do sleep 0.02; done; \
 *         until ls *.crn; do sleep 0.02; done >/dev/null 2>&1; ls $(cat session) | wc -l; \
 *         ls elsewhere 2>/dev/null; rm report.json.$child; coroner report -f json -o report.json.2 *.crn
 * EXPECT: stdout     0
 * EXPECT: processes  2
 * EXPECT: lost       blocks=1 bytes=270 allocated_in=lose_later
 */
#include "case.h"

#include <fcntl.h>

NOINLINE static void lose_later(void)
{
    fill(malloc(270), 270);
}

static void tell_session(void)
{
    FILE *file = fopen("session", "w");
    REQUIRE(file != NULL && fputs(getenv("CORONER_SESSION"), file) >= 0 && fclose(file) == 0);
}

int main(int argc, char **argv)
{
    char go;
    (void)argc;
    if (said(argv, "tells"))
        tell_session();
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child > 0) {
        printf("%d\n", (int)child);
        return 0;
    }
    close(1);
    int gate = open("gate", O_RDONLY);
    REQUIRE(read(gate, &go, 1) == 1);
    lose_later();
    wipe();
    return 0;
}
