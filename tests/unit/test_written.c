/*
 * Which pages a forked child wrote.
 */
#include "base/pages.h"
#include "base/written.h"

#include <criterion/criterion.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGES = 64 };
static char *memory;

static void memory_make(void)
{
    memory = mmap(NULL, PAGES * CRN_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                  -1, 0);
    for (unsigned i = 0; i < PAGES - 1; i++) /* the last one is never touched */
        memory[i * CRN_PAGE_BYTES] = 1;
}

/* Which of the pages are in runs, a bit for each. */
static void run_note(uintptr_t start, uintptr_t end, void *user)
{
    for (uintptr_t at = start; at < end; at += CRN_PAGE_BYTES)
        *(uint64_t *)user |= (uint64_t)1 << ((at - (uintptr_t)memory) >> CRN_PAGE_SHIFT);
}

static uint64_t pages_seen(void)
{
    uint64_t seen = 0;
    crn_pages_open();
    if (!crn_pages_leave_out_inherited(true))
        return ~(uint64_t)0;
    crn_pages_for_each((uintptr_t)memory, (uintptr_t)memory + PAGES * CRN_PAGE_BYTES, false,
                       run_note, &seen);
    crn_pages_close();
    return seen;
}

/* What a forked child answers, who has been told that it is one. */
static int child_ask(int (*ask)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        crn_written_after_fork();
        _exit(ask());
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int is_told(void)
{
    return crn_written_is_told();
}

Test(written, a_process_that_was_not_forked_cannot_tell)
{
    cr_assert_not(crn_written_is_told());
}

Test(written, a_forked_child_can)
{
    cr_assert_eq(child_ask(is_told), 1);
}

static int is_told_with_child(void)
{
    int ends[2];
    char byte;
    if (pipe(ends) != 0)
        return 9;
    pid_t child = fork();
    if (child == 0) {
        crn_written_after_fork();
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) != 0);
    }
    bool is_told_meanwhile = crn_written_is_told();
    close(ends[1]);
    close(ends[0]);
    waitpid(child, NULL, 0);
    return is_told_meanwhile * 2 + crn_written_is_told();
}

Test(written, not_while_it_has_a_child_itself)
{
    cr_assert_eq(child_ask(is_told_with_child), 1);
}

static int generations(void)
{
    return crn_written_is_told() ? 1 + child_ask(generations) : 0;
}

Test(written, as_far_as_there_are_canaries)
{
    cr_assert_eq(child_ask(generations), 63);
}

static int has_seen_what_it_wrote(void)
{
    const uint64_t wrote = (uint64_t)1 << 3 | (uint64_t)1 << 4 | (uint64_t)1 << 40;
    memory[3 * CRN_PAGE_BYTES + 100] = 2;
    memory[5 * CRN_PAGE_BYTES - 1] = 2;
    memory[40 * CRN_PAGE_BYTES] = 1; /* what it says already */
    return pages_seen() == wrote;
}

Test(written, is_what_a_child_wrote, .init = memory_make)
{
    cr_assert_eq(child_ask(has_seen_what_it_wrote), 1);
}

static int has_seen_what_came(void)
{
    memory[(PAGES - 1) * CRN_PAGE_BYTES] = 1;
    return pages_seen() == (uint64_t)1 << (PAGES - 1);
}

Test(written, what_came_later_is_its_own, .init = memory_make)
{
    cr_assert_eq(child_ask(has_seen_what_came), 1);
}
