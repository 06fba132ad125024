/*
 * A function that faults is given up; a read that faults says so.
 */
#include <criterion/criterion.h>

#include "base/sys.h"
#include "check/guard.h"
#include "check/host.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>

static volatile uintptr_t nowhere = 0x10; /* volatile: the compiler would say that it is none */

const struct crn_host crn_host = {.sigaction = sigaction};

static void touch_nowhere(void *unused)
{
    (void)unused;
    *(volatile char *)nowhere = 1;
}

Test(guard, a_function_that_faults_is_given_up)
{
    uintptr_t fault = 0;
    cr_assert_not(crn_guarded_call(touch_nowhere, NULL, &fault));
    cr_assert_eq(fault, nowhere);
}

struct reads {
    const char *there;
    char *gone;
    bool was_alone, there_is_read, gone_is_read, half_is_read;
    char copy[64];
};

static void read_both(void *argument)
{
    struct reads *reads = argument;
    char page[CRN_PAGE_BYTES];
    reads->was_alone = crn_memory_read_alone != NULL;
    reads->gone_is_read = crn_memory_read(page, (uintptr_t)reads->gone, 8);
    reads->half_is_read =
        crn_memory_read(page, (uintptr_t)reads->gone - CRN_PAGE_BYTES / 2, CRN_PAGE_BYTES);
    reads->there_is_read =
        crn_memory_read(reads->copy, (uintptr_t)reads->there, strlen(reads->there) + 1);
}

static void assert_reads(bool is_alone)
{
    uintptr_t fault = 0;
    char *pages = mmap(NULL, 2 * CRN_PAGE_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct reads reads = {.there = "as it is", .gone = pages + CRN_PAGE_BYTES};
    cr_assert(mprotect(reads.gone, CRN_PAGE_BYTES, PROT_NONE) == 0);
    cr_assert(crn_guarded_call(read_both, &reads, &fault));
    cr_assert_eq(reads.was_alone, is_alone);
    cr_assert_not(reads.gone_is_read);
    cr_assert_not(reads.half_is_read);
    cr_assert(reads.there_is_read);
    cr_assert_str_eq(reads.copy, "as it is");
    cr_assert_null((void *)crn_memory_read_alone);
}

Test(guard, a_read_of_what_is_not_there_says_so)
{
    assert_reads(false);
}

Test(guard, so_does_one_that_asks_nobody)
{
    uintptr_t fault = 0;
    crn_guard_alone();
    assert_reads(true);
    cr_assert_not(crn_guarded_call(touch_nowhere, NULL, &fault));
    cr_assert_eq(fault, nowhere);
}
