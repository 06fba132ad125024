/*
 * A static program loads no shim: one line says so, and it runs, with its own exit status.
 *
 * BUILD: once
 * FLAGS: -static
 * RUN:    coroner run $CASE
 * EXPECT: stdout       still running
 * EXPECT: stderr       /static/
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=8
 */
#include "case.h"

int main(void)
{
    puts("still running");
    return 8;
}
