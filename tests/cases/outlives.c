/*
 * `coroner run` returns when the program has ended.  A descendant that lives on keeps running, and
 * writes its own report to FILE.PID when it ends.
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
 */
#include "case.h"

#include <fcntl.h>

NOINLINE static void lose_later(void)
{
    fill(malloc(270), 270);
}

int main(void)
{
    char go;
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
