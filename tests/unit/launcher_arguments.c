/*
 * The command line: options from the table, in every spelling, and mistakes that cost one line.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>

#include <string.h>

#include "shim/launcher/arguments.h"
#include "shim/launcher/output.h"

enum { ARGUMENTS_MAX = 16 };

static struct crn_arguments arguments;

/* Reads "run" and what follows it, up to a NULL. */
#define READ(rule, ...) read_words(rule, (char *[ARGUMENTS_MAX]){(char *)"run", __VA_ARGS__, NULL})

static int read_words(enum crn_arguments_rule rule, char **argv)
{
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    crn_options_init(&arguments.options);
    return crn_arguments_read(&arguments, &crn_commands[0], rule, argc, argv);
}

Test(arguments, every_spelling_of_a_value_is_read)
{
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "--format=json", "x"), -1);
    cr_assert_str_eq(arguments.options.format, "json");
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "--format", "json", "x"), -1);
    cr_assert_str_eq(arguments.options.format, "json");
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "-f", "json", "x"), -1);
    cr_assert_str_eq(arguments.options.format, "json");
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "-fjson", "-o", "out", "x"), -1);
    cr_assert_str_eq(arguments.options.format, "json");
    cr_assert_str_eq(arguments.options.output, "out");
}

Test(arguments, the_defaults_are_those_of_the_contract)
{
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "x"), -1);
    cr_assert_str_eq(arguments.options.format, "text");
    cr_assert_str_eq(arguments.options.output, "");
    cr_assert_eq(arguments.options.stacks, CRN_STACKS_FULL);
    cr_assert_eq(arguments.options.error_exitcode, 23u);
    cr_assert(!arguments.options.strict);
    cr_assert(arguments.options.follow_children);
    cr_assert(!arguments.options.coroutines);
}

Test(arguments, options_of_the_program_are_left_alone)
{
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "--strict", "prog", "--format=json"), -1);
    cr_assert(arguments.options.strict);
    cr_assert_eq(arguments.first_operand, 2);
    cr_assert_str_eq(arguments.options.format, "text");
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "--", "--strict"), -1);
    cr_assert_eq(arguments.first_operand, 2);
    cr_assert(!arguments.options.strict);
}

Test(arguments, options_may_follow_recordings)
{
    cr_assert_eq(READ(CRN_OPERANDS_ANYWHERE, "file", "--format=json"), -1);
    cr_assert_str_eq(arguments.options.format, "json");
    cr_assert_eq(arguments.first_operand, 2);
}

Test(arguments, suppressions_add_up)
{
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "--suppressions=a", "--suppressions", "b", "x"), -1);
    cr_assert_eq(arguments.options.suppressions_count, 2u);
    cr_assert_str_eq(arguments.options.suppressions[1], "b");
}

Test(arguments, mistakes_are_status_2)
{
    cr_redirect_stderr();
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "--formal=json", "x"), CRN_EXIT_USAGE);
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "--format=html", "x"), CRN_EXIT_USAGE);
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "--error-exitcode=256", "x"), CRN_EXIT_USAGE);
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "--error-exitcode=-1", "x"), CRN_EXIT_USAGE);
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "--follow-children=perhaps", "x"), CRN_EXIT_USAGE);
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "--strict=yes", "x"), CRN_EXIT_USAGE);
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "--output"), CRN_EXIT_USAGE);
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "-z", "x"), CRN_EXIT_USAGE);
}

Test(arguments, help_is_status_0)
{
    cr_redirect_stdout();
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "--help"), 0);
    cr_assert_eq(READ(CRN_OPERANDS_LAST, "-h"), 0);
}

Test(output, the_pid_takes_the_place_of_its_sign)
{
    char *path = crn_path_expand("a%p/b%%p%.%n", 42, 7);
    cr_assert_str_eq(path, "a42/b%42%.7");
    free(path);
}
