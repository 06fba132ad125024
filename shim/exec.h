#ifndef CRN_EXEC_H
#define CRN_EXEC_H
/*
 * The program becomes another one: exec and its relatives.
 */

/* Finds libc's functions.  From the constructor. */
void crn_exec_start(void);

#endif
