/*
 * A glance tells what matters of a recording without reading all of it, and believes nothing.
 */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <unistd.h>

#include "make_recording.h"
#include "record/reader_glance.h"

enum { LEAKS = 50 };

static char path[] = "/tmp/coroner-glance-XXXXXX";
static struct maker maker;
static struct crn_record_glance glance;

static void setup(void)
{
    close(mkstemp(path));
}

static void teardown(void)
{
    free(maker.bytes);
    unlink(path);
}

TestSuite(glance, .init = setup, .fini = teardown);

static bool look(void)
{
    maker_write(&maker, path);
    int fd = open(path, O_RDONLY);
    bool is_seen = crn_record_glance(fd, &glance);
    close(fd);
    return is_seen;
}

static void make(const char *exe, enum crn_confidence confidence)
{
    maker_init(&maker);
    maker.process.exe = maker_string(&maker, exe);
    for (unsigned i = 0; i < LEAKS; i++)
        maker_leak(&maker, CRN_VERDICT_LOST, 1, 64)->confidence =
            i + 1 < LEAKS ? CRN_LIKELY : confidence;
    maker_finish(&maker);
}

Test(glance, the_last_of_many_leaks_is_seen)
{
    make("/usr/bin/one", CRN_PROVEN);
    cr_assert(look());
    cr_assert_eq(glance.pid, 4711u);
    cr_assert_str_eq(glance.name, "one");
    cr_assert(glance.has_proven_leak && glance.has_news);
}

Test(glance, what_is_only_likely_is_news_and_no_proof)
{
    make("/usr/bin/one", CRN_LIKELY);
    cr_assert(look());
    cr_assert(glance.has_news && !glance.has_proven_leak);
}

Test(glance, a_name_is_fit_for_a_file)
{
    make("/tmp/a b\n'\x1b[1m", CRN_LIKELY);
    cr_assert(look());
    cr_assert_str_eq(glance.name, "a_b____1m");
}

Test(glance, what_is_cut_off_or_points_outside_is_refused)
{
    make("/usr/bin/one", CRN_PROVEN);
    struct crn_record_header *header = (void *)maker.bytes;
    header->sections[CRN_SECTION_LEAKS].count = UINT64_MAX / 2;
    cr_assert_not(look());
    header->sections[CRN_SECTION_LEAKS].count = LEAKS;
    header->sections[CRN_SECTION_LEAKS].offset = UINT64_MAX - 8;
    cr_assert_not(look());
    maker.bytes_count = sizeof *header - 1;
    cr_assert_not(look());
    maker.bytes_count = 0;
    cr_assert_not(look());
}
