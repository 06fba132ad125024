#ifndef CRN_FAIL_H
#define CRN_FAIL_H
/*
 * For tests: lets one system call of Coroner's own fail, the Nth of its kind, as the kernel would
 * refuse it.
 *
 *     fail_call=mmap=17     the 17th mmap of Coroner's own answers ENOMEM
 *     count_calls=FILE      the counts live in FILE, for all processes that are given it: an array
 *                           of 64-bit words, one for each row of crn_failing_calls
 *
 * crn_syscall asks here where the number of its call is a constant of the table and `is_on` is set;
 * whatever the program itself asked for goes by crn_syscall_always, and is neither counted nor
 * refused.  (The method: Curl's `runtests.pl -t`, SQLite's "anomaly testing".)
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>

struct crn_failing_call {
    const char *name;
    int number;
    int error; /* what it answers then */
};
enum { CRN_FAILING_CALLS = 6 };
extern const struct crn_failing_call crn_failing_calls[CRN_FAILING_CALLS];

struct crn_fail {
    bool is_on;
    unsigned kind;            /* the row of crn_failing_calls that fails, */
    uint64_t number;          /* and the how maniest of it, from 1; 0: none, all are counted */
    _Atomic uint64_t *counts; /* of all rows */
};
extern struct crn_fail crn_fail __attribute__((visibility("hidden")));

/* Whether calls of this number can be made to fail: folded where it is a constant. */
static inline __attribute__((always_inline)) bool crn_fail_knows(long number)
{
    return number == SYS_mmap || number == SYS_openat || number == SYS_clone ||
           number == SYS_write || number == SYS_pipe2 || number == SYS_rename;
}

/* Counts a call; answers a negative errno where it shall fail, otherwise 0. */
long crn_fail_ask(long number);

/*
 * Reads what CORONER_OPTIONS says of it, before anything is called that counts.  `options` is left
 * as it is; NULL: there are none.  Calls no function of libc.
 */
void crn_fail_plan(const char *options);

#endif
