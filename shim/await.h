#ifndef CRN_AWAIT_H
#define CRN_AWAIT_H
/*
 * For tests: lets a program that ends be checked from outside, where its end would check it.
 *
 *     await_check=FIFO     when the end begins, the process writes its pid and a newline there, and
 *                          waits until a check from outside has been answered, or for 30 s
 *
 * Such a check sees the thread as the mark of the end will (thread->stands_at), so both say the
 * same of each block, but for what only an end can know (tests/README.md, "Both ways").
 */

/* In the thread that ends the process, with its signals blocked; needs 1 KiB of stack. */
void crn_await_check(void);

#endif
