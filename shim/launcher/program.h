#ifndef CRN_LAUNCHER_PROGRAM_H
#define CRN_LAUNCHER_PROGRAM_H
/*
 * Finds the program to run, as a shell does, and tells from its file whether it can be watched.
 */
#include "base/base.h"

/*
 * Finds the file that `name` means: itself when it holds a slash, else the first executable file
 * of that name along PATH.
 *
 * Answers 0 and the path (from malloc), or the status a shell would give, 126 or 127, after
 * saying why.
 */
int crn_program_find(const char *name, char **path);

/*
 * Why a preload cannot watch the program in this file (a script's interpreter is looked at in its
 * stead), in a few words; NULL when it can, or when the file cannot be looked at.
 */
const char *crn_program_obstacle(const char *path);

/*
 * Whether a shell would take the file for a script, were the kernel not to know its format: its
 * first line holds no NUL.
 */
bool crn_program_is_script(const char *path);

#endif
