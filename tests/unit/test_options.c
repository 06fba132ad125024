/*
 * LeakSanitizer's options: how they are written, what they mean here, and who overrides whom.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "options/lsan.h"

static struct crn_options options;
static unsigned warnings;
static char text[512], own_text[512];

static void warn(const char *message, void *user)
{
    (void)user;
    cr_assert(strchr(message, '\n') == NULL);
    warnings++;
}

static void begin(void)
{
    crn_options_init(&options);
    warnings = 0;
}

static void read_lsan(const char *given)
{
    crn_lsan_options_parse(&options, strcpy(text, given), CRN_SOURCE_LSAN, warn, NULL);
}

static void read_own(const char *given)
{
    crn_options_parse(&options, strcpy(own_text, given), warn, NULL);
}

TestSuite(options, .init = begin);

Test(options, every_separator_of_lsan_is_understood)
{
    read_lsan(" max_leaks=3:exitcode=4,report_objects=1\nuse_tls=0\tmalloc_context_size=5  ");
    cr_assert_eq(options.max_leaks, 3);
    cr_assert_eq(options.error_exitcode, 4);
    cr_assert(options.report_objects);
    cr_assert(!options.use_tls);
    cr_assert_eq(options.malloc_context_size, 5);
    cr_assert_eq(warnings, 0);
}

Test(options, a_quoted_value_may_hold_separators)
{
    read_lsan("suppressions='a b:c':max_leaks=2:log_path=\"x,y\"");
    cr_assert_eq(options.suppressions_count, 1);
    cr_assert_str_eq(options.suppressions[0], "a b:c");
    cr_assert_str_eq(options.output, "x,y.%p");
    cr_assert_eq(options.max_leaks, 2);
}

Test(options, names_that_only_lsan_knows_say_nothing)
{
    read_lsan("fast_unwind_on_malloc=0:symbolize=1:nobody_knows:=:verbosity=-1:x=");
    cr_assert_eq(warnings, 0);
}

Test(options, a_bad_value_is_one_warning_and_changes_nothing)
{
    read_lsan("exitcode=300:max_leaks=-1:use_tls=perhaps:verbosity=loud:detect_leaks:exitcode=");
    cr_assert_eq(warnings, 6);
    cr_assert_eq(options.error_exitcode, 23);
    cr_assert_eq(options.max_leaks, 0);
    cr_assert(options.use_tls);
    cr_assert(options.detect_leaks);
}

Test(options, the_names_of_streams_are_no_files)
{
    read_lsan("log_path=stderr");
    cr_assert_str_eq(options.output, "");
    read_lsan("log_path=stdout");
    cr_assert_str_eq(options.output, "/dev/stdout");
}

Test(options, own_options_override_key_by_key)
{
    read_lsan("exitcode=4:max_leaks=3");
    read_own("error_exitcode=5");
    cr_assert_eq(options.error_exitcode, 5);
    cr_assert_eq(options.max_leaks, 3);
    read_lsan("exitcode=6:max_leaks=7"); /* whatever comes first */
    cr_assert_eq(options.error_exitcode, 5);
    cr_assert_eq(options.max_leaks, 7);
}

Test(options, what_the_program_answers_is_weakest)
{
    char answer[] = "exitcode=1:max_leaks=1:use_stacks=0";
    read_lsan("exitcode=2");
    read_own("max_leaks=3");
    crn_lsan_options_parse(&options, answer, CRN_SOURCE_PROGRAM, warn, NULL);
    cr_assert_eq(options.error_exitcode, 2);
    cr_assert_eq(options.max_leaks, 3);
    cr_assert(!options.use_stacks);
}

Test(options, lists_of_suppressions_add_up_only_among_equals)
{
    read_lsan("suppressions=theirs");
    read_own("suppressions=a:suppressions=b");
    cr_assert_eq(options.suppressions_count, 2);
    cr_assert_str_eq(options.suppressions[0], "a");
    cr_assert_str_eq(options.suppressions[1], "b");
}

Test(options, every_row_has_a_default_of_its_type)
{
    for (unsigned i = 0; i < crn_option_rows_count; i++)
        cr_assert_eq(options.sources[i], CRN_SOURCE_DEFAULT, "%s", crn_option_rows[i].key);
    cr_assert(options.detect_leaks && options.leak_check_at_exit && options.use_globals);
    cr_assert(!options.use_unaligned && !options.report_objects && !options.quiet);
}

Test(options, bad_frees_abort_unless_they_are_to_be_reported_or_ignored)
{
    cr_assert_eq(options.on_bad_free, CRN_BAD_FREE_ABORT);
    read_own("on_bad_free=report");
    cr_assert_eq(options.on_bad_free, CRN_BAD_FREE_REPORT);
    read_own("on_bad_free=ignore");
    cr_assert_eq(options.on_bad_free, CRN_BAD_FREE_IGNORE);
    read_own("on_bad_free=abort");
    cr_assert_eq(options.on_bad_free, CRN_BAD_FREE_ABORT);
}

Test(options, stacks_are_full_sampled_or_off)
{
    cr_assert_eq(options.stacks, CRN_STACKS_FULL);
    read_own("stacks=off");
    cr_assert_eq(options.stacks, CRN_STACKS_OFF);
    read_own("stacks=sampled");
    cr_assert_eq(options.stacks, CRN_STACKS_SAMPLED);
    cr_assert_eq(options.sample_bytes, 512u << 10);
    read_own("stacks=sampled=100:error_exitcode=5");
    cr_assert_eq(options.sample_bytes, 100u);
    cr_assert_eq(options.error_exitcode, 5);
    read_own("stacks=sampled=2M");
    cr_assert_eq(options.sample_bytes, 2u << 20);
    read_own("stacks=sampled=64g");
    cr_assert_eq(options.sample_bytes, (uint64_t)64 << 30);
    cr_assert_eq(warnings, 0);
}

Test(options, a_distance_that_is_none_is_one_warning_and_changes_nothing)
{
    static const char *const bad[] = {"sampled=0",  "sampled=",    "sampled=k",   "sampled=-1",
                                      "sampled=1x", "sampled=65g", "sampled=1kk", "sampled 1",
                                      "sampledx",   "sampled=99999999999999999999"};
    read_own("stacks=sampled=7");
    for (unsigned i = 0; i < CRN_COUNT_OF(bad); i++) {
        char given[64];
        snprintf(given, sizeof given, "stacks=%s", bad[i]);
        read_own(given);
        cr_assert_eq(warnings, i + 1, "%s", bad[i]);
        cr_assert(options.stacks == CRN_STACKS_SAMPLED && options.sample_bytes == 7);
    }
}

Test(options, scrubbing_needs_no_word_and_takes_three)
{
    cr_assert_eq(options.scrub, CRN_SCRUB_SMALL);
    read_own("scrub");
    cr_assert_eq(options.scrub, CRN_SCRUB_ALL);
    read_own("scrub=no");
    cr_assert_eq(options.scrub, CRN_SCRUB_NO);
    read_own("scrub=small");
    cr_assert_eq(options.scrub, CRN_SCRUB_SMALL);
    read_own("scrub=large");
    cr_assert_eq(options.scrub, CRN_SCRUB_SMALL);
    cr_assert_eq(warnings, 1);
}
