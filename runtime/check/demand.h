#ifndef CRN_DEMAND_H
#define CRN_DEMAND_H
/*
 * Checks that the program asks for, while it goes on running: of everything, or of what belongs to
 * a scope.
 */
#include "check/check.h"
#include "base/switch.h"

/* Whether the check prints a report to standard error. */
enum crn_demand_report {
    CRN_REPORT_NEVER,
    CRN_REPORT_PROVEN, /* if something is proven */
    CRN_REPORT_ANY     /* if there is an entry */
};

/* What one check found. */
struct crn_demand_summary {
    size_t entries;
    size_t leaked_blocks, leaked_bytes;
    size_t likely_blocks, likely_bytes; /* the part of them that is only likely */
    size_t proven;                      /* blocks and findings */
    uint64_t pause_ns;                  /* how long other threads stood still */
};

/* A leak, or a finding.  Texts are good until the next check of this thread. */
struct crn_demand_entry {
    bool is_leak;
    uint32_t finding; /* enum crn_finding_kind, unless it is a leak */
    uint32_t verdict; /* enum crn_verdict, if it is one */
    bool is_proven;
    const char *coroutine, *local; /* names; NULL: none, or not known */
    const char *why;
    uintptr_t address; /* one of the blocks, or the object watched */
    size_t blocks, bytes;
};

/*
 * Checks, and fills *summary unless it is NULL.  Answers the number of entries, which
 * crn_demand_entry_read gives to the same thread.  0 while another thread checks for more than a
 * second, and in a thread that is busy with us.  `from`: the registers of the program's code that
 * asked, below whose rsp nothing of its stack counts; NULL: not known, so the caller's.
 */
size_t crn_check_on_demand(struct crn_occasion occasion, enum crn_demand_report report,
                           struct crn_demand_summary *summary,
                           const struct crn_saved_registers *from);

/*
 * Checks everything and reports, where --output says, only if there is a leak that counts for the
 * exit code and no suppression silences; answers whether there is one.  Waits a minute for another
 * thread's check.
 */
bool crn_check_judged(const struct crn_saved_registers *from);

/* What the last check that was asked for called live. */
void crn_check_live_count(size_t *blocks, size_t *bytes);

/* A thread's last check has no entries any more. */
void crn_demand_forget(struct crn_thread *thread);

/* Entry `index` of the calling thread's last check; false: there is none. */
bool crn_demand_entry_read(size_t index, struct crn_demand_entry *entry);

/* In a forked child: no check has counted anything yet. */
void crn_demand_after_fork(void);

#endif
