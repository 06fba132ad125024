/*
 * Reads the code of context switches.  See switcher.h.
 *
 * The decoder knows the few instructions that hand-written switches of x86-64 consist of (Intel
 * SDM volume 2, "Instruction Format") and gives up at the first other one: what it does not
 * understand is not a switch.
 */
#include "coro/switcher.h"
#include "base/sys.h"

#include <string.h>

enum { RSP = 4, RBP = 5, REGISTERS = 16, NO_REGISTER = 255 };
enum { INSTRUCTIONS_MAX = 64, JUMPS_MAX = 4, LONGEST = 16, DEPTH_MOST = 1024 };

/* One decoded instruction, as far as it matters. */
struct insn {
    uint8_t bytes;    /* its length; 0: not understood */
    uint8_t opcode;   /* behind 0x0f: second byte */
    bool is_0f, is_wide;
    bool has_modrm, is_memory;
    uint8_t reg, rm;  /* registers with their REX bit; rm: of a memory operand its base */
    bool has_index;
    int32_t displacement;
    int64_t immediate;
};

struct walk {
    const struct crn_code *code;
    uintptr_t at;
    int depth;               /* bytes pushed since the return address */
    uint16_t holds_rsp;      /* registers that hold a copy of rsp, as a mask */
    int32_t copy_depth[REGISTERS];
    bool is_kept;            /* rsp was kept in memory or in a register that is passed on */
    int kept_depth;
    uint8_t kept_base;       /* base register of the memory it was kept in */
    int32_t kept_displacement;
    bool has_bp_beside;      /* rbp was kept in memory that is not on the stack */
    int32_t bp_displacement;
    bool keeps_float;        /* stores mxcsr or the x87 control word: fcontext does */
    bool is_switch;
    struct crn_switcher found;
};

static int32_t read_i32(const uint8_t *at)
{
    int32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* The operands behind a ModRM byte; answers how many bytes they take. */
static unsigned modrm_read(const uint8_t *at, uint8_t rex, struct insn *insn)
{
    uint8_t mod = at[0] >> 6, rm = at[0] & 7;
    unsigned bytes = 1;
    insn->has_modrm = true;
    insn->is_memory = mod != 3;
    insn->reg = (uint8_t)((at[0] >> 3 & 7) | (rex & 4) << 1);
    insn->rm = (uint8_t)(rm | (rex & 1) << 3);
    if (mod == 3)
        return 1;
    if (rm == 4) {
        uint8_t sib = at[bytes++];
        insn->rm = (uint8_t)((sib & 7) | (rex & 1) << 3);
        insn->has_index = (sib >> 3 & 7) != 4 || (rex & 2) != 0;
        if (mod == 0 && (sib & 7) == 5) {
            insn->rm = NO_REGISTER;
            bytes += 4;
        }
    } else if (mod == 0 && rm == 5) {
        insn->rm = NO_REGISTER; /* rip-relative */
        insn->displacement = read_i32(at + bytes);
        bytes += 4;
    }
    if (mod == 1) {
        insn->displacement = (int8_t)at[bytes];
        bytes += 1;
    } else if (mod == 2) {
        insn->displacement = read_i32(at + bytes);
        bytes += 4;
    }
    return bytes;
}

static struct insn understood(struct insn insn, unsigned bytes)
{
    insn.bytes = (uint8_t)bytes;
    return insn;
}

/* Behind a 0x0f byte. */
static struct insn decode_0f(const uint8_t *at, unsigned bytes, uint8_t rex, struct insn insn)
{
    insn.is_0f = true;
    insn.opcode = at[bytes++];
    switch (insn.opcode) {
    case 0x1e: /* endbr64, rdssp */
    case 0x1f: /* nop */
    case 0xae: /* stmxcsr, ldmxcsr */
    case 0x10: case 0x11: case 0x28: case 0x29: /* movups, movaps */
    case 0x6f: case 0x7f:                       /* movdqa, movdqu */
    case 0xd6: case 0x7e:                       /* movq */
    case 0x18:                                  /* prefetch */
        return understood(insn, bytes + modrm_read(at + bytes, rex, &insn));
    default:
        if (insn.opcode >= 0x80 && insn.opcode <= 0x8f) { /* jcc rel32 */
            insn.immediate = read_i32(at + bytes);
            return understood(insn, bytes + 4);
        }
        return insn;
    }
}

static struct insn decode(const uint8_t *at)
{
    struct insn insn = {.bytes = 0};
    unsigned bytes = 0;
    uint8_t rex = 0;
    while (at[bytes] == 0xf3 || at[bytes] == 0xf2 || at[bytes] == 0x66 || at[bytes] == 0x64 ||
           at[bytes] == 0x2e)
        if (++bytes > 4)
            return insn;
    if ((at[bytes] & 0xf0) == 0x40)
        rex = at[bytes++];
    insn.is_wide = (rex & 8) != 0;
    insn.opcode = at[bytes++];
    if (insn.opcode == 0x0f)
        return decode_0f(at, bytes, rex, insn);
    if (insn.opcode >= 0x50 && insn.opcode <= 0x5f) { /* push, pop */
        insn.reg = (uint8_t)((insn.opcode & 7) | (rex & 1) << 3);
        return understood(insn, bytes);
    }
    if (insn.opcode >= 0x70 && insn.opcode <= 0x7f) { /* jcc rel8 */
        insn.immediate = (int8_t)at[bytes];
        return understood(insn, bytes + 1);
    }
    if (insn.opcode >= 0xb8 && insn.opcode <= 0xbf) { /* mov $imm,reg */
        insn.reg = (uint8_t)((insn.opcode & 7) | (rex & 1) << 3);
        return understood(insn, bytes + (insn.is_wide ? 8 : 4));
    }
    switch (insn.opcode) {
    case 0x90: case 0x9b: case 0x9c: case 0x9d: case 0xc3: case 0xf4: case 0xcc:
        return understood(insn, bytes);
    case 0x6a: /* push $imm8 */
        return understood(insn, bytes + 1);
    case 0x68: /* push $imm32 */
        return understood(insn, bytes + 4);
    case 0xe9: /* jmp rel32 */
        insn.immediate = read_i32(at + bytes);
        return understood(insn, bytes + 4);
    case 0xeb: /* jmp rel8 */
        insn.immediate = (int8_t)at[bytes];
        return understood(insn, bytes + 1);
    case 0x87: case 0x89: case 0x8b: case 0x8d: /* xchg, mov, mov, lea */
    case 0x31: case 0x33: case 0x85: case 0x39: case 0x3b: case 0x01: case 0x03: case 0x29:
    case 0x2b: case 0x21: case 0x23: case 0x09: case 0x0b:
    case 0xd9: case 0xff: case 0x63:
        return understood(insn, bytes + modrm_read(at + bytes, rex, &insn));
    case 0x83:
        bytes += modrm_read(at + bytes, rex, &insn);
        insn.immediate = (int8_t)at[bytes];
        return understood(insn, bytes + 1);
    case 0x81: case 0xc7:
        bytes += modrm_read(at + bytes, rex, &insn);
        insn.immediate = read_i32(at + bytes);
        return understood(insn, bytes + 4);
    default:
        return insn;
    }
}

static void rsp_keep(struct walk *walk, int depth, uint8_t base, int32_t displacement)
{
    if (walk->is_kept)
        return;
    walk->is_kept = true;
    walk->kept_depth = depth;
    walk->kept_base = base;
    walk->kept_displacement = displacement;
}

/* Whether a displacement may be one inside a switch's frame or buffer. */
static bool is_near(int64_t displacement)
{
    return displacement >= -DEPTH_MOST && displacement <= DEPTH_MOST;
}

/* rbp goes to a buffer; how far from rsp is known at the end. */
static void bp_keep(struct walk *walk, int32_t displacement)
{
    walk->has_bp_beside = true;
    walk->bp_displacement = displacement;
}

/* `mov reg, place`: keeps rsp, or rbp where we look for it later. */
static void store_note(struct walk *walk, const struct insn *insn)
{
    bool is_rsp = insn->reg == RSP;
    if (!insn->is_memory) {
        if (is_rsp && insn->rm != RBP) {
            walk->holds_rsp |= (uint16_t)(1u << insn->rm);
            walk->copy_depth[insn->rm] = walk->depth;
        } else if (!is_rsp) {
            walk->holds_rsp &= (uint16_t)~(1u << insn->rm);
        }
        return;
    }
    if (insn->reg == RBP && insn->rm == RSP && !insn->has_index && is_near(insn->displacement))
        walk->found.bp_depth = (int16_t)(walk->depth - insn->displacement);
    else if (insn->reg == RBP && insn->rm < REGISTERS && !insn->has_index && insn->rm != RBP &&
             insn->rm != RSP)
        bp_keep(walk, insn->displacement);
    if (is_rsp && insn->rm != RSP && insn->rm != RBP)
        rsp_keep(walk, walk->depth, insn->rm, insn->displacement);
    else if (!is_rsp && (walk->holds_rsp >> insn->reg & 1) != 0 && insn->rm != RSP &&
             insn->rm != RBP)
        rsp_keep(walk, walk->copy_depth[insn->reg], insn->rm, insn->displacement);
}

/* rsp is taken from a place; is it another stack's? */
static void rsp_take(struct walk *walk, const struct insn *insn)
{
    uint8_t source = insn->rm;
    if (insn->is_memory) {
        if (source == RSP || source == RBP)
            return; /* a local variable: back to where it was */
        walk->is_switch = walk->is_kept;
        if (walk->is_switch || walk->holds_rsp == 0)
            return;
    } else if (source == RBP || (walk->holds_rsp >> source & 1) != 0) {
        return; /* back to where it was */
    }
    if (!walk->is_kept && walk->holds_rsp != 0) {
        /* Kept in a register only: fcontext hands it to the other side. */
        uint8_t copy = (uint8_t)__builtin_ctz(walk->holds_rsp);
        rsp_keep(walk, walk->copy_depth[copy], NO_REGISTER, 0);
    }
    walk->is_switch = walk->is_kept;
}

static void instruction_note(struct walk *walk, const struct insn *insn)
{
    if (insn->is_0f) {
        walk->keeps_float |= insn->opcode == 0xae && insn->is_memory;
        return;
    }
    if (insn->opcode >= 0x50 && insn->opcode <= 0x57) {
        walk->depth += 8;
        if (insn->reg == RBP)
            walk->found.bp_depth = (int16_t)walk->depth;
    } else if (insn->opcode >= 0x58 && insn->opcode <= 0x5f) {
        walk->depth -= 8;
        walk->holds_rsp &= (uint16_t)~(1u << insn->reg);
    } else if (insn->opcode == 0x9c || insn->opcode == 0x6a || insn->opcode == 0x68) {
        walk->depth += 8;
    } else if (insn->opcode == 0x9d) {
        walk->depth -= 8;
    } else if (insn->opcode == 0xd9) {
        walk->keeps_float |= insn->is_memory && (insn->reg & 7) == 7;
    } else if (insn->opcode == 0x89 && insn->is_wide) {
        if (!insn->is_memory && insn->rm == RSP) {
            struct insn load = {.rm = insn->reg};
            rsp_take(walk, &load);
        } else {
            store_note(walk, insn);
        }
    } else if (insn->opcode == 0x8b && insn->is_wide) {
        if (insn->reg == RSP) {
            rsp_take(walk, insn);
        } else if (!insn->is_memory && insn->rm == RSP) {
            struct insn store = {.reg = RSP, .rm = insn->reg};
            store_note(walk, &store);
        } else {
            walk->holds_rsp &= (uint16_t)~(1u << insn->reg);
        }
    } else if (insn->opcode == 0x87 && insn->is_wide && (insn->reg == RSP || insn->rm == RSP)) {
        bool is_other = insn->reg == RSP ? insn->rm != RBP : insn->reg != RBP;
        if (is_other) {
            rsp_keep(walk, walk->depth, insn->is_memory ? insn->rm : NO_REGISTER,
                     insn->displacement);
            walk->is_switch = true;
        }
    } else if (insn->opcode == 0x8d && insn->is_wide && insn->rm == RSP && !insn->has_index &&
               is_near(insn->displacement)) {
        if (insn->reg == RSP) {
            walk->depth -= insn->displacement;
        } else if (insn->reg != RBP) {
            walk->holds_rsp |= (uint16_t)(1u << insn->reg);
            walk->copy_depth[insn->reg] = walk->depth - insn->displacement;
        }
    } else if ((insn->opcode == 0x83 || insn->opcode == 0x81) && !insn->is_memory &&
               insn->rm == RSP && is_near(insn->immediate)) {
        if ((insn->reg & 7) == 5)
            walk->depth += (int)insn->immediate;
        else if ((insn->reg & 7) == 0)
            walk->depth -= (int)insn->immediate;
    }
}

static bool is_indirect_jump(const struct insn *insn)
{
    return !insn->is_0f && insn->opcode == 0xff && (insn->reg & 7) == 4;
}

static bool is_indirect_call(const struct insn *insn)
{
    return !insn->is_0f && insn->opcode == 0xff && (insn->reg & 7) == 2;
}

static uintptr_t word_at(uintptr_t address)
{
    uintptr_t word = 0;
    return crn_memory_read(&word, address, sizeof word) ? word : 0;
}

/* Follows a stub of the procedure linkage table; answers the function, or `at` itself. */
static uintptr_t stub_follow(const struct crn_code *code, uintptr_t at)
{
    enum { ENDBR_BYTES = 4 };
    static const uint8_t endbr[ENDBR_BYTES] = {0xf3, 0x0f, 0x1e, 0xfa};
    if (!crn_code_holds(code, at, ENDBR_BYTES + LONGEST))
        return at;
    const uint8_t *bytes = (const uint8_t *)at;
    if (memcmp(bytes, endbr, ENDBR_BYTES) == 0)
        bytes += ENDBR_BYTES;
    struct insn insn = decode(bytes);
    if (insn.bytes == 0 || !is_indirect_jump(&insn) || insn.rm != NO_REGISTER || !insn.is_memory)
        return at;
    return word_at((uintptr_t)bytes + insn.bytes + (uintptr_t)(intptr_t)insn.displacement);
}

/* Reads the function at `target` until it has switched, or ends. */
static struct crn_switcher function_read(const struct crn_code *code, uintptr_t target)
{
    struct walk walk = {.code = code, .at = target, .kept_base = NO_REGISTER};
    unsigned jumps = 0;
    walk.found.bp_depth = walk.found.bp_beside = CRN_SWITCHER_NO_BP;
    for (unsigned i = 0; i < INSTRUCTIONS_MAX && crn_code_holds(code, walk.at, LONGEST); i++) {
        struct insn insn = decode((const uint8_t *)walk.at);
        bool is_return = !insn.is_0f && insn.opcode == 0xc3;
        walk.found.is_saver = is_return && walk.is_kept && walk.kept_base != NO_REGISTER;
        if (insn.bytes == 0 || is_return)
            break;
        bool was_switch = walk.is_switch;
        uintptr_t next = walk.at + insn.bytes;
        if (!insn.is_0f && (insn.opcode == 0xe9 || insn.opcode == 0xeb)) {
            if (was_switch || ++jumps > JUMPS_MAX)
                break;
            next = stub_follow(code, next + (uintptr_t)insn.immediate);
        } else if (is_indirect_jump(&insn)) {
            if (was_switch || insn.rm != NO_REGISTER || !insn.is_memory || ++jumps > JUMPS_MAX)
                break;
            next = word_at(next + (uintptr_t)(intptr_t)insn.displacement);
        } else if (is_indirect_call(&insn)) {
            break;
        } else if (!was_switch) {
            instruction_note(&walk, &insn);
        } else if (insn.opcode == 0x89 && insn.is_wide && insn.is_memory && insn.reg == RBP &&
                   insn.rm == walk.kept_base) {
            bp_keep(&walk, insn.displacement); /* kept after the stacks changed */
        }
        walk.at = next;
    }
    if ((!walk.is_switch && !walk.found.is_saver) || walk.kept_depth < -8 ||
        walk.kept_depth > DEPTH_MOST)
        return (struct crn_switcher){.is_switch = false};
    int64_t beside = (int64_t)walk.bp_displacement - walk.kept_displacement;
    if (walk.has_bp_beside && is_near(beside))
        walk.found.bp_beside = (int16_t)beside;
    walk.found.is_switch = walk.is_switch;
    walk.found.depth = (int16_t)walk.kept_depth;
    walk.found.mechanism =
        walk.keeps_float && walk.kept_base == NO_REGISTER ? CRN_MECHANISM_FCONTEXT
                                                          : CRN_MECHANISM_SWITCH;
    return walk.found;
}

static bool is_switch_or_saver(const struct crn_code *code, uintptr_t target)
{
    struct crn_switcher read = function_read(code, stub_follow(code, target));
    return read.is_switch || read.is_saver;
}

/* The target of `call *%reg`: what the code before loads into that register, if it is a switch. */
static uintptr_t register_target(const struct crn_code *code, uintptr_t call, uint8_t reg)
{
    enum { BACK_MAX = 160, LOAD_BYTES = 7 };
    for (uintptr_t at = call - LOAD_BYTES; at + BACK_MAX > call; at--) {
        if (!crn_code_holds(code, at, LONGEST))
            return 0;
        struct insn insn = decode((const uint8_t *)at);
        uintptr_t place = at + insn.bytes + (uintptr_t)(intptr_t)insn.displacement;
        if (insn.bytes != LOAD_BYTES || !insn.is_wide || insn.rm != NO_REGISTER || insn.reg != reg)
            continue;
        uintptr_t target = 0;
        if (insn.opcode == 0x8d)
            target = place; /* lea: the function itself */
        else if (insn.opcode == 0x8b && insn.is_memory)
            target = word_at(place);
        if (target != 0 && is_switch_or_saver(code, target))
            return target;
    }
    return 0;
}

/* Where the call before `address` went; 0: no call, or nobody knows. */
static uintptr_t call_target(const struct crn_code *code, uintptr_t address)
{
    const uint8_t *end = (const uint8_t *)address;
    if (!crn_code_holds(code, address - 7, 7))
        return 0;
    if (end[-5] == 0xe8)
        return address + (uintptr_t)(intptr_t)read_i32(end - 4);
    if (end[-6] == 0xff && end[-5] == 0x15)
        return word_at(address + (uintptr_t)(intptr_t)read_i32(end - 4));
    if (end[-2] == 0xff && (end[-1] & 0xf8) == 0xd0) {
        bool is_extended = end[-3] == 0x41;
        return register_target(code, address - (is_extended ? 3 : 2),
                               (uint8_t)((end[-1] & 7) | (is_extended ? 8 : 0)));
    }
    return 0;
}

bool crn_code_follows_call(const struct crn_code *code, uintptr_t address)
{
    enum { CALL_MOST = 7 };
    uint8_t bytes[CALL_MOST + LONGEST] = {0}; /* what follows the call may be no memory at all */
    const uint8_t *end = bytes + CALL_MOST;
    if (!crn_code_holds(code, address - CALL_MOST, CALL_MOST + 1))
        return false;
    memcpy(bytes, (const void *)(address - CALL_MOST), CALL_MOST);
    if (end[-5] == 0xe8)
        return true;
    for (unsigned back = 2; back <= CALL_MOST; back++) {
        struct insn insn = decode(end - back);
        if (insn.bytes == back && is_indirect_call(&insn))
            return true;
    }
    return false;
}

uintptr_t crn_code_callee(const struct crn_code *code, uintptr_t return_address)
{
    uintptr_t target = call_target(code, return_address);
    return target != 0 ? stub_follow(code, target) : 0;
}

struct crn_switcher crn_switcher_of(const struct crn_code *code, uintptr_t return_address)
{
    uintptr_t target = crn_code_callee(code, return_address);
    if (target == 0)
        return (struct crn_switcher){.is_switch = false};
    return function_read(code, target);
}
