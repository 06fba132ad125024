#ifndef CRN_REPORT_MOMENT_H
#define CRN_REPORT_MOMENT_H
/*
 * What a live check has to say, for a person at three in the morning: at most CRN_MOMENT_LINES_MAX
 * lines for any program.
 *
 *     what grows, how fast, since when, until when; who holds the largest
 *     what is proven leaked
 *     where coroutines pile up
 *     memory that is not the heap
 *     what was not seen, what the look cost, what to type next
 */
#include "report/model.h"
#include "report/page.h"

enum { CRN_MOMENT_LINES_MAX = 40 };

/* The page about a process that goes on. */
void crn_moment_print(const struct crn_page *page, const struct crn_report *report,
                      const struct crn_process *process);

/*
 * All rows of the heap that is not leaked, and memory that is not the heap, for a report that tells
 * everything; nothing where nobody looked.
 */
void crn_live_print(struct crn_page *page, const struct crn_process *process);

#endif
