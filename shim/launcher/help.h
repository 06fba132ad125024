#ifndef CRN_LAUNCHER_HELP_H
#define CRN_LAUNCHER_HELP_H
/*
 * What --help prints, and how options look on a command line, from their table.
 */
#include "options/options.h"
#include "shim/launcher/command.h"

enum { CRN_OPTION_NAME_BYTES = 32 };

/* The long name of an option: its key with dashes. */
void crn_option_long_name(const struct crn_option_row *row, char name[CRN_OPTION_NAME_BYTES]);

/* Its letter; 0: it has none. */
char crn_option_letter(const struct crn_option_row *row);

/* Whether it takes no value. */
bool crn_option_is_flag(const struct crn_option_row *row);

/* Whether the command has this option; those that are not shown count. */
bool crn_option_is_of(const struct crn_option_row *row, const struct crn_command *command);

/* The command's help, on standard output. */
void crn_help_command(const struct crn_command *command);

/* What `coroner --help` prints, on standard output. */
void crn_help(const struct crn_command *commands);

#endif
