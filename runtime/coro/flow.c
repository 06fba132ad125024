/*
 * Follows the code of a trampoline.  See flow.h.
 *
 * Only the lengths of instructions and where they lead are of interest (Intel SDM volume 2,
 * appendix A, "Opcode Map").  Vector instructions with VEX and EVEX prefixes, far calls and what
 * changes the meaning of the code that follows are not understood: no trampoline has them.
 */
#include "coro/flow.h"
#include "coro/switcher.h"
#include "stack/rules.h"

#include <string.h>

enum { LONGEST = 16, STEPS_MOST = 96, BRANCHES_MOST = 12 };

enum kind {
    NOT_UNDERSTOOD,
    PLAIN,
    JUMP,   /* to `target` */
    BRANCH, /* there, or on */
    CALL,   /* by address, also through the table of another module's functions */
    CALL_BY_POINTER,
    RETURN, /* or a jump through a pointer */
    TRAP,
};

struct step {
    enum kind kind;
    unsigned bytes;
    uintptr_t target;
};

/* What follows an opcode: nothing, a ModRM byte with its operand, 1, 2 or 4 bytes. */
enum { NO = 0, M = 1, I1 = 2, I2 = 4, I4 = 8, X = 16 /* not understood */ };

/* clang-format off */
static const uint8_t one_byte[256] = {
    /* 00 */ M, M, M, M, I1, I4, X, X, M, M, M, M, I1, I4, X, X,
    /* 10 */ M, M, M, M, I1, I4, X, X, M, M, M, M, I1, I4, X, X,
    /* 20 */ M, M, M, M, I1, I4, X, X, M, M, M, M, I1, I4, X, X,
    /* 30 */ M, M, M, M, I1, I4, X, X, M, M, M, M, I1, I4, X, X,
    /* 40 */ X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    /* 50 */ NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    /* 60 */ X, X, X, M, X, X, X, X, I4, M | I4, I1, M | I1, X, X, X, X,
    /* 70 */ I1, I1, I1, I1, I1, I1, I1, I1, I1, I1, I1, I1, I1, I1, I1, I1,
    /* 80 */ M | I1, M | I4, X, M | I1, M, M, M, M, M, M, M, M, X, M, X, M,
    /* 90 */ NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, X, NO, NO, NO, NO, NO,
    /* a0 */ X, X, X, X, NO, NO, NO, NO, I1, I4, NO, NO, NO, NO, NO, NO,
    /* b0 */ I1, I1, I1, I1, I1, I1, I1, I1, I4, I4, I4, I4, I4, I4, I4, I4,
    /* c0 */ M | I1, M | I1, I2, NO, X, X, M | I1, M | I4, X, NO, X, X, NO, X, X, X,
    /* d0 */ M, M, M, M, X, X, X, X, M, M, M, M, M, M, M, M,
    /* e0 */ X, X, X, X, X, X, X, X, I4, I4, X, I1, X, X, X, X,
    /* f0 */ X, X, X, X, NO, NO, M, M, NO, NO, X, X, NO, NO, M, M,
};
/* Behind 0x0f. */
static const uint8_t two_bytes[256] = {
    /* 00 */ X, X, X, X, X, X, X, X, X, X, X, NO, X, M, X, X,
    /* 10 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
    /* 20 */ X, X, X, X, X, X, X, X, M, M, M, M, M, M, M, M,
    /* 30 */ X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    /* 40 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
    /* 50 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
    /* 60 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
    /* 70 */ M | I1, M | I1, M | I1, M | I1, M, M, M, X, X, X, X, X, M, M, M, M,
    /* 80 */ I4, I4, I4, I4, I4, I4, I4, I4, I4, I4, I4, I4, I4, I4, I4, I4,
    /* 90 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
    /* a0 */ X, X, X, M, M | I1, M, X, X, X, X, X, M, M | I1, M, M, M,
    /* b0 */ M, M, X, M, X, X, M, M, M, X, M | I1, M, M, M, M, M,
    /* c0 */ M, M, M | I1, M, M | I1, M | I1, M | I1, M, NO, NO, NO, NO, NO, NO, NO, NO,
    /* d0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
    /* e0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
    /* f0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
};
/* clang-format on */

/* How many bytes a ModRM byte and its operand take. */
static unsigned operand_bytes(const uint8_t *at)
{
    unsigned mod = at[0] >> 6, rm = at[0] & 7, bytes = 1;
    if (mod == 3)
        return bytes;
    bool has_base = true;
    if (rm == 4) { /* a SIB byte follows */
        has_base = mod != 0 || (at[bytes] & 7) != 5;
        bytes++;
    } else if (mod == 0 && rm == 5) {
        has_base = false;
    }
    if (mod == 1)
        return bytes + 1;
    return bytes + (mod == 2 || !has_base ? 4 : 0);
}

/* What an instruction with ModRM byte `modrm` and opcode f6, f7 or ff is beside its length. */
static enum kind group_kind(uint8_t opcode, uint8_t modrm)
{
    unsigned which = modrm >> 3 & 7;
    bool is_by_table = (modrm & 0xc7) == 5; /* *disp(%rip): another module's function */
    if (opcode != 0xff || which < 2 || which == 6)
        return PLAIN;
    if (which == 2)
        return is_by_table ? CALL : CALL_BY_POINTER;
    return which == 4 ? RETURN : NOT_UNDERSTOOD;
}

static enum kind kind_of(bool is_0f, uint8_t opcode, uint8_t modrm)
{
    if (is_0f)
        return opcode == 0x0b ? TRAP : opcode >= 0x80 && opcode <= 0x8f ? BRANCH : PLAIN;
    if (opcode >= 0x70 && opcode <= 0x7f)
        return BRANCH;
    switch (opcode) {
    case 0xe8:
        return CALL;
    case 0xe9:
    case 0xeb:
        return JUMP;
    case 0xc2:
    case 0xc3:
        return RETURN;
    case 0xcc:
    case 0xf4:
        return TRAP;
    case 0xff:
        return group_kind(opcode, modrm);
    default:
        return PLAIN;
    }
}

/* `at` points into the code, of which `address` is the place. */
static struct step step_read(const uint8_t *at, uintptr_t address)
{
    unsigned bytes = 0;
    bool is_narrow = false, is_wide = false;
    for (; at[bytes] == 0x66 || at[bytes] == 0xf2 || at[bytes] == 0xf3 || at[bytes] == 0xf0 ||
           at[bytes] == 0x2e || at[bytes] == 0x64;
         bytes++) {
        is_narrow |= at[bytes] == 0x66;
        if (bytes > 4)
            return (struct step){NOT_UNDERSTOOD, 0, 0};
    }
    if ((at[bytes] & 0xf0) == 0x40)
        is_wide = (at[bytes++] & 8) != 0;
    bool is_0f = at[bytes] == 0x0f;
    bytes += is_0f;
    uint8_t opcode = at[bytes++], modrm = at[bytes];
    uint8_t rest = (is_0f ? two_bytes : one_byte)[opcode];
    if ((rest & X) != 0)
        return (struct step){NOT_UNDERSTOOD, 0, 0};
    bytes += (rest & M) != 0 ? operand_bytes(at + bytes) : 0;
    bool has_relative =
        !is_0f ? opcode == 0xe8 || opcode == 0xe9 : opcode >= 0x80 && opcode <= 0x8f;
    int32_t immediate = 0;
    if ((rest & I1) != 0) {
        immediate = (int8_t)at[bytes];
        bytes += 1;
    } else if ((rest & I2) != 0) {
        bytes += 2;
    } else if ((rest & I4) != 0) {
        memcpy(&immediate, at + bytes, sizeof immediate);
        bytes += is_narrow && !has_relative                              ? 2
                 : is_wide && !is_0f && opcode >= 0xb8 && opcode <= 0xbf ? 8
                                                                         : 4;
    }
    if (!is_0f && (opcode & 0xfe) == 0xf6 && (modrm & 0x38) < 0x10) /* test $imm, … */
        bytes += opcode == 0xf6 ? 1 : is_narrow ? 2 : 4;
    return (struct step){kind_of(is_0f, opcode, modrm), bytes,
                         address + bytes + (uintptr_t)(intptr_t)immediate};
}

struct walk {
    const struct crn_code *code;
    struct crn_function function;
    uintptr_t from;  /* where the parked frame would go on */
    bool may_return; /* it is not the outermost one */
    bool has_returned;
    uintptr_t waiting[BRANCHES_MOST]; /* the other sides of branches */
    uintptr_t seen[STEPS_MOST];
    unsigned waiting_count, seen_count;
};

static struct step step_at(const struct walk *walk, uintptr_t at)
{
    uint8_t bytes[LONGEST + 8] = {0};
    if (at < walk->function.start || at >= walk->function.end || !crn_code_holds(walk->code, at, 1))
        return (struct step){NOT_UNDERSTOOD, 0, 0};
    size_t left = walk->function.end - at;
    left = left < LONGEST ? left : LONGEST;
    while (left > 1 && !crn_code_holds(walk->code, at, left))
        left--;
    memcpy(bytes, (const void *)at, left);
    struct step step = step_read(bytes, at);
    return step.bytes <= left ? step : (struct step){NOT_UNDERSTOOD, 0, 0};
}

/* Nothing but what fills up to the next function, or a trap, is behind a call that never returns.
 */
static bool is_end(const struct walk *walk, uintptr_t at)
{
    if (at >= walk->function.end)
        return true;
    return step_at(walk, at).kind == TRAP;
}

static bool is_seen(struct walk *walk, uintptr_t at)
{
    for (unsigned i = 0; i < walk->seen_count; i++)
        if (walk->seen[i] == at)
            return true;
    if (walk->seen_count < STEPS_MOST)
        walk->seen[walk->seen_count++] = at;
    return false;
}

/* Follows one way until it ends; false: it does not end as it should. */
static bool way_follow(struct walk *walk, uintptr_t at)
{
    for (unsigned steps = 0; steps < STEPS_MOST; steps++) {
        if (is_seen(walk, at))
            return true; /* round and round, or where another way ends well */
        struct step step = step_at(walk, at);
        switch (step.kind) {
        case PLAIN:
            at += step.bytes;
            break;
        case JUMP:
            at = step.target;
            break;
        case BRANCH:
            if (walk->waiting_count == BRANCHES_MOST)
                return false;
            walk->waiting[walk->waiting_count++] = step.target;
            at += step.bytes;
            break;
        case CALL:
            return is_end(walk, at + step.bytes);
        case CALL_BY_POINTER: /* around, to the entry of the next one */
            return !walk->may_return && at < walk->from;
        case RETURN:
            walk->has_returned = true;
            return walk->may_return;
        case TRAP:
            return true;
        default:
            return false;
        }
    }
    return false;
}

/* Whether the call before a return address is one by address. */
static bool follows_call_by_address(const struct crn_code *code, uintptr_t return_address)
{
    enum { CALL_BYTES = 5, TABLE_CALL_BYTES = 6 };
    if (!crn_code_holds(code, return_address - TABLE_CALL_BYTES, TABLE_CALL_BYTES))
        return false;
    const uint8_t *end = (const uint8_t *)return_address;
    if (end[-TABLE_CALL_BYTES] == 0xff && end[-TABLE_CALL_BYTES + 1] == 0x15)
        return true;
    return end[-CALL_BYTES] == 0xe8 && crn_code_callee(code, return_address) != 0;
}

bool crn_flow_never_returns(const struct crn_code *code, uintptr_t return_address)
{
    struct walk walk = {.code = code, .from = return_address};
    return crn_function_find(return_address - 1, &walk.function) &&
           return_address - 1 >= walk.function.start && return_address <= walk.function.end &&
           is_end(&walk, return_address);
}

/*
 * Where the frame really goes on: behind a setjmp of the program's own, what it answers when it
 * comes back is not zero.
 */
static uintptr_t behind_saver(const struct walk *walk)
{
    enum { TEST_BYTES = 2, COMPARE_BYTES = 3, JE = 0x74, JNE = 0x75 };
    static const uint8_t test_eax[TEST_BYTES] = {0x85, 0xc0};
    static const uint8_t compare_eax[COMPARE_BYTES] = {0x83, 0xf8, 0};
    if (!crn_code_holds(walk->code, walk->from, COMPARE_BYTES) ||
        !crn_switcher_of(walk->code, walk->from).is_saver)
        return walk->from;
    bool is_test = memcmp((const void *)walk->from, test_eax, TEST_BYTES) == 0;
    if (!is_test && memcmp((const void *)walk->from, compare_eax, COMPARE_BYTES) != 0)
        return walk->from;
    uintptr_t at = walk->from + (is_test ? TEST_BYTES : COMPARE_BYTES);
    struct step branch = step_at(walk, at);
    if (branch.kind != BRANCH)
        return walk->from;
    const uint8_t *opcode = (const uint8_t *)at;
    uint8_t which = opcode[0] == 0x0f ? opcode[1] - 0x10 : opcode[0];
    return which == JE ? at + branch.bytes : which == JNE ? branch.target : walk->from;
}

static bool ways_follow(struct walk *walk)
{
    if ((!walk->may_return && !follows_call_by_address(walk->code, walk->from)) ||
        !crn_function_find(walk->from - 1, &walk->function) ||
        walk->from - 1 < walk->function.start || walk->from > walk->function.end)
        return false;
    if (walk->from == walk->function.end)
        return !walk->may_return; /* the call never returns */
    walk->waiting[walk->waiting_count++] = behind_saver(walk);
    while (walk->waiting_count > 0)
        if (!way_follow(walk, walk->waiting[--walk->waiting_count]))
            return false;
    return true;
}

bool crn_flow_returns(const struct crn_code *code, uintptr_t return_address)
{
    struct walk walk = {.code = code, .from = return_address, .may_return = true};
    return ways_follow(&walk) && walk.has_returned;
}

/* Whether a function calls through a pointer before it comes to where it is parked. */
static bool has_called_entry(const struct walk *walk)
{
    bool has_called = false;
    uintptr_t at = walk->function.start;
    for (unsigned steps = 0; steps < STEPS_MOST && at < walk->from; steps++) {
        struct step step = step_at(walk, at);
        if (step.kind == NOT_UNDERSTOOD)
            return false;
        has_called |= step.kind == CALL_BY_POINTER;
        at += step.bytes;
    }
    return has_called && at == walk->from;
}

bool crn_flow_has_ended(const struct crn_code *code, uintptr_t return_address)
{
    struct walk walk = {.code = code, .from = return_address};
    return ways_follow(&walk) && has_called_entry(&walk);
}
