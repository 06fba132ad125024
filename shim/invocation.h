#ifndef CRN_INVOCATION_H
#define CRN_INVOCATION_H
/*
 * How the coroner command is called by a process that has it work for it: where it is, its
 * arguments, its standard streams.  deliver.c has a recording rendered by it, errand.c a check made.
 */
#include "base/base.h"

enum { CRN_ARGUMENTS_MAX = 48, CRN_NO_LAUNCHER = 127 };

struct crn_invocation {
    bool is_delivery; /* it looks after the recording, and after impatient signals */
    bool is_all_errors; /* what it writes to standard output goes to standard error, too */
    const char *arguments[CRN_ARGUMENTS_MAX];
    char texts[4096];
    size_t count, used;
};

/* The coroner command: as the launcher told us, beside this library, or where both are installed. */
bool crn_launcher_find(char *path, size_t path_bytes);

/* Adds an argument: the format's one %s is the value.  What has no room is left out. */
void crn_argument_add(struct crn_invocation *command, const char *format, const char *value);

/* Adds the options that say what to show, and how much of it. */
void crn_arguments_showing(struct crn_invocation *command);

/*
 * Becomes the command, in a child; `errors` is its standard error, -1: it has none.  Ends the process
 * with CRN_NO_LAUNCHER where it cannot.
 */
__attribute__((noreturn)) void crn_invocation_exec(const struct crn_invocation *command,
                                                   char **environment, int errors);

#endif
