/*
 * What is taken for a context switch, by its code, and what is not.
 *
 * The switches are those of the cases (../cases/switches.h), called in each way that compilers and
 * linkers know.  The decoys keep rsp, or change it, for other reasons.  Last, random bytes are read
 * as code, up to the very end of a page behind which there is nothing.
 */
#include "../cases/switches.h"

#include "coro/parked.h"
#include "coro/switcher.h"
#include "base/maps.h"

#include <alloca.h>
#include <criterion/criterion.h>
#include <setjmp.h>

enum { RANGES_MAX = 512 };

static struct crn_range ranges[RANGES_MAX];
static struct crn_code code = {ranges, 0};

static bool range_visit(const struct crn_map_entry *entry, void *user)
{
    (void)user;
    if ((entry->flags & CRN_MAP_EXECUTE) != 0 && entry->path[0] != '[')
        ranges[code.count++] = (struct crn_range){entry->start, entry->end};
    return code.count < RANGES_MAX;
}

static void code_find(void)
{
    code.count = 0;
    cr_assert(crn_maps_for_each(range_visit, NULL));
}

TestSuite(switcher, .init = code_find);

static void begin(void)
{
    _Exit(98);
}

/*
 * The calls, each with a label at its return address.  They are never executed: what is asked is
 * what the bytes before the label say.
 */
#define SITE(name, call)                                       \
    extern const char name[];                                  \
    __asm__(".text\n" call "\n" #name ":\n    nop; ret\n")

SITE(after_pushed, "call switch_pushed");
SITE(after_buffer, "call switch_buffer");
SITE(after_swap, "call switch_swap");
SITE(after_swap_popped, "call switch_swap_popped");
SITE(after_save, "call registers_save");
SITE(after_38, "call jump_38");
SITE(after_40, "call jump_40");

static struct crn_switcher switcher_at(const char *return_address)
{
    return crn_switcher_of(&code, (uintptr_t)return_address);
}

#define assert_switch(site, its_mechanism, its_depth)                              \
    do {                                                                           \
        struct crn_switcher found_ = switcher_at(site);                            \
        cr_assert(found_.is_switch, "%s", #site);                                  \
        cr_assert_eq(found_.mechanism, CRN_MECHANISM_##its_mechanism, "%s", #site); \
        cr_assert_eq(found_.depth, its_depth, "%s: %d", #site, found_.depth);      \
    } while (0)

#define assert_no_switch(site)                                        \
    do {                                                              \
        struct crn_switcher found_ = switcher_at(site);               \
        cr_assert(!found_.is_switch && !found_.is_saver, "%s", #site); \
    } while (0)

Test(switcher, each_way_of_keeping_registers_is_a_switch_and_tells_where_sp_is)
{
    assert_switch(after_pushed, SWITCH, 0x30);
    assert_switch(after_buffer, SWITCH, 0);
    assert_switch(after_swap, SWITCH, 0);
    assert_switch(after_swap_popped, SWITCH, -8);
    assert_switch(after_38, FCONTEXT, 0x38);
    assert_switch(after_40, FCONTEXT, 0x40);
}

Test(switcher, a_switch_tells_where_rbp_lies_on_the_stack_or_beside_sp)
{
    cr_assert_eq(switcher_at(after_pushed).bp_depth, 8);
    cr_assert_eq(switcher_at(after_38).bp_depth, 0x38 - 0x30);
    cr_assert_eq(switcher_at(after_40).bp_depth, 0x40 - 0x38);
    cr_assert_eq(switcher_at(after_buffer).bp_depth, CRN_SWITCHER_NO_BP);
    cr_assert_eq(switcher_at(after_buffer).bp_beside, 8);
    cr_assert_eq(switcher_at(after_swap).bp_beside, 8);
    cr_assert_eq(switcher_at(after_save).bp_beside, 8 - 48);
}

Test(switcher, a_function_that_keeps_rsp_and_returns_is_half_a_switch)
{
    struct crn_switcher found = switcher_at(after_save);
    cr_assert(found.is_saver && !found.is_switch);
}

GLOBAL void (*pointer_to_switch)(struct place *, struct place *) = switch_pushed;
__asm__(".text\n"
        "jumps_to_switch:\n    jmp switch_pushed\n"
        "stub_of_switch:\n    endbr64\n    jmp *pointer_to_switch(%rip)\n    nop; nop; nop; nop\n"
        "    nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop\n");
SITE(after_tail_jump, "call jumps_to_switch");
SITE(after_stub, "call stub_of_switch");
SITE(after_pointer, "call *pointer_to_switch(%rip)");
SITE(after_loaded_register, "mov pointer_to_switch(%rip), %rax; mov %rdi, %rsi; call *%rax");
SITE(after_high_register, "lea switch_pushed(%rip), %r13; xor %eax, %eax; call *%r13");

Test(switcher, a_switch_is_found_through_whatever_leads_to_it)
{
    assert_switch(after_tail_jump, SWITCH, 0x30);
    assert_switch(after_stub, SWITCH, 0x30);
    assert_switch(after_pointer, SWITCH, 0x30);
    assert_switch(after_loaded_register, SWITCH, 0x30);
    assert_switch(after_high_register, SWITCH, 0x30);
}

SITE(after_other_register, "lea switch_pushed(%rip), %r13; xor %eax, %eax; call *%rbx");

Test(switcher, a_call_through_a_register_that_nothing_loaded_leads_nowhere)
{
    assert_no_switch(after_other_register);
}

/* Decoys: what compilers make of functions with stacks of no fixed size, and what libc has. */
#ifdef __clang__ /* it has no levels for single functions */
#define DECOY(level, name) __attribute__((noinline, used)) static int name
#else
#define DECOY(level, name) __attribute__((noinline, noclone, optimize(level), used)) static int name
#endif
#define USE(area) __asm__ volatile("" : : "r"(area) : "memory")

DECOY("O0", vla_plain)(int count) { int area[count + 1]; USE(area); return area[0]; }
DECOY("O2", vla_optimised)(int count) { int area[count + 1]; USE(area); return area[0]; }
DECOY("O0", alloca_plain)(int count) { char *a = alloca((size_t)count); USE(a); return a[0]; }
DECOY("O2", alloca_optimised)(int count) { char *a = alloca((size_t)count); USE(a); return a[0]; }
DECOY("O2", scoped_vla)(int count)
{
    int sum = 0;
    for (int i = 1; i < count; i++) {
        char area[i];
        USE(area);
        sum += area[0];
    }
    return sum;
}
DECOY("O2", realigned)(int count)
{
    _Alignas(64) char area[128];
    memset(area, count, sizeof area);
    USE(area);
    return area[count & 127];
}
DECOY("O0", large_frame)(int count)
{
    char area[200000];
    USE(area);
    return area[count];
}
DECOY("O2", keeps_its_sp)(void **place)
{
    __asm__ volatile("mov %%rsp, (%0)" : : "r"(place) : "memory");
    return 0;
}

__asm__(".text\n"
        "framed:\n    push %rbp; mov %rsp, %rbp; sub $0x20, %rsp; mov %rdi, -8(%rbp); leave; ret\n"
        "goes_back:\n    push %rbp; mov %rsp, %rbp; push %rbx; mov %rsp, %rbx; sub $0x40, %rsp\n"
        "    mov %rbx, -0x20(%rbp); mov -0x20(%rbp), %rsp; pop %rbx; pop %rbp; ret\n"
        "goes_back_by_register:\n    mov %rsp, %r10; and $-32, %rsp; push %rdi\n"
        "    mov %r10, %rsp; ret\n"
        "goes_back_by_stack:\n    mov %rsp, %rax; sub $0x40, %rsp; and $-64, %rsp\n"
        "    mov %rax, 8(%rsp); mov 8(%rsp), %rsp; ret\n"
        "never_returns:\n    push %rax; call abort\n    nop; nop; nop; nop; nop; nop; nop; nop\n"
        "huge_frames:\n    sub $0x7ffffff0, %rsp; sub $0x7ffffff0, %rsp; sub $0x7ffffff0, %rsp\n"
        "    mov %rsp, (%rdi); mov 0x7fffffff(%rsi), %rbp; add $0x7fffffff, %rsp; ret\n");
SITE(after_framed, "call framed");
SITE(after_goes_back, "call goes_back");
SITE(after_goes_back_by_register, "call goes_back_by_register");
SITE(after_goes_back_by_stack, "call goes_back_by_stack");
SITE(after_never_returns, "call never_returns");
SITE(after_vla_plain, "call vla_plain");
SITE(after_vla_optimised, "call vla_optimised");
SITE(after_alloca_plain, "call alloca_plain");
SITE(after_alloca_optimised, "call alloca_optimised");
SITE(after_scoped_vla, "call scoped_vla");
SITE(after_realigned, "call realigned");
SITE(after_large_frame, "call large_frame");
SITE(after_malloc, "call malloc@plt");
SITE(after_setjmp, "call _setjmp@plt");
SITE(after_longjmp, "call longjmp@plt");
SITE(after_abort, "call abort@plt");
SITE(after_keeps_its_sp, "call keeps_its_sp");
SITE(after_huge_frames, "call huge_frames");

Test(switcher, a_function_that_takes_back_what_it_kept_is_none)
{
    cr_assert(vla_plain(3) + vla_optimised(3) + alloca_plain(3) + alloca_optimised(3) != -1);
    assert_no_switch(after_framed);
    assert_no_switch(after_goes_back);
    assert_no_switch(after_goes_back_by_register);
    assert_no_switch(after_goes_back_by_stack);
    assert_no_switch(after_never_returns);
    assert_no_switch(after_vla_plain);
    assert_no_switch(after_vla_optimised);
    assert_no_switch(after_alloca_plain);
    assert_no_switch(after_alloca_optimised);
    assert_no_switch(after_scoped_vla);
    assert_no_switch(after_realigned);
    assert_no_switch(after_large_frame);
}

Test(switcher, nothing_of_libc_is_a_switch)
{
    assert_no_switch(after_malloc);
    assert_no_switch(after_setjmp);
    assert_no_switch(after_longjmp);
    assert_no_switch(after_abort);
}

Test(switcher, a_function_that_tells_its_sp_is_half_a_switch_at_most)
{
    cr_assert(!switcher_at(after_keeps_its_sp).is_switch);
}

Test(switcher, frames_too_large_to_be_a_switchs_are_not_believed)
{
    cr_assert(!switcher_at(after_huge_frames).is_switch);
}

/* A page of code with nothing behind it, nor before it. */
static uint8_t *lonely_page(void)
{
    uint8_t *start = mmap(NULL, 3 * CRN_PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(start != MAP_FAILED);
    cr_assert(mprotect(start + CRN_PAGE_BYTES, CRN_PAGE_BYTES, PROT_READ | PROT_WRITE) == 0);
    return start + CRN_PAGE_BYTES;
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* More of what the decoder knows than chance would bring. */
static uint8_t byte_next(uint64_t *state)
{
    static const uint8_t liked[] = {0x48, 0x89, 0x8b, 0x8d, 0xe8, 0xff, 0x15, 0x25, 0xd0, 0x50,
                                    0x55, 0x5d, 0x24, 0x27, 0x26, 0x0f, 0xae, 0xeb, 0xe9, 0x83,
                                    0xec, 0x81, 0x66, 0x41, 0xf3, 0x2e, 0x87, 0x20, 0x84, 0x85};
    uint64_t random = random_next(state);
    return random & 1 ? liked[(random >> 8) % sizeof liked] : (uint8_t)(random >> 16);
}

Test(switcher, any_bytes_can_be_read_as_code_and_nothing_beside_them)
{
    enum { ROUNDS = 60 };
    uint64_t state = 88172645463325252;
    uint8_t *page = lonely_page();
    const struct crn_range range = {(uintptr_t)page, (uintptr_t)page + CRN_PAGE_BYTES};
    const struct crn_code lonely = {&range, 1};
    unsigned switches = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < CRN_PAGE_BYTES; i++)
            page[i] = byte_next(&state);
        for (uintptr_t at = range.start - 16; at < range.end + 16; at++) {
            struct crn_switcher found = crn_switcher_of(&lonely, at);
            switches += found.is_switch;
            cr_assert(!found.is_switch || (found.depth >= -8 && found.depth <= 1024));
            crn_code_follows_call(&lonely, at);
        }
    }
    cr_log_info("%u switches", switches);
}

Test(switcher, the_end_of_the_last_page_is_read_to_its_last_byte_only)
{
    uint8_t *page = lonely_page();
    const struct crn_range range = {(uintptr_t)page, (uintptr_t)page + CRN_PAGE_BYTES};
    const struct crn_code lonely = {&range, 1};
    static const uint8_t call[] = {0xe8, 0xf0, 0xff, 0xff, 0xff, 0x90};
    memcpy(page + CRN_PAGE_BYTES - sizeof call, call, sizeof call);
    cr_assert(crn_code_follows_call(&lonely, range.end - 1));
    cr_assert(!crn_code_follows_call(&lonely, range.end));
    cr_assert(!crn_code_follows_call(&lonely, range.start));
    cr_assert(!crn_code_follows_call(&lonely, 0));
    cr_assert(!crn_code_follows_call(&lonely, UINTPTR_MAX));
}
