/*
 * The reader takes whole recordings and refuses everything else with one line that names the file.
 */
#include <criterion/criterion.h>

#include <sys/stat.h>
#include <unistd.h>

#include "make_recording.h"
#include "record/reader.h"

static char path[] = "/tmp/coroner-reader-XXXXXX";
static char message[256];
static struct maker maker;
static struct crn_recording recording;

static void setup(void)
{
    close(mkstemp(path));
}

static void teardown(void)
{
    crn_record_close(&recording);
    free(maker.bytes);
    unlink(path);
}

TestSuite(reader, .init = setup, .fini = teardown);

/* A recording with something in every section. */
static void make_example(void)
{
    maker_init(&maker);
    maker.process.exe = maker_string(&maker, "/bin/example");
    maker_argument(&maker, "example");
    maker_warning(&maker, "something to say");
    maker_module(&maker, "/bin/example", 0x1000, 0x2000);
    maker_module(&maker, "/lib/other.so", 0x3000, 0x4000);
    uint32_t caller = maker_node(&maker, 0, 0x1100);
    uint32_t callee = maker_node(&maker, caller, 0x3200);
    struct crn_record_coro *coro =
        maker_coro(&maker, CRN_MECHANISM_UCONTEXT, CRN_CORO_COMPLETED, "worker");
    coro->created_node = caller;
    struct crn_record_leak *leak = maker_leak(&maker, CRN_VERDICT_COMPLETED, 1, 64);
    leak->alloc_node = callee;
    leak->coro = 1;
    maker_link(&maker, CRN_LINK_CORO)->coro = 1;
    maker_link(&maker, CRN_LINK_LEAK)->bytes = 64;
    maker.process.sample_bytes = 512;
    maker_sample(&maker, callee, 64, 1);
    maker.counts[CRN_SECTION_FINDINGS] = 1;
    maker_finish(&maker);
}

static enum crn_status open_example(void)
{
    maker_write(&maker, path);
    crn_record_close(&recording);
    return crn_record_open(path, &recording, message, sizeof message);
}

static void refuses(enum crn_status wanted)
{
    enum crn_status status = open_example();
    cr_assert_eq(status, wanted);
    cr_assert(strstr(message, path) != NULL, "no path in: %s", message);
    cr_assert_null(strchr(message, '\n'));
    cr_assert_null(recording.bytes);
}

Test(reader, a_whole_recording_is_read)
{
    make_example();
    cr_assert_eq(open_example(), CRN_OK, "%s", message);
    cr_assert_eq(recording.process->pid, 4711u);
    cr_assert_str_eq(crn_record_text(&recording, recording.process->exe), "/bin/example");
    cr_assert_eq(recording.counts[CRN_SECTION_NODES], 3u);
    cr_assert_eq(recording.leaks[0].bytes, 64u);
}

Test(reader, a_recording_from_a_pipe_is_read)
{
    char other[64];
    int fds[2];
    make_example();
    cr_assert_eq(pipe(fds), 0);
    cr_assert_eq(write(fds[1], maker.bytes, maker.bytes_count), (ssize_t)maker.bytes_count);
    close(fds[1]);
    snprintf(other, sizeof other, "/dev/fd/%d", fds[0]);
    cr_assert_eq(crn_record_open(other, &recording, message, sizeof message), CRN_OK, "%s",
                 message);
}

Test(reader, an_address_finds_its_module)
{
    make_example();
    cr_assert_eq(open_example(), CRN_OK);
    cr_assert_null(crn_record_find_module(&recording, 0xfff));
    cr_assert_eq(crn_record_find_module(&recording, 0x1000), &recording.modules[0]);
    cr_assert_eq(crn_record_find_module(&recording, 0x1fff), &recording.modules[0]);
    cr_assert_null(crn_record_find_module(&recording, 0x2000));
    cr_assert_eq(crn_record_find_module(&recording, 0x3000), &recording.modules[1]);
    cr_assert_null(crn_record_find_module(&recording, 0x4000));
}

Test(reader, every_shorter_file_is_refused)
{
    make_example();
    for (size_t whole = maker.bytes_count; maker.bytes_count > 0;) {
        maker.bytes_count--;
        refuses(CRN_ERR_FORMAT);
        cr_assert_lt(maker.bytes_count, whole);
    }
}

Test(reader, every_flipped_bit_is_refused)
{
    make_example();
    for (size_t i = 0; i < maker.bytes_count * 8; i++) {
        maker.bytes[i / 8] ^= (unsigned char)(1u << i % 8);
        refuses(CRN_ERR_FORMAT);
        maker.bytes[i / 8] ^= (unsigned char)(1u << i % 8);
    }
}

/* A forged file has a true checksum: whatever its bytes say, the reader must survive it. */
Test(reader, no_sealed_byte_makes_it_crash)
{
    static const unsigned char values[] = {0x01, 0x7f, 0x80, 0xff};
    make_example();
    for (size_t i = 24; i < maker.bytes_count; i++) {
        unsigned char saved = maker.bytes[i];
        for (unsigned j = 0; j < sizeof values; j++) {
            maker.bytes[i] = values[j];
            maker_seal(&maker);
            enum crn_status status = open_example();
            cr_assert(status == CRN_OK || status == CRN_ERR_FORMAT);
        }
        maker.bytes[i] = saved;
    }
}

/* Each of these would let a few bytes of a file be told thousands of times. */
Test(reader, nothing_is_told_twice)
{
    struct crn_record_header *header;
    make_example();
    maker.leaks[0].link_count = 1;
    maker_leak(&maker, CRN_VERDICT_LOST, 1, 1)->first_link = 0;
    maker.leaks[1].link_count = 1;
    maker_finish(&maker);
    cr_assert_eq(open_example(), CRN_OK, "%s", message);
    maker.leaks[1].link_count = 2;
    maker_finish(&maker);
    refuses(CRN_ERR_FORMAT);

    make_example();
    maker_argument(&maker, "another");
    maker_finish(&maker);
    cr_assert_eq(open_example(), CRN_OK, "%s", message);
    maker.argv[1] = maker.argv[0];
    maker_finish(&maker);
    refuses(CRN_ERR_FORMAT);

    make_example();
    maker.process.exe++; /* in the middle of a text */
    maker_finish(&maker);
    refuses(CRN_ERR_FORMAT);

    make_example();
    header = (void *)maker.bytes;
    header->sections[CRN_SECTION_LEAKS].offset -= 8; /* in the coroutines */
    maker_seal(&maker);
    refuses(CRN_ERR_FORMAT);
}

/* A recording with one leak and one sample of it, still to be finished. */
static struct crn_record_sample *make_sampled(uint64_t sample_bytes)
{
    maker_init(&maker);
    maker.process.sample_bytes = sample_bytes;
    maker_leak(&maker, CRN_VERDICT_LOST, 1, 10);
    return maker_sample(&maker, 0, 10, 1);
}

Test(reader, samples_must_be_of_a_leak_and_of_sampled_stacks)
{
    make_sampled(512);
    maker_finish(&maker);
    cr_assert_eq(open_example(), CRN_OK, "%s", message);
    make_sampled(0);
    maker_finish(&maker);
    refuses(CRN_ERR_FORMAT);
    make_sampled(512)->leak = 1;
    maker_finish(&maker);
    refuses(CRN_ERR_FORMAT);
    make_sampled(512)->node = 9;
    maker_finish(&maker);
    refuses(CRN_ERR_FORMAT);
    cr_assert(strstr(message, "samples") != NULL, "%s", message);
}

/* What the reader says to what the maker holds. */
static enum crn_status made_open(struct maker *of)
{
    struct crn_recording made;
    maker_finish(of);
    enum crn_status status =
        crn_record_adopt(of->bytes, of->bytes_count, "made", &made, message, sizeof message);
    crn_record_close(&made);
    return status;
}

Test(reader, numbers_of_a_live_check_stand_for_words)
{
    static struct maker live;
    struct crn_record_live *row;
    maker_init(&live);
    live.process.check_kind = CRN_CHECK_SCOPE;
    live.counts[CRN_SECTION_MEMORY] = 1;
    row = maker_live(&live, 0, CRN_GROWTH_STEADY, 7, 2, 20);
    maker_live_link(&live, CRN_LINK_ROOT);
    cr_assert_eq(made_open(&live), CRN_OK, "%s", message);
    live.process.check_kind = CRN_CHECK_KIND_COUNT;
    cr_assert_eq(made_open(&live), CRN_ERR_FORMAT);
    live.process.check_kind = CRN_CHECK_LIVE;
    row->shape = CRN_GROWTH_SHAPE_COUNT;
    cr_assert_eq(made_open(&live), CRN_ERR_FORMAT);
    row->shape = CRN_GROWTH_CHURN;
    row->alloc_node = 9;
    cr_assert_eq(made_open(&live), CRN_ERR_FORMAT);
    row->alloc_node = 0;
    row->link_count = 2;
    cr_assert_eq(made_open(&live), CRN_ERR_FORMAT);
    row->link_count = 1;
    live.memory.limit_kind = CRN_LIMIT_KIND_COUNT;
    cr_assert_eq(made_open(&live), CRN_ERR_FORMAT);
    live.memory.limit_kind = CRN_LIMIT_CGROUP;
    cr_assert_eq(made_open(&live), CRN_OK, "%s", message);
}

Test(reader, a_longer_file_is_refused)
{
    make_example();
    maker.bytes_count += 8;
    refuses(CRN_ERR_FORMAT);
}

Test(reader, a_foreign_file_is_refused)
{
    cr_assert_eq(crn_record_open("/bin/true", &recording, message, sizeof message), CRN_ERR_FORMAT);
    cr_assert(strstr(message, "/bin/true") != NULL);
}

Test(reader, another_version_is_named)
{
    make_example();
    ((struct crn_record_header *)(void *)maker.bytes)->version = 1;
    refuses(CRN_ERR_FORMAT);
    cr_assert(strstr(message, "version 1") != NULL, "%s", message);
}

Test(reader, a_missing_file_or_a_directory_is_refused)
{
    cr_assert_eq(crn_record_open("/no/such", &recording, message, sizeof message), CRN_ERR_SYSTEM);
    cr_assert(strstr(message, "/no/such") != NULL);
    cr_assert_eq(crn_record_open("/tmp", &recording, message, sizeof message), CRN_ERR_SYSTEM);
}

Test(reader, a_length_that_no_memory_holds_is_refused)
{
    make_example();
    ((struct crn_record_header *)(void *)maker.bytes)->total_bytes = UINT64_MAX;
    refuses(CRN_ERR_FORMAT);
}

/* R2 and R3, each broken in a file that is otherwise sealed. */
#define REFUSES(name, mistake)                                  \
    Test(reader, name)                                          \
    {                                                           \
        make_example();                                         \
        struct crn_record_header *header = (void *)maker.bytes; \
        (void)header;                                           \
        mistake;                                                \
        maker_seal(&maker);                                     \
        refuses(CRN_ERR_FORMAT);                                \
    }
#define ROW(section, type) ((type *)(void *)(maker.bytes + header->sections[section].offset))

REFUSES(a_section_outside_the_file_is_refused, header->sections[CRN_SECTION_LEAKS].count = 1u << 20)
REFUSES(a_section_count_that_overflows_is_refused,
        header->sections[CRN_SECTION_LEAKS].count = UINT64_MAX / 2)
REFUSES(a_crooked_section_is_refused, header->sections[CRN_SECTION_NODES].offset += 4)
REFUSES(a_section_in_the_header_is_refused, header->sections[CRN_SECTION_NODES].offset = 8)
REFUSES(two_processes_are_refused, header->sections[CRN_SECTION_PROCESS].count = 0)
REFUSES(strings_without_an_end_are_refused, header->sections[CRN_SECTION_STRINGS].count -= 1)
REFUSES(a_string_outside_is_refused,
        ROW(CRN_SECTION_PROCESS, struct crn_record_process)->exe = 1u << 30)
REFUSES(an_argument_outside_is_refused, *ROW(CRN_SECTION_ARGV, uint32_t) = 1u << 30)
REFUSES(a_warning_outside_is_refused, *ROW(CRN_SECTION_WARNINGS, uint32_t) = 1u << 30)
REFUSES(modules_out_of_order_are_refused,
        ROW(CRN_SECTION_MODULES, struct crn_record_module)[1].start = 0)
REFUSES(a_child_before_its_parent_is_refused,
        ROW(CRN_SECTION_NODES, struct crn_record_node)[1].parent = 1)
REFUSES(a_coroutine_of_no_kind_is_refused,
        ROW(CRN_SECTION_COROS, struct crn_record_coro)->mechanism = 99)
REFUSES(a_live_leak_is_refused, ROW(CRN_SECTION_LEAKS, struct crn_record_leak)->verdict = 0)
REFUSES(a_leak_of_no_coroutine_is_refused, ROW(CRN_SECTION_LEAKS, struct crn_record_leak)->coro = 2)
REFUSES(a_chain_outside_is_refused,
        ROW(CRN_SECTION_LEAKS, struct crn_record_leak)->link_count = UINT32_MAX)
REFUSES(a_link_of_no_kind_is_refused, ROW(CRN_SECTION_LINKS, struct crn_record_link)->kind = 4)
REFUSES(a_finding_of_no_kind_is_refused,
        ROW(CRN_SECTION_FINDINGS, struct crn_record_finding)->kind = 99)
