#ifndef CRN_LAUNCHER_ARGUMENTS_H
#define CRN_LAUNCHER_ARGUMENTS_H
/*
 * Reads a command's arguments, from the table of options.
 */
#include "options/options.h"
#include "shim/launcher/command.h"

enum crn_arguments_rule {
    CRN_OPERANDS_LAST,    /* options end at the first operand: a program follows */
    CRN_OPERANDS_ANYWHERE /* options may follow operands: files do */
};

struct crn_arguments {
    struct crn_options options;
    int first_operand; /* operands are argv[first_operand ..] */
};

/*
 * Reads argv over what `arguments->options` holds already.  Values point into argv.
 *
 * Answers -1 when the command may go on, else the status to exit with: 0 after --help, 2 after a
 * usage error, which has been said.
 */
int crn_arguments_read(struct crn_arguments *arguments, const struct crn_command *command,
                       enum crn_arguments_rule rule, int argc, char **argv);

#endif
