#ifndef CRN_LAUNCHER_COMMAND_H
#define CRN_LAUNCHER_COMMAND_H
/*
 * The commands of `coroner`: each takes its arguments, its own name first, and answers the exit
 * status.
 */
#include "base/base.h"

enum {
    CRN_EXIT_USAGE = 2,            /* the user's mistake, or ours */
    CRN_EXIT_CANNOT_LOOK = 4,      /* nothing was checked, so nothing is said */
    CRN_EXIT_NOT_EXECUTABLE = 126, /* as a shell says it */
    CRN_EXIT_NOT_FOUND = 127,
    CRN_EXIT_SIGNAL = 128, /* plus the signal */
};

struct crn_command {
    const char *name;
    int (*main)(const struct crn_command *command, int argc, char **argv);
    const char *operands;
    const char *summary;
    bool only_renders; /* what steers the program is no option of it */
    const char *options; /* the keys of those it has, a blank between them; NULL: all the others */
};

/* The commands that are built; a row with a NULL name ends them. */
extern const struct crn_command crn_commands[];

int crn_command_run(const struct crn_command *command, int argc, char **argv);
int crn_command_report(const struct crn_command *command, int argc, char **argv);
int crn_command_check(const struct crn_command *command, int argc, char **argv);
int crn_command_dump(const struct crn_command *command, int argc, char **argv);
int crn_command_diff(const struct crn_command *command, int argc, char **argv);
int crn_command_top(const struct crn_command *command, int argc, char **argv);
int crn_command_bench(const struct crn_command *command, int argc, char **argv);

#endif
