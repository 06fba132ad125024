/*
 * Reads machine code for the marks of coroutines.  See cxx20_code.h.
 *
 * There is no decoder here: an instruction is looked for at every byte, so one may be seen where
 * none is.  What is found by chance never holds out, since each proof takes several that agree,
 * on addresses where functions start.
 */
#include "coro/cxx20_code.h"

#include <string.h>

enum {
    REG_NONE = 16,
    REG_RSP = 4,
    THUNK_BYTES = 64, /* a destroying function of gcc's has said all by then */
    LOAD_TO_STORE_BYTES = 24,
    RAMP_BYTES = 96, /* from one store of a ramp to the other, and to what they store */
};

/* A piece of code. */
struct piece {
    const uint8_t *at, *end;
};

static int32_t int32_at(const uint8_t *at)
{
    int32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uintptr_t address_of(const uint8_t *at)
{
    return (uintptr_t)at;
}

/* The first `most` bytes of a function, as far as they can be read. */
static struct piece function_open(const struct crn_code *code, const struct crn_function *function,
                                  size_t most)
{
    size_t bytes = function->end - function->start;
    if (bytes > most)
        bytes = most;
    if (!crn_code_holds(code, function->start, bytes))
        bytes = 0;
    const uint8_t *start = (const uint8_t *)function->start;
    return (struct piece){start, start + bytes};
}

bool crn_code_is_function(uintptr_t address, struct crn_function *function)
{
    return crn_function_find(address, function) && function->start == address;
}

/* A memory operand: base register and displacement. */
struct operand {
    unsigned reg, base; /* `reg`: the other operand, or an extension of the opcode */
    int32_t disp;
    unsigned bytes; /* of ModRM and what belongs to it */
};

/* Reads ModRM at `at`; false: no memory operand of base and displacement only. */
static bool operand_read(const uint8_t *at, const uint8_t *end, unsigned rex,
                         struct operand *operand)
{
    if (at + 2 > end)
        return false;
    unsigned mod = at[0] >> 6, low = at[0] & 7;
    operand->reg = ((at[0] >> 3) & 7) | (rex & 4) << 1;
    operand->bytes = 1;
    if (mod == 3 || (mod == 0 && low == 5))
        return false;
    if (low == 4) {
        low = at[1] & 7;
        operand->bytes = 2;
        if ((at[1] & 0x38) != 0x20 || (rex & 2) != 0 || (mod == 0 && low == 5))
            return false;
    }
    operand->base = low | (rex & 1) << 3;
    if (at + operand->bytes + (mod == 0 ? 0 : mod == 1 ? 1 : 4) > end)
        return false;
    operand->disp = mod == 0   ? 0
                    : mod == 1 ? (int8_t)at[operand->bytes]
                               : int32_at(at + operand->bytes);
    operand->bytes += mod == 0 ? 0 : mod == 1 ? 1 : 4;
    return true;
}

/* The function that a direct jump or call within [at, end) goes to, other than `self`. */
static bool callee_find(struct piece piece, uintptr_t self, uintptr_t *callee)
{
    for (const uint8_t *at = piece.at; at + 2 <= piece.end; at++) {
        struct crn_function function;
        uintptr_t target;
        if ((*at == 0xe8 || *at == 0xe9) && at + 5 <= piece.end)
            target = address_of(at + 5) + (uintptr_t)(intptr_t)int32_at(at + 1);
        else if (*at == 0xeb)
            target = address_of(at + 2) + (uintptr_t)(intptr_t)(int8_t)at[1];
        else
            continue;
        if (target != self && crn_code_is_function(target, &function)) {
            *callee = target;
            return true;
        }
    }
    return false;
}

/* Whether the code reads what lies at `offset` from a register: movzwl, at -Os mov. */
static bool reads_index(struct piece piece, uint32_t offset)
{
    struct operand operand;
    for (const uint8_t *at = piece.at; at + 2 <= piece.end; at++) {
        unsigned opcode_bytes = at[0] == 0x0f && at[1] == 0xb7 ? 2 : at[0] == 0x8b ? 1 : 0;
        if (opcode_bytes != 0 && operand_read(at + opcode_bytes, piece.end, 0, &operand) &&
            operand.disp == (int32_t)offset)
            return true;
    }
    return false;
}

/* Finds where 16 bits in memory get their lowest bit set; `piece` then begins behind that. */
static bool index_find(struct piece *piece, uint32_t *offset)
{
    int32_t loaded = 0;
    bool is_set = false;
    struct operand operand;
    for (const uint8_t *at = piece->at; at + 3 <= piece->end; at++) {
        int32_t found = 0;
        if (at[0] == 0x66 && at[1] == 0x83 && operand_read(at + 2, piece->end, 0, &operand) &&
            operand.reg == 1 && at + 2 + operand.bytes < piece->end && at[2 + operand.bytes] == 1)
            found = operand.disp; /* orw $1,disp(reg) */
        else if (at[0] == 0x0f && at[1] == 0xb7 && operand_read(at + 2, piece->end, 0, &operand))
            loaded = operand.disp; /* movzwl disp(reg),reg */
        else if (at[0] == 0x83 && (at[1] & 0xf8) == 0xc8 && at[2] == 1)
            is_set = loaded > 0; /* or $1,reg */
        else if (at[0] == 0x66 && at[1] == 0x89 && is_set &&
                 operand_read(at + 2, piece->end, 0, &operand) && operand.disp == loaded)
            found = loaded; /* mov reg,disp(reg) */
        if (found >= 16) {
            piece->at = at + 3;
            *offset = (uint32_t)found;
            return true;
        }
    }
    return false;
}

/* Whether this is the start of a function that reads the resume index there. */
static bool is_actor(const struct crn_code *code, uintptr_t address, uint32_t index_at)
{
    struct crn_function function;
    return crn_code_is_function(address, &function) &&
           reads_index(function_open(code, &function, THUNK_BYTES), index_at);
}

bool crn_gcc_destroy_read(const struct crn_code *code, const struct crn_function *function,
                          uintptr_t resume, struct crn_gcc_destroy *destroy)
{
    struct piece piece = function_open(code, function, THUNK_BYTES);
    struct crn_function before;
    if (!index_find(&piece, &destroy->index_at))
        return false;
    destroy->actor = resume;
    if (resume != 0)
        return is_actor(code, resume, destroy->index_at);
    if (callee_find(piece, function->start, &destroy->actor) &&
        is_actor(code, destroy->actor, destroy->index_at))
        return true;
    /* The actor stands here itself.  It often is a function too, right before. */
    bool is_before = crn_function_find(function->start - 1, &before) &&
                     is_actor(code, before.start, destroy->index_at);
    destroy->actor = is_before ? before.start : function->start;
    return true;
}

/* The last value that was put into a register before `at`: mov $imm,reg; -1: none nearby. */
static int64_t immediate_before(const uint8_t *start, const uint8_t *at, unsigned reg)
{
    for (const uint8_t *back = at - 5; back >= start && at - back <= RAMP_BYTES; back--) {
        bool is_high = back > start && back[-1] == 0x41;
        if ((back[0] & 0xf8) == 0xb8 && ((back[0] & 7u) | (is_high ? 8u : 0u)) == reg)
            return (uint32_t)int32_at(back + 1);
    }
    return -1;
}

uintptr_t crn_gcc_suspension_find(const struct crn_code *code, uintptr_t actor, uint32_t index_at,
                                  uint16_t index)
{
    struct crn_function function;
    struct operand operand;
    if (!crn_code_is_function(actor, &function))
        return 0;
    struct piece piece = function_open(code, &function, SIZE_MAX);
    for (const uint8_t *at = piece.at; at + 4 <= piece.end; at++) {
        if (at[0] != 0x66)
            continue;
        unsigned prefix = (at[1] & 0xf0) == 0x40, rex = prefix ? at[1] : 0;
        const uint8_t *opcode = at + 1 + prefix;
        if (!operand_read(opcode + 1, piece.end, rex, &operand) ||
            operand.disp != (int32_t)index_at)
            continue;
        const uint8_t *immediate = opcode + 1 + operand.bytes;
        if (*opcode == 0xc7 && immediate + 2 <= piece.end &&
            (uint16_t)(immediate[0] | immediate[1] << 8) == index)
            return address_of(at); /* movw $index,disp(reg) */
        if (*opcode == 0x89 && immediate_before(piece.at, at, operand.reg) == index)
            return address_of(at); /* mov $index,reg .. mov reg,disp(reg) */
    }
    return 0;
}

bool crn_code_clears_first_word(const struct crn_code *code, const struct crn_function *function)
{
    struct piece piece = function_open(code, function, SIZE_MAX);
    struct operand operand;
    for (const uint8_t *at = piece.at; at + 8 <= piece.end; at++) {
        if ((at[0] & 0xfe) != 0x48 || (at[1] != 0xc7 && at[1] != 0x83) ||
            !operand_read(at + 2, piece.end, at[0], &operand) || operand.disp != 0 ||
            operand.base == REG_RSP)
            continue;
        const uint8_t *immediate = at + 2 + operand.bytes;
        if (at[1] == 0xc7 && (operand.reg & 7) == 0 && immediate + 4 <= piece.end &&
            int32_at(immediate) == 0)
            return true; /* movq $0,(reg) */
        if (at[1] == 0x83 && (operand.reg & 7) == 4 && immediate < piece.end && *immediate == 0)
            return true; /* andq $0,(reg), as -Oz has it */
    }
    return false;
}

/* The search for ramps. */
struct ramps {
    const struct crn_code *code;
    struct piece piece; /* the range that is read */
    void (*visit)(uintptr_t resume, uintptr_t destroy, void *user);
    void *user;
};

/* An instruction that puts an address of code into a register; answers its length, else 0. */
static unsigned load_read(const struct ramps *ramps, const uint8_t *at, unsigned *reg,
                          uintptr_t *address)
{
    unsigned bytes = 0;
    if (at + 10 > ramps->piece.end)
        return 0;
    if ((at[0] & 0xfb) == 0x48 && at[1] == 0x8d && (at[2] & 0xc7) == 0x05) {
        bytes = 7; /* lea disp(%rip),reg */
        *reg = ((at[2] >> 3) & 7) | (at[0] & 4) << 1;
        *address = address_of(at + 7) + (uintptr_t)(intptr_t)int32_at(at + 3);
    } else if ((at[0] & 0xfe) == 0x48 && at[1] == 0xc7 && (at[2] & 0xf8) == 0xc0) {
        bytes = 7; /* mov $imm,reg */
        *reg = (at[2] & 7) | (at[0] & 1) << 3;
        *address = (uintptr_t)(intptr_t)int32_at(at + 3);
    } else if ((at[0] & 0xfe) == 0x48 && (at[1] & 0xf8) == 0xb8) {
        bytes = 10; /* movabs $imm,reg */
        *reg = (at[1] & 7) | (at[0] & 1) << 3;
        memcpy(address, at + 2, sizeof *address);
    } else if ((at[0] & 0xf8) == 0xb8 || (at[0] == 0x41 && (at[1] & 0xf8) == 0xb8)) {
        unsigned prefix = at[0] == 0x41; /* mov $imm,reg, 32 bits wide */
        bytes = 5 + prefix;
        *reg = (at[prefix] & 7) | prefix << 3;
        *address = (uint32_t)int32_at(at + prefix + 1);
    }
    return bytes != 0 && crn_code_holds(ramps->code, *address, 1) ? bytes : 0;
}

/* An instruction that stores a register, or (`reg` is then REG_NONE) an address, to memory. */
static bool store_read(const struct ramps *ramps, const uint8_t *at, unsigned *reg,
                       uintptr_t *address, struct operand *operand)
{
    if (at + 12 > ramps->piece.end || (at[0] & 0xf8) != 0x48 || (at[1] != 0x89 && at[1] != 0xc7) ||
        !operand_read(at + 2, ramps->piece.end, at[0], operand) || operand->base == REG_RSP ||
        operand->disp < 0)
        return false;
    if (at[1] == 0x89) {
        *reg = operand->reg;
        return true;
    }
    *reg = REG_NONE;
    *address = (uintptr_t)(intptr_t)int32_at(at + 2 + operand->bytes);
    return (operand->reg & 7) == 0 && crn_code_holds(ramps->code, *address, 1);
}

static bool is_pair(uintptr_t resume, uintptr_t destroy)
{
    struct crn_function function, before;
    return crn_code_is_function(destroy, &function) && crn_function_find(destroy - 1, &before) &&
           before.start == resume;
}

static struct piece window(const struct ramps *ramps, const uint8_t *at)
{
    struct piece piece = {at - ramps->piece.at > RAMP_BYTES ? at - RAMP_BYTES : ramps->piece.at,
                          ramps->piece.end - at > RAMP_BYTES ? at + RAMP_BYTES : ramps->piece.end};
    return piece;
}

/* Whether what was loaded is stored to the word behind `first`, or a jump leads there. */
static bool is_stored_behind(const struct ramps *ramps, struct piece piece, const uint8_t *load_end,
                             const struct operand *first)
{
    struct operand operand;
    unsigned reg;
    uintptr_t address;
    for (const uint8_t *at = piece.at; at < piece.end; at++)
        if (store_read(ramps, at, &reg, &address, &operand) && reg != REG_NONE &&
            operand.base == first->base && operand.disp == first->disp + 8)
            return true;
    /* Where ramps end alike, clang joins them before that store. */
    return load_end < piece.end && (*load_end == 0xe9 || *load_end == 0xeb);
}

/* `resume` is stored to `first`: is the function that follows it stored to the word behind? */
static void second_store_find(const struct ramps *ramps, const uint8_t *place, uintptr_t resume,
                              const struct operand *first)
{
    struct piece piece = window(ramps, place);
    struct operand operand;
    unsigned reg;
    uintptr_t address;
    for (const uint8_t *at = piece.at; at < piece.end; at++) {
        unsigned bytes = load_read(ramps, at, &reg, &address);
        bool is_stored = bytes != 0
                             ? is_stored_behind(ramps, piece, at + bytes, first)
                             : store_read(ramps, at, &reg, &address, &operand) && reg == REG_NONE &&
                                   operand.base == first->base && operand.disp == first->disp + 8;
        if (is_stored && is_pair(resume, address)) {
            ramps->visit(resume, address, ramps->user);
            return;
        }
    }
}

void crn_ramps_for_each(const struct crn_code *code, uintptr_t start, uintptr_t end,
                        void (*visit)(uintptr_t resume, uintptr_t destroy, void *user), void *user)
{
    struct ramps ramps = {code, {(const uint8_t *)start, (const uint8_t *)end}, visit, user};
    /* Code below 4 GiB is named by 32-bit immediates too; elsewhere those are not looked at. */
    bool is_low = end <= UINT32_MAX;
    for (const uint8_t *at = ramps.piece.at; at + 12 <= ramps.piece.end; at++) {
        struct operand operand;
        unsigned reg, bytes, source;
        uintptr_t address, other;
        if ((at[0] & 0xf8) != 0x48 && !(is_low && (at[0] & 0xf8) == 0xb8))
            continue;
        if (store_read(&ramps, at, &reg, &address, &operand) && reg == REG_NONE)
            second_store_find(&ramps, at, address, &operand);
        if ((bytes = load_read(&ramps, at, &reg, &address)) == 0)
            continue;
        const uint8_t *last = at + bytes + LOAD_TO_STORE_BYTES;
        for (const uint8_t *next = at + bytes; next <= last && next < ramps.piece.end; next++) {
            if (store_read(&ramps, next, &source, &other, &operand) && source == reg) {
                second_store_find(&ramps, next, address, &operand);
                break;
            }
        }
    }
}
