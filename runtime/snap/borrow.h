#ifndef CRN_BORROW_H
#define CRN_BORROW_H
/*
 * Descriptors of the process, for a thread of ours that has a table of its own.
 *
 * Such a thread opens what it needs where the program cannot see it.  What the program's own
 * descriptors hold it reads from copies that it takes one at a time (pidfd_getfd(2), which a thread
 * may always ask of its own process), and gives back at once: as long as there is a copy, a file
 * that the program closes stays open.
 *
 * One taker at a time.
 */
#include "base/base.h"

/* From here on descriptors are the process's, not the calling thread's.  False: not possible. */
bool crn_borrow_begin(void);
void crn_borrow_end(void);

/* Whether one is begun. */
bool crn_borrows(void);

/* A descriptor for this number of the program's, or a negative errno; else the number itself. */
int crn_borrow(int number);
void crn_borrow_return(int fd);

/* The folder of /proc that has the program's fd and fdinfo. */
const char *crn_borrow_folder(void);

#endif
