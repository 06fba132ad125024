/*
 * Reads a command's arguments.  See arguments.h.
 *
 * getopt_long's table is made from options.def: row i answers FIRST_ROW + i, so an option needs
 * no more than its row there.
 */
#include "shim/launcher/arguments.h"
#include "shim/launcher/help.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "shim/launcher/output.h"

enum { OPTIONS_MAX = 64, FIRST_ROW = 256 };

static int row_of_letter(int letter)
{
    for (unsigned row = 0; row < crn_option_rows_count; row++)
        if (crn_option_letter(&crn_option_rows[row]) == letter)
            return (int)row;
    return -1;
}

int crn_arguments_read(struct crn_arguments *arguments, const struct crn_command *command,
                       enum crn_arguments_rule rule, int argc, char **argv)
{
    static char names[OPTIONS_MAX][CRN_OPTION_NAME_BYTES];
    struct option options[OPTIONS_MAX + 2] = {0};
    unsigned count = 0;
    int answer;
    for (; count < crn_option_rows_count && count < OPTIONS_MAX; count++) {
        const struct crn_option_row *row = &crn_option_rows[count];
        crn_option_long_name(row, names[count]);
        int has_argument = crn_option_is_flag(row)           ? no_argument
                           : crn_option_may_stand_alone(row) ? optional_argument
                                                             : required_argument;
        options[count] = (struct option){names[count], has_argument, NULL, FIRST_ROW + (int)count};
    }
    options[count] = (struct option){"help", no_argument, NULL, 'h'};
    opterr = 0;
    optind = 0; /* glibc: begin anew */
    const char *short_options = rule == CRN_OPERANDS_LAST ? "+:hf:o:" : ":hf:o:";
    while ((answer = getopt_long(argc, argv, short_options, options, NULL)) != -1) {
        char message[256];
        const char *given = optind > 0 && optind <= argc ? argv[optind - 1] : "";
        if (answer == 'h') {
            crn_help_command(command);
            return 0;
        }
        if (answer == ':' || answer == '?') {
            const char *mistake = answer == ':'         ? "needs a value"
                                  : optopt >= FIRST_ROW ? "takes no value"
                                                        : "is no option";
            if (optopt > 0 && optopt < FIRST_ROW && answer == '?')
                crn_say("-%c %s: see `coroner %s --help`", optopt, mistake, command->name);
            else
                crn_say("%s %s: see `coroner %s --help`", given, mistake, command->name);
            return CRN_EXIT_USAGE;
        }
        int row = answer >= FIRST_ROW ? answer - FIRST_ROW : row_of_letter(answer);
        if (!crn_option_is_of(&crn_option_rows[row], command)) {
            crn_say("%s is no option of `coroner %s`: see `coroner %s --help`", given,
                    command->name, command->name);
            return CRN_EXIT_USAGE;
        }
        if (crn_options_set(&arguments->options, crn_option_rows[row].key, optarg,
                            CRN_SOURCE_OWN, message, sizeof message) != CRN_OK) {
            crn_say("%s", message);
            return CRN_EXIT_USAGE;
        }
    }
    arguments->first_operand = optind;
    return -1;
}
