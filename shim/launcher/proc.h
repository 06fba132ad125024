#ifndef CRN_LAUNCHER_PROC_H
#define CRN_LAUNCHER_PROC_H
/*
 * Reads what the kernel tells of processes.
 */
#include "base/base.h"

/*
 * All of the file `name` of a directory of /proc that is held open, with a NUL behind; at most
 * 4 MiB of it.  From malloc; NULL where it cannot be opened or its first bytes cannot be read, with
 * errno.  *count is without that NUL.
 */
char *crn_proc_read(int directory, const char *name, size_t *count);

/*
 * What stands behind "KEY:" and blanks at the beginning of a line of `text`, up to the end of the
 * text; NULL: there is no such line.
 */
const char *crn_proc_field(const char *text, const char *key);

/* The number behind "KEY:" in that base; `unknown` where there is none. */
uint64_t crn_proc_number(const char *text, const char *key, int base, uint64_t unknown);

#endif
