/*
 * Reads a command's arguments.  See arguments.h.
 *
 * getopt_long's table is made from options.def: row i answers FIRST_ROW + i, so an option needs
 * no more than its row there.
 */
#include "shim/launcher/arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "shim/launcher/output.h"

enum { OPTIONS_MAX = 64, NAME_MAX_BYTES = 32, FIRST_ROW = 256 };

/* Options that have a letter, too. */
static const struct {
    char letter;
    const char *key;
} letters[] = {{'f', "format"}, {'o', "output"}};

static int row_of_letter(int letter)
{
    for (unsigned i = 0; i < CRN_COUNT_OF(letters); i++) {
        if (letters[i].letter != letter)
            continue;
        for (unsigned row = 0; row < crn_option_rows_count; row++)
            if (strcmp(crn_option_rows[row].key, letters[i].key) == 0)
                return (int)row;
    }
    return -1;
}

/* The long name of a row: its key with dashes. */
static void long_name(const struct crn_option_row *row, char name[NAME_MAX_BYTES])
{
    snprintf(name, NAME_MAX_BYTES, "%s", row->key);
    for (; *name != 0; name++)
        if (*name == '_')
            *name = '-';
}

static bool is_flag(const struct crn_option_row *row)
{
    return strcmp(row->type, "flag") == 0;
}

int crn_arguments_read(struct crn_arguments *arguments, const struct crn_command *command,
                       enum crn_arguments_rule rule, int argc, char **argv)
{
    static char names[OPTIONS_MAX][NAME_MAX_BYTES];
    struct option options[OPTIONS_MAX + 2] = {0};
    unsigned count = 0;
    int answer;
    for (; count < crn_option_rows_count && count < OPTIONS_MAX; count++) {
        const struct crn_option_row *row = &crn_option_rows[count];
        long_name(row, names[count]);
        options[count] =
            (struct option){names[count], is_flag(row) ? no_argument : required_argument, NULL,
                            FIRST_ROW + (int)count};
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
        if (crn_options_set(&arguments->options, crn_option_rows[row].key, optarg,
                            CRN_SOURCE_OWN, message, sizeof message) != CRN_OK) {
            crn_say("%s", message);
            return CRN_EXIT_USAGE;
        }
    }
    arguments->first_operand = optind;
    return -1;
}

/* Whether an option steers the program, so that there is nothing left of it to render again. */
static bool is_of_run(const struct crn_option_row *row)
{
    static const char *const keys[] = {"stacks", "follow_children", "fold_recursion",
                                       "cancel_grace_ms", "detect_leaks", "leak_check_at_exit"};
    if (strncmp(row->key, "use_", 4) == 0)
        return true;
    for (unsigned i = 0; i < CRN_COUNT_OF(keys); i++)
        if (strcmp(keys[i], row->key) == 0)
            return true;
    return false;
}

static void option_help(const struct crn_option_row *row, const char *fallback)
{
    enum { COLUMN = 28 };
    char name[NAME_MAX_BYTES], left[64];
    const char *letter = "    ";
    char with_letter[8];
    long_name(row, name);
    for (unsigned i = 0; i < CRN_COUNT_OF(letters); i++) {
        if (strcmp(letters[i].key, row->key) == 0) {
            snprintf(with_letter, sizeof with_letter, "-%c, ", letters[i].letter);
            letter = with_letter;
        }
    }
    if (*row->help == 0)
        return;
    snprintf(left, sizeof left, "  %s--%s%s%s", letter, name, *row->argument != 0 ? " " : "",
             row->argument);
    printf("%-*s  %s", COLUMN, left, row->help);
    if (!is_flag(row) && *fallback != 0)
        printf(" [%s]", fallback);
    putchar('\n');
}

static void options_help(bool is_report)
{
    printf("Options, with defaults in brackets:\n");
    for (unsigned i = 0; i < crn_option_rows_count; i++) {
        const struct crn_option_row *row = &crn_option_rows[i];
        if (!is_report)
            option_help(row, row->fallback);
        else if (!is_of_run(row)) /* rendering is no verdict, unless one is asked for */
            option_help(row, strcmp(row->key, "error_exitcode") == 0 ? "0" : row->fallback);
    }
    printf("  -h, --help                  Show this help.\n");
}

void crn_help_command(const struct crn_command *command)
{
    bool is_report = command->main == crn_command_report;
    printf("Usage: coroner %s [OPTIONS] %s\n%s\n\n", command->name, command->operands,
           command->summary);
    options_help(is_report);
    if (!is_report)
        printf("\nThe same options, dashes as underscores, steer a plain preload:\n"
               "  LD_PRELOAD=libcoroner.so CORONER_OPTIONS=format=json:output=report.json "
               "./program\n");
}

void crn_help(void)
{
    printf("coroner " CORONER_VERSION ": finds memory that dead coroutines hold, and leaks.\n\n"
           "Usage:\n");
    for (const struct crn_command *command = crn_commands; command->name != NULL; command++)
        printf("  coroner %-6s [OPTIONS] %-24s %s\n", command->name, command->operands,
               command->summary);
    printf("  coroner --help | --version\n\n");
    options_help(false);
    printf("\n`coroner report --help` lists those that rendering heeds.\n");
}
