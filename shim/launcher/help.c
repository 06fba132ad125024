/*
 * What --help prints.  See help.h.
 */
#include "shim/launcher/help.h"

#include <stdio.h>
#include <string.h>

/* Options that have a letter, too. */
static const struct {
    char letter;
    const char *key;
} letters[] = {{'f', "format"}, {'o', "output"}};

char crn_option_letter(const struct crn_option_row *row)
{
    for (unsigned i = 0; i < CRN_COUNT_OF(letters); i++)
        if (strcmp(letters[i].key, row->key) == 0)
            return letters[i].letter;
    return 0;
}

void crn_option_long_name(const struct crn_option_row *row, char name[CRN_OPTION_NAME_BYTES])
{
    snprintf(name, CRN_OPTION_NAME_BYTES, "%s", row->key);
    for (; *name != 0; name++)
        if (*name == '_')
            *name = '-';
}

bool crn_option_is_flag(const struct crn_option_row *row)
{
    return strcmp(row->type, "flag") == 0;
}

/* Whether an option steers the program, so that there is nothing left of it to render again. */
static bool is_of_run(const struct crn_option_row *row)
{
    static const char *const keys[] = {
        "stacks",       "follow_children", "fold_recursion",     "cancel_grace_ms",
        "on_bad_free",  "detect_leaks",    "leak_check_at_exit", "scrub",
        "check_signal", "check_every",     "check_at",           "stale"};
    if (strncmp(row->key, "use_", 4) == 0)
        return true;
    for (unsigned i = 0; i < CRN_COUNT_OF(keys); i++)
        if (strcmp(keys[i], row->key) == 0)
            return true;
    return false;
}

/* Whether `key` is one of the words of `keys`. */
static bool is_among(const char *key, const char *keys)
{
    size_t length = strlen(key);
    for (const char *at = keys; (at = strstr(at, key)) != NULL; at += length)
        if ((at == keys || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0))
            return true;
    return false;
}

/* Whether it says how a running process may be asked: commands that do so name it. */
static bool is_of_asking(const struct crn_option_row *row)
{
    return strcmp(row->key, "max_pause") == 0;
}

bool crn_option_is_of(const struct crn_option_row *row, const struct crn_command *command)
{
    return command != NULL && command->options != NULL ? is_among(row->key, command->options)
                                                       : !is_of_asking(row);
}

static void option_help(const struct crn_option_row *row, const char *fallback)
{
    enum { COLUMN = 28 };
    char name[CRN_OPTION_NAME_BYTES], left[64];
    char letter[8] = "    ";
    if (*row->help == 0)
        return;
    crn_option_long_name(row, name);
    if (crn_option_letter(row) != 0)
        snprintf(letter, sizeof letter, "-%c, ", crn_option_letter(row));
    snprintf(left, sizeof left, "  %s--%s%s%s", letter, name, *row->argument != 0 ? " " : "",
             row->argument);
    printf("%-*s  %s", COLUMN, left, row->help);
    if (!crn_option_is_flag(row) && *fallback != 0)
        printf(" [%s]", fallback);
    putchar('\n');
}

/* For one command, or for all of them (NULL). */
static void options_help(const struct crn_command *command)
{
    bool only_renders = command != NULL && command->only_renders;
    printf("Options, with defaults in brackets:\n");
    for (unsigned i = 0; i < crn_option_rows_count; i++) {
        const struct crn_option_row *row = &crn_option_rows[i];
        if (!crn_option_is_of(row, command))
            continue;
        if (!only_renders || command->options != NULL)
            option_help(row, row->fallback);
        else if (!is_of_run(row)) /* rendering is no verdict, unless one is asked for */
            option_help(row, strcmp(row->key, "error_exitcode") == 0 ? "0" : row->fallback);
    }
    printf("  -h, --help                  Show this help.\n");
}

void crn_help_command(const struct crn_command *command)
{
    printf("Usage: coroner %s [OPTIONS] %s\n%s\n\n", command->name, command->operands,
           command->summary);
    options_help(command);
    if (!command->only_renders)
        printf("\nThe same options, dashes as underscores, steer a plain preload:\n"
               "  LD_PRELOAD=libcoroner.so CORONER_OPTIONS=format=json:output=report.json "
               "./program\n");
}

void crn_help(const struct crn_command *commands)
{
    printf("coroner " CORONER_VERSION ": finds memory that dead coroutines hold, and leaks.\n\n"
           "Usage:\n");
    for (const struct crn_command *command = commands; command->name != NULL; command++)
        printf("  coroner %-6s [OPTIONS] %-24s %s\n", command->name, command->operands,
               command->summary);
    printf("  coroner --help | --version\n\n");
    options_help(NULL);
    printf(
        "\n`coroner report --help` lists those that rendering heeds, `coroner check --help` those\n"
        "of asking.\n");
}
