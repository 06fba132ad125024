/*
 * Names for addresses: this test is its own module under examination.
 */
#include <criterion/criterion.h>

#include <link.h>
#include <string.h>
#include <unistd.h>

#include "make_recording.h"
#include "sym/demangle.h"
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
