/*
 * Which pages have contents, as each way of asking the kernel tells it, and copies of what must not
 * be touched.
 */
#include <criterion/criterion.h>

#include "base/pages.h"
#include "base/sys.h"
#include "base/vm.h"

#include <sys/mman.h>
#include <unistd.h>

enum { PAGES = 16, BYTES = PAGES * CRN_PAGE_BYTES, GUARD_INSTALL = 102 };

static char *memory;

static void setup(void)
{
    memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(memory != MAP_FAILED);
}

static void teardown(void)
{
    crn_pages_leave_out(0);
    crn_pages_beware(false);
    crn_pages_close();
    munmap(memory, BYTES);
}

TestSuite(pages, .init = setup, .fini = teardown);

static char *page(unsigned number)
{
    return memory + number * CRN_PAGE_BYTES;
}

/* A letter a page: '.' for those without contents. */
static char map[PAGES + 1];

static void map_visit(uintptr_t start, uintptr_t end, void *user)
{
    (void)user;
    for (; start < end; start += CRN_PAGE_BYTES)
        map[(start - (uintptr_t)memory) / CRN_PAGE_BYTES] = 'x';
}

static void map_run_visit(uintptr_t start, uintptr_t end, unsigned flags, void *user)
{
    if (flags != 0)
        map_visit(start, end, user);
}

static void assert_contents(const char *expected)
{
    static const unsigned ways[] = {0, 1, 3};
    for (unsigned i = 0; i < CRN_COUNT_OF(ways); i++) {
        crn_pages_leave_out(ways[i]);
        memset(map, '.', PAGES);
        crn_pages_for_each((uintptr_t)memory, (uintptr_t)memory + BYTES, false, map_visit, NULL);
        cr_assert_str_eq(map, expected, "way %u: %s", i, map);
    }
    crn_pages_leave_out(0);
}

Test(pages, what_was_never_touched_has_no_contents)
{
    assert_contents("................");
    *page(0) = *page(3) = *page(4) = *page(15) = 1;
    assert_contents("x..xx..........x");
}

Test(pages, a_page_without_access_keeps_its_contents)
{
    *page(2) = 1;
    cr_assert(mprotect(page(1), 3 * CRN_PAGE_BYTES, PROT_NONE) == 0);
    assert_contents("..x.............");
}

Test(pages, a_guard_page_has_none)
{
    memset(memory, 1, BYTES);
    if (madvise(page(5), CRN_PAGE_BYTES, GUARD_INSTALL) != 0)
        cr_skip_test("this kernel has no MADV_GUARD_INSTALL");
    assert_contents("xxxxx.xxxxxxxxxx");
}

Test(pages, when_nothing_answers_all_of_a_range_counts)
{
    crn_pages_leave_out(7);
    memset(map, '.', PAGES);
    crn_pages_for_each((uintptr_t)memory, (uintptr_t)memory + BYTES, false, map_visit, NULL);
    cr_assert_str_eq(map, "xxxxxxxxxxxxxxxx");
    /* But of a file nothing does: whole files would. */
    memset(map, '.', PAGES);
    crn_pages_for_each((uintptr_t)memory, (uintptr_t)memory + BYTES, true, map_visit, NULL);
    cr_assert_str_eq(map, "................");
}

static void bytes_add(uintptr_t start, uintptr_t end, void *user)
{
    *(uint64_t *)user += end - start;
}

Test(pages, a_part_of_a_page_is_not_widened)
{
    uintptr_t start = (uintptr_t)memory + 24, end = (uintptr_t)memory + CRN_PAGE_BYTES + 100;
    uint64_t bytes = 0;
    *page(0) = *page(1) = 1;
    crn_pages_for_each(start, end, false, bytes_add, &bytes);
    cr_assert_eq(bytes, end - start);
}

Test(pages, shared_memory_written_elsewhere_is_cached_and_not_in_the_page_table)
{
    int fd = memfd_create("pages", 0);
    char word[8] = "written";
    cr_assert(fd >= 0 && ftruncate(fd, BYTES) == 0);
    cr_assert(mmap(memory, BYTES, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == memory);
    cr_assert(pwrite(fd, word, sizeof word, 6 * CRN_PAGE_BYTES) == sizeof word);
    close(fd);
    memset(map, '.', PAGES);
    crn_pages_runs((uintptr_t)memory, (uintptr_t)memory + BYTES, map_run_visit, NULL);
    cr_assert_str_eq(map, "................");
    cr_assert(crn_pages_cached((uintptr_t)memory, (uintptr_t)memory + BYTES, map_run_visit, NULL));
    cr_assert_str_eq(map, "......x.........");
}

Test(pages, what_the_program_has_no_access_to_is_copied_by_force_only)
{
    char copy[2 * CRN_PAGE_BYTES];
    strcpy(page(1), "hidden");
    cr_assert(mprotect(page(1), CRN_PAGE_BYTES, PROT_NONE) == 0);
    cr_assert_eq(crn_pages_copy(copy, (uintptr_t)memory, sizeof copy, false), CRN_PAGE_BYTES);
    if (crn_pages_copy(copy, (uintptr_t)memory, sizeof copy, true) != sizeof copy)
        cr_skip_test("this kernel lets nobody read such a page");
    cr_assert_str_eq(copy + CRN_PAGE_BYTES, "hidden");
}

Test(pages, what_is_not_mapped_is_not_copied)
{
    char copy[2 * CRN_PAGE_BYTES];
    *page(0) = 7;
    cr_assert(munmap(page(1), CRN_PAGE_BYTES) == 0);
    cr_assert_eq(crn_pages_copy(copy, (uintptr_t)memory, sizeof copy, true), CRN_PAGE_BYTES);
    cr_assert_eq(copy[0], 7);
}

Test(pages, where_pages_may_be_waited_for_only_those_there_are_read)
{
    char byte;
    *page(0) = 7;
    cr_assert(crn_memory_read(&byte, (uintptr_t)page(1), 1));
    cr_assert(madvise(page(1), CRN_PAGE_BYTES, MADV_DONTNEED) == 0);
    crn_pages_beware(true);
    cr_assert(crn_memory_read(&byte, (uintptr_t)page(0), 1) && byte == 7);
    cr_assert_not(crn_memory_read(&byte, (uintptr_t)page(1), 1));
    cr_assert_not(crn_memory_read(&byte, (uintptr_t)page(0) + CRN_PAGE_BYTES - 1, 2));
}

Test(pages, what_stands_still_is_asked_for_once)
{
    const size_t window = (size_t)1 << 20;
    munmap(memory, BYTES);
    memory = mmap(NULL, 2 * window, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(memory != MAP_FAILED);
    memory = (char *)crn_align_up((uintptr_t)memory, window);
    memset(page(2), 1, 3 * CRN_PAGE_BYTES);
    crn_pages_stand_still();
    memset(map, '.', PAGES);
    crn_pages_runs((uintptr_t)page(0), (uintptr_t)page(4), map_run_visit, NULL);
    cr_assert_str_eq(map, "..xx............");
    memset(page(8), 1, CRN_PAGE_BYTES);
    memset(map, '.', PAGES);
    crn_pages_runs((uintptr_t)page(1), (uintptr_t)page(PAGES), map_run_visit, NULL);
    cr_assert_str_eq(map, "..xxx...........");
}
