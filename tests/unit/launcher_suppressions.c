/*
 * Suppressions: what a pattern matches, what a file may hold, and how mistakes are told.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report/pattern.h"
#include "report/suppressions.h"

Test(pattern, matches_anywhere_unless_tied)
{
    cr_assert(crn_pattern_matches("make", "remake_it"));
    cr_assert(crn_pattern_matches("^make", "make_it"));
    cr_assert(!crn_pattern_matches("^make", "remake"));
    cr_assert(crn_pattern_matches("make$", "remake"));
    cr_assert(!crn_pattern_matches("make$", "make_it"));
    cr_assert(crn_pattern_matches("^make$", "make"));
    cr_assert(!crn_pattern_matches("^make$", "makes"));
    cr_assert(!crn_pattern_matches("made", "make"));
}

Test(pattern, a_star_stands_for_any_characters)
{
    cr_assert(crn_pattern_matches("a*c", "xabcx"));
    cr_assert(crn_pattern_matches("a*c", "ac"));
    cr_assert(!crn_pattern_matches("a*c", "ca"));
    cr_assert(crn_pattern_matches("^a*c$", "abcabc"));
    cr_assert(!crn_pattern_matches("^a*c$", "abcab"));
    cr_assert(crn_pattern_matches("^make_*$", "make_"));
    cr_assert(crn_pattern_matches("^*make", "remake"));
    cr_assert(crn_pattern_matches("make*$", "remake_it"));
    cr_assert(crn_pattern_matches("*", "x"));
    cr_assert(crn_pattern_matches("a**b", "a-b"));
}

Test(pattern, a_tied_end_takes_the_last_place)
{
    cr_assert(crn_pattern_matches("ab$", "abab"));
    cr_assert(crn_pattern_matches("a*ab$", "a_ab_ab"));
    cr_assert(!crn_pattern_matches("^ab*ab$", "ab"));
}

Test(pattern, nothing_matches_no_text)
{
    cr_assert(!crn_pattern_matches("*", ""));
    cr_assert(!crn_pattern_matches("*", NULL));
    cr_assert(!crn_pattern_matches("^$", "x"));
}

static char path[] = "/tmp/coroner-suppressions-XXXXXX";
static char message[256];
static struct crn_suppressions *suppressions;

static void setup(void)
{
    close(mkstemp(path));
    suppressions = crn_suppressions_create();
}

static void teardown(void)
{
    crn_suppressions_destroy(suppressions);
    unlink(path);
}

TestSuite(suppressions, .init = setup, .fini = teardown);

static enum crn_status read_text(const char *text)
{
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    return crn_suppressions_read(suppressions, path, message, sizeof message);
}

Test(suppressions, a_file_holds_one_a_line)
{
    cr_assert_eq(read_text("# what we know\n\n  leak:first  \r\nchain:^second$\ncoroutine:third"),
                 CRN_OK, "%s", message);
    cr_assert(crn_suppressions_match(suppressions, CRN_SUPPRESS_LEAK, "the_first_one"));
    cr_assert(!crn_suppressions_match(suppressions, CRN_SUPPRESS_LEAK, "second"));
    cr_assert(crn_suppressions_match(suppressions, CRN_SUPPRESS_CHAIN, "second"));
    cr_assert(!crn_suppressions_match(suppressions, CRN_SUPPRESS_CHAIN, "seconds"));
    cr_assert(crn_suppressions_match(suppressions, CRN_SUPPRESS_COROUTINE, "third"));
    cr_assert(!crn_suppressions_match(suppressions, CRN_SUPPRESS_COROUTINE, NULL));
}

Test(suppressions, several_files_add_up)
{
    cr_assert_eq(read_text("leak:first"), CRN_OK);
    cr_assert_eq(read_text("leak:second"), CRN_OK);
    cr_assert(crn_suppressions_match(suppressions, CRN_SUPPRESS_LEAK, "first"));
    cr_assert(crn_suppressions_match(suppressions, CRN_SUPPRESS_LEAK, "second"));
}

Test(suppressions, a_bad_line_is_named)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%s:3: 'race:x'", path);
    cr_assert_eq(read_text("leak:a\n\nrace:x\n"), CRN_ERR_INVALID);
    cr_assert_eq(strncmp(message, wanted, strlen(wanted)), 0, "%s", message);
    cr_assert_null(strchr(message, '\n'));
    cr_assert_eq(read_text("leak:"), CRN_ERR_INVALID);
    cr_assert_eq(read_text("leak:^$"), CRN_ERR_INVALID);
    cr_assert_eq(read_text("something"), CRN_ERR_INVALID);
}

Test(suppressions, an_unreadable_file_is_named)
{
    cr_assert_eq(crn_suppressions_read(suppressions, "/no/such", message, sizeof message),
                 CRN_ERR_SYSTEM);
    cr_assert(strstr(message, "/no/such") != NULL);
    cr_assert_eq(crn_suppressions_read(suppressions, "/tmp", message, sizeof message),
                 CRN_ERR_SYSTEM);
}

Test(suppressions, the_built_in_list_matches_one_function_an_entry)
{
    cr_assert(crn_suppressions_match(suppressions, CRN_SUPPRESS_BUILTIN, "__tls_get_addr"));
    cr_assert(!crn_suppressions_match(suppressions, CRN_SUPPRESS_BUILTIN, "my__tls_get_addr"));
    cr_assert(!crn_suppressions_match(suppressions, CRN_SUPPRESS_LEAK, "__tls_get_addr"));
}
