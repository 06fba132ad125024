/*
 * Names for addresses: this test is its own module under examination.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "make_recording.h"
#include "sym/demangle.h"
#include "sym/files.h"
#include "sym/scopes.h"
#include "sym/sym.h"

struct known {
    int first, second;
} known_variable;

static struct maker maker;
static struct crn_recording recording;
static struct crn_store *store;
static struct crn_sym *sym;
static char build_id[64], exe[4096];
static char message[256];

/* Answers an address inside itself, wherever it was inlined. */
static inline __attribute__((always_inline)) uint64_t inlined_place(void)
{
    uint64_t place;
    __asm__ volatile("lea 1f(%%rip), %0\n1: nop" : "=r"(place));
    return place;
}

static __attribute__((noinline)) uint64_t outer_place(void)
{
    return inlined_place();
}

static int add_program(struct dl_phdr_info *info, size_t size, void *user)
{
    uint64_t start = UINT64_MAX, end = 0;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *row = &info->dlpi_phdr[i];
        const ElfW(Nhdr) *note = (const void *)(info->dlpi_addr + row->p_vaddr);
        if (row->p_type == PT_LOAD) {
            start = start < (uintptr_t)note ? start : (uintptr_t)note;
            end = (uintptr_t)note + row->p_memsz;
        } else if (row->p_type == PT_NOTE && note->n_type == 3 /* NT_GNU_BUILD_ID */) {
            const unsigned char *bytes = (const unsigned char *)(note + 1) + 4;
            for (unsigned at = 0; at < note->n_descsz; at++)
                sprintf(build_id + at * 2, "%02x", bytes[at]);
        }
    }
    struct crn_record_module *module = maker_module(&maker, user, start, end);
    module->bias = info->dlpi_addr;
    if (*build_id != 0)
        module->build_id = maker_string(&maker, build_id);
    return 1; /* the program itself comes first */
}

/* Opens a recording whose only module is this program, under that path and that build id. */
static void open_as(const char *path)
{
    unsigned char *bytes;
    maker_finish(&maker);
    bytes = maker.bytes;
    cr_assert_eq(
        crn_record_adopt(bytes, maker.bytes_count, path, &recording, message, sizeof message),
        CRN_OK, "%s", message);
}

static void setup(void)
{
    ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[length] = 0;
    store = crn_store_create();
    sym = crn_sym_create(store);
    maker_init(&maker);
}

static void teardown(void)
{
    crn_sym_destroy(sym);
    crn_store_destroy(store);
    crn_record_close(&recording);
}

TestSuite(sym, .init = setup, .fini = teardown);

static const char *problem_seen;

static void note_problem(const char *path, const char *problem, uint64_t unnamed, void *user)
{
    (void)path;
    (void)unnamed;
    (void)user;
    problem_seen = problem;
}

Test(sym, inlined_functions_come_first)
{
    dl_iterate_phdr(add_program, exe);
    open_as(exe);
    const struct crn_frames *frames = crn_sym_name_code(sym, &recording, outer_place());
    cr_assert_geq(frames->count, 2u);
    cr_assert_str_eq(frames->rows[0]->function, "inlined_place");
    cr_assert(frames->rows[0]->inlined);
    cr_assert_str_eq(frames->rows[1]->function, "outer_place");
    cr_assert(!frames->rows[1]->inlined);
    cr_assert(strstr(frames->rows[0]->file, "launcher_sym.c") != NULL);
    cr_assert_gt(frames->rows[0]->line, 0u);
    cr_assert_lt(frames->rows[0]->line, frames->rows[1]->line);
    cr_assert_str_eq(frames->rows[0]->module, exe);
    cr_assert_str_eq(frames->rows[0]->build_id, build_id);
}

Test(sym, an_address_is_looked_up_once)
{
    dl_iterate_phdr(add_program, exe);
    open_as(exe);
    const struct crn_frames *frames = crn_sym_name_code(sym, &recording, outer_place());
    uint32_t count = crn_sym_frames_count(sym);
    cr_assert_eq(crn_sym_name_code(sym, &recording, outer_place()), frames);
    cr_assert_eq(crn_sym_frames_count(sym), count);
}

Test(sym, a_variable_has_a_name_and_an_offset)
{
    dl_iterate_phdr(add_program, exe);
    open_as(exe);
    struct crn_variable variable =
        crn_sym_name_data(sym, &recording, (uintptr_t)&known_variable.second);
    cr_assert_str_eq(variable.name, "known_variable");
    cr_assert_eq(variable.offset, sizeof(int));
    cr_assert_str_eq(variable.module, exe);
}

Test(sym, another_build_gives_no_names)
{
    dl_iterate_phdr(add_program, exe);
    maker.modules[0].build_id = maker_string(&maker, "0123456789abcdef");
    open_as(exe);
    const struct crn_frames *frames = crn_sym_name_code(sym, &recording, outer_place());
    cr_assert_eq(frames->count, 1u);
    cr_assert_null(frames->rows[0]->function);
    crn_sym_visit_modules(sym, note_problem, NULL);
    cr_assert(strstr(problem_seen, "build id") != NULL, "%s", problem_seen);
}

Test(sym, a_file_that_is_gone_gives_no_names)
{
    dl_iterate_phdr(add_program, (void *)"/no/such/module");
    open_as(exe);
    const struct crn_frames *frames = crn_sym_name_code(sym, &recording, outer_place());
    cr_assert_null(frames->rows[0]->function);
    cr_assert_str_eq(frames->rows[0]->module, "/no/such/module");
    crn_sym_visit_modules(sym, note_problem, NULL);
    cr_assert(strstr(problem_seen, "/no/such/module") != NULL);
}

Test(sym, an_address_in_no_module_is_itself)
{
    open_as(exe);
    const struct crn_frames *frames = crn_sym_name_code(sym, &recording, 0x1234);
    cr_assert_eq(frames->count, 1u);
    cr_assert_null(frames->rows[0]->function);
    cr_assert_null(frames->rows[0]->module);
    cr_assert_eq(frames->rows[0]->offset, 0x1234u);
}

Test(sym, cxx_and_rust_names_are_readable)
{
    cr_assert_str_eq(crn_demangle(store, "_ZN2ns4makeEi", true), "ns::make(int)");
    cr_assert_str_eq(crn_demangle(store, "_ZN2ns4makeEi", false), "ns::make");
    cr_assert_str_eq(crn_demangle(store, "_ZNK2ns1TclEi", false), "ns::T::operator()");
    cr_assert_str_eq(crn_demangle(store, "_ZN4core3fmt5write17h0123456789abcdefE", true),
                     "core::fmt::write");
    cr_assert_str_eq(crn_demangle(store, "_RNvC6_123foo3bar", true), "123foo::bar");
    cr_assert_str_eq(crn_demangle(store, "main", true), "main");
    cr_assert_str_eq(crn_demangle(store, "i", true), "i");
}

Test(sym, a_part_of_a_coroutine_is_named_after_the_coroutine)
{
    cr_assert_str_eq(crn_demangle(store, "_Z5inneri.resume", true), "inner(int)");
    cr_assert_str_eq(crn_demangle(store, "_Z5inneri.destroy", false), "inner");
    cr_assert_str_eq(crn_demangle(store, "_ZN2ns1T5innerEv.cleanup", false), "ns::T::inner");
    cr_assert_str_eq(crn_demangle(store, "_Z5innerPZ5inneriE15_Z5inneri.Frame.actor", true),
                     "inner(int)");
    cr_assert_str_eq(crn_demangle(store, "_Z5innerPZ5inneriE15_Z5inneri.Frame.destroy.cold", false),
                     "inner");
    cr_assert_str_eq(crn_demangle(store, "_Z5inneri.part.0", false), "inner");
}

Test(sym, a_few_bytes_stand_for_no_endless_name)
{
    /* Each step makes a pair of two of what the step before made. */
    static char raw[512] = "_Z1fSt4pairIiiE";
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (unsigned i = 0; i < 30; i++) {
        char step[16];
        snprintf(step, sizeof step, "S_IS%c_S%c_E", digits[i], digits[i]);
        strcat(raw, i == 0 ? "St4pairIS0_S0_E" : step);
    }
    cr_assert_lt(strlen(crn_demangle(store, raw, true)), 4200u);
    strcpy(raw, "_Z");
    memset(raw + 2, 'P', 400);
    strcpy(raw + 402, "i");
    cr_assert_not_null(crn_demangle(store, raw, true));
}

Test(sym, the_innermost_of_nested_spans_is_found)
{
    static const struct crn_span rows[] = {{10, 100, 0}, {20, 60, 1},  {20, 30, 2},  {40, 50, 3},
                                           {60, 70, 4},  {90, 120, 5}, {200, 210, 0}};
    static const struct {
        uint64_t address;
        int row; /* -1: none */
    } wanted[] = {{9, -1},   {10, 0},   {19, 0},  {20, 2},  {29, 2},  {30, 1}, {40, 3},
                  {49, 3},   {50, 1},   {60, 4},  {69, 4},  {70, 0},  {90, 5}, {99, 5},
                  {100, -1}, {119, -1}, {200, 0}, {209, 0}, {210, -1}};
    struct crn_spans spans = {malloc(sizeof rows), CRN_COUNT_OF(rows), CRN_COUNT_OF(rows)};
    memcpy(spans.rows, rows, sizeof rows);
    crn_spans_sort(&spans);
    crn_spans_cut(&spans);
    for (unsigned i = 0; i < CRN_COUNT_OF(wanted); i++) {
        const struct crn_span *found = crn_spans_find(&spans, wanted[i].address);
        cr_assert_eq(found == NULL ? -1 : (int)found->row, wanted[i].row, "at %llu",
                     (unsigned long long)wanted[i].address);
    }
    crn_spans_free(&spans);
}

Test(sym, only_plain_files_are_opened)
{
    char path[] = "/tmp/coroner-sym-XXXXXX";
    const char *obstacle;
    cr_assert_not_null(mkdtemp(path));
    cr_assert_eq(crn_file_open(path, &obstacle), -1);
    cr_assert_str_eq(obstacle, "it is no plain file");
    rmdir(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(crn_file_open(path, &obstacle), -1);
    crn_files_guard_begin();
    cr_assert_eq(open(path, O_RDONLY), -1); /* as libdw would */
    cr_assert_eq(errno, ENOENT);
    crn_files_guard_end();
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    cr_assert_geq(fd, 0);
    close(fd);
    unlink(path);
    cr_assert_eq(crn_file_open("/dev/null", &obstacle), -1);
    cr_assert_eq(crn_file_open("/etc/passwd", &obstacle), -1);
    cr_assert_str_eq(obstacle, "it is no ELF file");
    fd = crn_file_open(exe, &obstacle);
    cr_assert_geq(fd, 0);
    close(fd);
}

Test(sym, many_modules_of_one_file_are_opened_once)
{
    static char paths[8][4200];
    dl_iterate_phdr(add_program, exe);
    for (unsigned i = 0; i < CRN_COUNT_OF(paths); i++) {
        snprintf(paths[i], sizeof paths[i], "/proc/self/root%.*s%s", (int)i, "///////", exe);
        struct crn_record_module *module =
            maker_module(&maker, paths[i], UINT64_MAX - 1000 + i * 10, UINT64_MAX - 991 + i * 10);
        module->build_id = *build_id != 0 ? maker_string(&maker, build_id) : 0;
    }
    open_as(exe);
    for (unsigned i = 0; i < CRN_COUNT_OF(paths); i++)
        crn_sym_name_code(sym, &recording, UINT64_MAX - 1000 + i * 10);
    crn_sym_name_code(sym, &recording, outer_place());
    unsigned count = 0;
    for (int fd = 3; fd < 64; fd++) {
        struct stat file, own;
        count += fstat(fd, &file) == 0 && stat(exe, &own) == 0 && file.st_ino == own.st_ino;
    }
    cr_assert_leq(count, 1u);
}
