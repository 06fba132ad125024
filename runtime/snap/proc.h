#ifndef CRN_PROC_H
#define CRN_PROC_H
/*
 * Files of /proc, line by line.
 */
#include "base/base.h"

enum { CRN_KERNEL_TEXT_BYTES = 64 * 1024 };

/*
 * Calls `visit` for each line of the file /proc/NAME; `text` has room for CRN_KERNEL_TEXT_BYTES.
 * Answers false when it could not be opened.
 */
bool crn_kernel_lines(const char *name, char *text, void (*visit)(const char *line, void *user),
                      void *user);

#endif
