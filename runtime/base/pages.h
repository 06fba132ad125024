#ifndef CRN_PAGES_H
#define CRN_PAGES_H
/*
 * Which pages of this process have contents, and reading them by a way that cannot fault.
 *
 * Whoever touches a page that is not there changes the program: the kernel makes one, or asks
 * userfaultfd for it and waits.  So pages are asked for first.  In the order in which they are
 * tried:
 *
 *     PAGEMAP_SCAN (Linux 6.7)   skips what was never touched, names guard pages (6.15)
 *     /proc/self/pagemap         8 bytes a page, there or not
 *     mincore(2)                 where pagemap is not ours to read (after setuid); knows no swap
 *
 * Where nothing answers, all of a range counts as there.
 */
#include "base/base.h"

enum crn_page_flags {
    CRN_PAGES_PRESENT = 1, /* in the page table: to read it neither faults nor waits */
    CRN_PAGES_SWAPPED = 2, /* not in memory, or a marker: to read it may fault */
    CRN_PAGES_OF_FILE = 4, /* of a file or shared; clear: anonymous, a copy of this mapping's own */
    CRN_PAGES_HUGE = 16,   /* of crn_pages_huge_runs: huge pages */
    CRN_PAGES_CACHED = 8,  /* of crn_pages_cached: in memory, if not in this page table */
};

/*
 * Calls `visit` for each run of pages of [start, end) that have contents and are alike, ascending.
 * Pages of the kernel's zeros and guard pages have none.  Pages of a shared mapping that it did
 * not touch yet are not in its page table: see crn_pages_cached.
 */
void crn_pages_runs(uintptr_t start, uintptr_t end,
                    void (*visit)(uintptr_t start, uintptr_t end, unsigned flags, void *user),
                    void *user);

/*
 * Calls `visit` for each run of pages of [start, end) that have contents and can be read.
 * `only_private_copies` leaves out pages that still are the file's.
 */
void crn_pages_for_each(uintptr_t start, uintptr_t end, bool only_private_copies,
                        void (*visit)(uintptr_t start, uintptr_t end, void *user), void *user);

/*
 * The same as crn_pages_runs of a mapping of a file or of shared memory, whoever touched the pages:
 * those the kernel holds in memory.  Answers false when it does not say.
 */
bool crn_pages_cached(uintptr_t start, uintptr_t end,
                      void (*visit)(uintptr_t start, uintptr_t end, unsigned flags, void *user),
                      void *user);

/* Calls `visit` for each run of huge pages of [start, end); for none where the kernel does not tell
 * (before Linux 6.7). */
void crn_pages_huge_runs(uintptr_t start, uintptr_t end,
                         void (*visit)(uintptr_t start, uintptr_t end, unsigned flags, void *user),
                         void *user);

/*
 * From here on (or no longer), until crn_pages_open is called next, pages of private memory that a
 * forked child has not written to are left out of all runs (written.h).  False: they are not.
 */
bool crn_pages_leave_out_inherited(bool is_wanted);

/*
 * From here on no page of this process comes or goes: it is a copy, and the caller its only thread.
 * So the kernel is asked for several small ranges at once.
 */
void crn_pages_stand_still(void);

/* Whether no other process has the page that lies at this address; false: not known. */
bool crn_pages_is_exclusive(uintptr_t address);

/* Opens and closes what these read; they open it by themselves when needed. */
void crn_pages_open(void);
void crn_pages_close(void);

/* Whether the kernel tells swapped pages, and copies of a file's pages, from others. */
bool crn_pages_are_known(void);

/* Whether asking for a range costs by what is there, not by its size. */
bool crn_pages_skip_quickly(void);

/* Whether anything on this machine may be swapped out. */
bool crn_pages_may_be_swapped(void);

/* From here on (or no longer) crn_memory_read touches nothing that is not in the page table. */
void crn_pages_beware(bool must_ask);

/* For tests: the ways of the list above that are left out, a bit for each from the first. */
void crn_pages_leave_out(unsigned ways);

/*
 * Copies memory that may not be there, or may not be touched; answers how many bytes of it, from
 * the start, could be read, or -EPERM when no memory may be read this way.  `by_force`: also
 * pages without access (PROT_NONE), for which /proc/self/mem is opened; crn_pages_close closes it.
 */
long crn_pages_copy(void *target, uintptr_t source, size_t bytes, bool by_force);

#endif
