/*
 * The line that tells how far a report has come.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "shim/launcher/progress.h"

static const uint64_t SECOND = 1000000000;

static struct crn_progress progress;
static char *said;
static size_t said_count;

static void setup(void)
{
    progress = (struct crn_progress){.file = open_memstream(&said, &said_count),
                                     .began_ns = 5 * SECOND};
}

static void teardown(void)
{
    fclose(progress.file);
    free(said);
}

TestSuite(progress, .init = setup, .fini = teardown);

static const char *what_was_said(void)
{
    fflush(progress.file);
    return said;
}

Test(progress, what_is_quick_says_nothing)
{
    crn_progress_step(&progress, "naming", 1, 2, 5 * SECOND);
    crn_progress_step(&progress, "naming", 1, 2, 7 * SECOND - 1);
    crn_progress_clear(&progress);
    cr_assert_str_eq(what_was_said(), "");
}

Test(progress, what_is_slow_is_one_line_rewritten_and_taken_away)
{
    crn_progress_step(&progress, "naming", 1, 4, 7 * SECOND);
    crn_progress_step(&progress, "naming", 2, 4, 7 * SECOND + SECOND / 10); /* too soon */
    crn_progress_step(&progress, "naming", 3, 4, 8 * SECOND);
    crn_progress_clear(&progress);
    crn_progress_clear(&progress);
    cr_assert_str_eq(what_was_said(), "\r\033[Kcoroner: naming, 25 %\r\033[Kcoroner: naming, 75 %"
                                      "\r\033[K");
}

Test(progress, odd_numbers_are_no_odd_words)
{
    crn_progress_step(&progress, "naming", 0, 0, 8 * SECOND);
    cr_assert_str_eq(what_was_said(), "\r\033[Kcoroner: naming, 100 %");
    crn_progress_step(&progress, "naming", UINT64_MAX, 1, 9 * SECOND);
    cr_assert_str_eq(what_was_said() + said_count - 5, "100 %");
}
