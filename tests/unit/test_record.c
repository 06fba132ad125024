/*
 * What the target drafts and writes, the launcher reads whole.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/draft.h"
#include "record/reader.h"
#include "stack/tree.h"

static char directory[64], path[96], message[256];
static struct crn_draft draft;
static struct crn_recording recording;

static void setup(void)
{
    strcpy(directory, "/tmp/coroner-record-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/one.crn", directory);
    cr_assert(crn_tree_init(&crn_tree, (size_t)1 << 32) == CRN_OK);
    crn_draft_init(&draft);
}

static void teardown(void)
{
    crn_record_close(&recording);
    crn_draft_free(&draft);
    chmod(directory, 0700);
    unlink(path);
    rmdir(directory);
}

TestSuite(record, .init = setup, .fini = teardown);

static void write_and_open(void)
{
    cr_assert_eq(crn_draft_write(&draft, AT_FDCWD, path), 0);
    crn_record_close(&recording);
    enum crn_status status = crn_record_open(path, &recording, message, sizeof message);
    cr_assert(status == CRN_OK, "%s", message);
}

/* A stack in the tree: return addresses first, first + 1, ... from the outside. */
static uint32_t stack_make(uint64_t first, unsigned depth)
{
    uint32_t node = 0;
    for (unsigned i = 0; i < depth; i++)
        node = crn_tree_intern(&crn_tree, node, first + i);
    return node;
}

/* Does this row read as the `depth` innermost frames of such a stack? */
static bool row_is(uint32_t row, uint64_t innermost, unsigned depth)
{
    for (; depth > 0; depth--, innermost--) {
        if (recording.nodes[row].pc != innermost || recording.nodes[row].parent >= row)
            return false;
        row = recording.nodes[row].parent;
    }
    return row == 0;
}

Test(record, an_empty_draft_is_a_whole_recording)
{
    write_and_open();
    cr_assert(recording.counts[CRN_SECTION_PROCESS] == 1 &&
              recording.counts[CRN_SECTION_NODES] == 1 && recording.counts[CRN_SECTION_LEAKS] == 0);
    cr_assert_str_empty(crn_record_text(&recording, 0));
}

Test(record, everything_drafted_is_read_back)
{
    draft.process = (struct crn_record_process){.pid = 12,
                                                .parent_pid = 3,
                                                .flags = CRN_PROCESS_CHECKED,
                                                .exit_code = -1,
                                                .live_blocks = 99,
                                                .exe = crn_draft_string(&draft, "/bin/true")};
    uint32_t stack = crn_draft_node(&draft, stack_make(0x1000, 5));
    uint32_t coro =
        crn_draft_coro(&draft, &(struct crn_record_coro){.id = 7,
                                                         .mechanism = CRN_MECHANISM_UCONTEXT,
                                                         .state = CRN_CORO_ABANDONED,
                                                         .count = 2,
                                                         .created_node = stack});
    uint32_t link =
        crn_draft_link(&draft, &(struct crn_record_link){.kind = CRN_LINK_CORO, .coro = coro + 1});
    crn_draft_leak(&draft,
                   &(struct crn_record_leak){.verdict = CRN_VERDICT_ABANDONED,
                                             .confidence = CRN_PROVEN,
                                             .why = crn_draft_string(&draft, "nothing leads to it"),
                                             .alloc_node = stack,
                                             .coro = coro + 1,
                                             .first_link = link,
                                             .link_count = 1,
                                             .blocks = 3,
                                             .bytes = 300});
    crn_draft_warning(&draft, "thread %d did not stop", 4711);
    write_and_open();
    cr_assert(recording.process->pid == 12 && recording.process->live_blocks == 99);
    cr_assert_str_eq(crn_record_text(&recording, recording.process->exe), "/bin/true");
    cr_assert(recording.coros[0].id == 7 && recording.coros[0].count == 2);
    cr_assert(recording.leaks[0].bytes == 300 && recording.leaks[0].link_count == 1);
    cr_assert(row_is(recording.leaks[0].alloc_node, 0x1004, 5));
    cr_assert_str_eq(crn_record_text(&recording, recording.leaks[0].why), "nothing leads to it");
    cr_assert_str_eq(crn_record_text(&recording, recording.warnings[0]),
                     "thread 4711 did not stop");
}

Test(record, stacks_that_share_callers_share_rows_and_parents_come_first)
{
    enum { STACKS = 3000 };
    static uint32_t rows[STACKS];
    uint32_t trunk = stack_make(0x1000, 10);
    for (unsigned i = 0; i < STACKS; i++)
        rows[i] = crn_draft_node(&draft, crn_tree_intern(&crn_tree, trunk, 0x9000 + i));
    for (unsigned i = 0; i < STACKS; i++) /* again, and nothing is new */
        cr_assert_eq(rows[i],
                     crn_draft_node(&draft, crn_tree_intern(&crn_tree, trunk, 0x9000 + i)));
    write_and_open();
    cr_assert_eq(recording.counts[CRN_SECTION_NODES], 1 + 10 + STACKS);
    for (unsigned i = 0; i < STACKS; i++) {
        cr_assert_eq(recording.nodes[rows[i]].pc, 0x9000 + i);
        cr_assert(row_is(recording.nodes[rows[i]].parent, 0x1009, 10));
    }
}

Test(record, an_unknown_stack_is_row_0)
{
    cr_assert_eq(crn_draft_node(&draft, 0), 0);
    cr_assert_eq(draft.sections[CRN_SECTION_NODES].count, 1);
}

Test(record, a_very_deep_stack_keeps_its_inner_frames)
{
    uint32_t row = crn_draft_node(&draft, stack_make(0x1000, 5000));
    write_and_open();
    cr_assert(recording.counts[CRN_SECTION_NODES] > 100 && row != 0);
    for (unsigned i = 0; i < 100; i++, row = recording.nodes[row].parent)
        cr_assert_eq(recording.nodes[row].pc, 0x1000 + 4999 - i);
}

Test(record, texts_are_kept_and_an_empty_one_is_0)
{
    static char long_text[10000];
    memset(long_text, 'x', sizeof long_text - 1);
    uint32_t strings[300];
    cr_assert_eq(crn_draft_string(&draft, ""), 0);
    for (unsigned i = 0; i < 300; i++) {
        char text[32];
        snprintf(text, sizeof text, "text %u", i);
        strings[i] = crn_draft_string(&draft, text);
    }
    uint32_t last = crn_draft_string(&draft, long_text);
    write_and_open();
    for (unsigned i = 0; i < 300; i++) {
        char text[32];
        snprintf(text, sizeof text, "text %u", i);
        cr_assert_str_eq(crn_record_text(&recording, strings[i]), text);
    }
    cr_assert_str_eq(crn_record_text(&recording, last), long_text);
}

Test(record, a_process_describes_itself)
{
    char exe[4096] = "";
    const struct crn_record_coro coro = {.entry = (uintptr_t)row_is};
    crn_draft_coro(&draft, &coro);
    crn_draft_self(&draft);
    write_and_open();
    cr_assert(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
    cr_assert_str_eq(crn_record_text(&recording, recording.process->exe), exe);
    cr_assert(recording.process->pid == (uint32_t)getpid() &&
              recording.process->parent_pid == (uint32_t)getppid());
    cr_assert(recording.counts[CRN_SECTION_ARGV] > 0);
    const struct crn_record_module *own = crn_record_find_module(&recording, (uintptr_t)row_is);
    const struct crn_record_module *libc = crn_record_find_module(&recording, (uintptr_t)&strtoul);
    cr_assert(own != NULL && libc != NULL && own != libc);
    cr_assert_str_eq(crn_record_text(&recording, own->path), exe);
    cr_assert_not_null(strstr(crn_record_text(&recording, libc->path), "libc"));
    cr_assert_eq(strlen(crn_record_text(&recording, libc->build_id)), 40);
    cr_assert_not_null(crn_record_find_module(&recording, (uintptr_t)&recording)); /* its .bss */
    cr_assert(crn_record_find_module(&recording, (uintptr_t)&own) == NULL);
}

Test(record, a_process_without_anything_to_name_leaves_its_modules_out)
{
    crn_draft_self(&draft);
    write_and_open();
    cr_assert_neq(recording.process->exe, 0);
    cr_assert_eq(recording.counts[CRN_SECTION_MODULES], 0);
}

Test(record, only_the_user_can_read_it)
{
    struct stat status;
    mode_t old = umask(0);
    cr_assert_eq(crn_draft_write(&draft, AT_FDCWD, path), 0);
    umask(old);
    cr_assert(stat(path, &status) == 0 && (status.st_mode & 07777) == 0600);
}

Test(record, a_draft_can_be_written_again_over_the_last_one)
{
    draft.process.pid = 1;
    write_and_open();
    draft.process.pid = 2;
    write_and_open();
    cr_assert_eq(recording.process->pid, 2);
}

Test(record, a_place_that_does_not_exist_or_is_taken_is_a_negative_errno)
{
    char other[128];
    cr_assert_eq(crn_draft_write(&draft, AT_FDCWD, "/nonexistent/one.crn"), -ENOENT);
    cr_assert_eq(crn_draft_write(&draft, AT_FDCWD, "/proc/one.crn"), -ENOENT);
    snprintf(other, sizeof other, "%s/sub", directory);
    cr_assert(mkdir(other, 0700) == 0);
    cr_assert_eq(crn_draft_write(&draft, AT_FDCWD, other), -EISDIR);
    strcat(other, ".part");
    cr_assert(access(other, F_OK) != 0, "nothing stays behind");
    snprintf(other, sizeof other, "%s/sub", directory);
    rmdir(other);
}

Test(record, a_link_that_somebody_left_in_the_way_is_not_followed)
{
    char part[128], victim[128];
    struct stat status;
    snprintf(part, sizeof part, "%s.part", path);
    snprintf(victim, sizeof victim, "%s/victim", directory);
    cr_assert(symlink(victim, part) == 0);
    write_and_open();
    cr_assert(stat(victim, &status) != 0 && errno == ENOENT);
    cr_assert(lstat(path, &status) == 0 && S_ISREG(status.st_mode));
}
