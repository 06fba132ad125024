/*
 * Recognises tables of jumps.  See jump_table.h.
 *
 * From the jump back, the place that holds the index is followed through copies until a comparison
 * with a constant bounds it.  What does not fit is not guessed at.
 */
#include "code/jump_table.h"
#include "base/sys.h"

enum { ENTRIES_MAX = 4096, ABOVE = 7, NOT_ABOVE = 6, BELOW = 2, NOT_BELOW = 3 };

/* A register, or a word in memory that a register and a displacement name. */
struct place {
    uint8_t reg; /* CRN_REG_NONE: memory */
    struct crn_memory memory;
};

static bool is_same_memory(const struct crn_memory *one, const struct crn_memory *other)
{
    return one->base == other->base && one->index == other->index &&
           one->displacement == other->displacement;
}

static bool writes_register(const struct crn_instruction *instruction, uint8_t reg)
{
    return reg < CRN_REGISTERS && (instruction->touches >> reg & 1) != 0;
}

/* The instruction before `i` that writes `reg`; -1: none on the path. */
static int writer_of(const struct crn_jump_path *path, int i, uint8_t reg)
{
    for (i--; i >= 0; i--) {
        if (path->instructions[i]->flow == CRN_FLOW_CALL)
            return -1;
        if (writes_register(path->instructions[i], reg))
            return i;
    }
    return -1;
}

/* What a place held before an instruction that gave it a copy.  False: it was computed. */
static bool place_before(const struct crn_instruction *instruction, struct place *place)
{
    if (place->reg != CRN_REG_NONE) {
        if (!writes_register(instruction, place->reg))
            return true;
        if (instruction->dest != place->reg)
            return false;
        if (instruction->operation == CRN_OP_LOAD && instruction->memory_count == 1) {
            *place = (struct place){CRN_REG_NONE, instruction->memory[0]};
            return place->memory.index == CRN_REG_NONE;
        }
        if (instruction->is_copy && instruction->source < CRN_REGISTERS) {
            place->reg = instruction->source;
            return true;
        }
        return false;
    }
    for (unsigned i = 0; i < instruction->memory_count; i++) {
        if (!instruction->memory[i].is_written ||
            !is_same_memory(&instruction->memory[i], &place->memory))
            continue;
        if (!instruction->is_store || instruction->source >= CRN_REGISTERS)
            return false;
        place->reg = instruction->source;
        return true;
    }
    return !writes_register(instruction, place->memory.base);
}

/* Whether an instruction compares the place with a constant, so that flags tell which is larger. */
static bool compares(const struct crn_instruction *instruction, const struct place *place)
{
    if (!instruction->has_immediate || instruction->immediate < 0 ||
        instruction->immediate > ENTRIES_MAX || !instruction->is_cmp)
        return false;
    if (place->reg != CRN_REG_NONE)
        return instruction->dest == place->reg;
    return instruction->memory_count == 1 &&
           is_same_memory(&instruction->memory[0], &place->memory);
}

/* Looks back from `i` for what bounds the index. */
static bool bound_find(const struct crn_jump_path *path, int i, struct place place, unsigned *bound)
{
    int least = -1; /* the comparison decides this much more than its constant: 0 or -1 */
    bool is_wanted = false;
    struct place subtracted = {.reg = CRN_REG_NONE};
    int64_t subtrahend = -1;
    for (; i >= 0; i--) {
        const struct crn_instruction *instruction = path->instructions[i];
        if (instruction->flow == CRN_FLOW_CALL)
            return false;
        if (instruction->flow == CRN_FLOW_BRANCH) {
            uint8_t condition = instruction->condition;
            bool is_taken = path->is_taken[i];
            is_wanted = (condition == ABOVE && !is_taken) || (condition == NOT_ABOVE && is_taken) ||
                        (condition == NOT_BELOW && !is_taken) || (condition == BELOW && is_taken);
            least = condition == ABOVE || condition == NOT_ABOVE ? 0 : -1;
            continue;
        }
        if (is_wanted && compares(instruction, &place)) {
            *bound = (unsigned)(instruction->immediate + least + 1);
            return *bound != 0;
        }
        if (is_wanted && instruction->is_subtraction && instruction->has_immediate) {
            /* clang at -O0 subtracts from a copy of the index. */
            subtracted.reg = instruction->dest;
            subtrahend = instruction->subtrahend + least + 1;
            is_wanted = false;
            continue;
        }
        if (instruction->changes_flags)
            is_wanted = false;
        if (!place_before(instruction, &place))
            return false;
        if (subtracted.reg < CRN_REGISTERS && place.reg == subtracted.reg && subtrahend > 0 &&
            subtrahend <= ENTRIES_MAX) {
            *bound = (unsigned)subtrahend;
            return true;
        }
        if (writes_register(instruction, subtracted.reg))
            subtracted.reg = CRN_REG_NONE;
    }
    return false;
}

bool crn_jump_table_find(const struct crn_jump_path *path, struct crn_jump_table *table)
{
    int last = (int)path->count - 1;
    const struct crn_instruction *jump = path->instructions[last];
    if (jump->memory_count == 1 && jump->memory[0].index < CRN_REGISTERS) {
        /* jmp *table(,%rdi,8) */
        const struct crn_memory *memory = &jump->memory[0];
        *table = (struct crn_jump_table){(uintptr_t)memory->displacement, 0, false};
        return memory->base == CRN_REG_NONE && memory->scale == 8 &&
               bound_find(path, last - 1, (struct place){.reg = memory->index}, &table->entries);
    }
    if (jump->memory_count != 0 || jump->jump_register >= CRN_REGISTERS)
        return false;
    uint8_t reg = jump->jump_register;
    int i = writer_of(path, last, reg);
    if (i < 0)
        return false;
    const struct crn_instruction *writer = path->instructions[i];
    if (writer->operation == CRN_OP_LOAD && writer->width == 8 && writer->memory[0].scale == 8 &&
        writer->memory[0].base == CRN_REG_NONE && writer->memory[0].index < CRN_REGISTERS) {
        /* mov table(,%rdi,8),%rax; jmp *%rax */
        *table = (struct crn_jump_table){(uintptr_t)writer->memory[0].displacement, 0, false};
        return bound_find(path, i - 1, (struct place){.reg = writer->memory[0].index},
                          &table->entries);
    }
    if (writer->operation != CRN_OP_ADD_REGISTER)
        return false;
    /* One summand is the entry, the other the table. */
    int one = writer_of(path, i, writer->dest), other = writer_of(path, i, writer->source);
    if (one < 0 || other < 0)
        return false;
    if (path->instructions[one]->operation != CRN_OP_LOAD_SIGNED) {
        int swapped = one;
        one = other;
        other = swapped;
    }
    const struct crn_instruction *load = path->instructions[one];
    if (load->operation != CRN_OP_LOAD_SIGNED || load->memory[0].scale != 4 ||
        load->memory[0].bytes != 4 || load->memory[0].displacement != 0 ||
        load->memory[0].index >= CRN_REGISTERS || load->memory[0].base >= CRN_REGISTERS)
        return false;
    int base = writer_of(path, one, load->memory[0].base);
    const struct crn_instruction *lea = path->instructions[other];
    if (base < 0 || path->instructions[base]->operation != CRN_OP_LEA ||
        lea->operation != CRN_OP_LEA || lea->memory[0].base != CRN_REG_NONE ||
        lea->memory[0].index != CRN_REG_NONE ||
        !is_same_memory(&lea->memory[0], &path->instructions[base]->memory[0]))
        return false;
    *table = (struct crn_jump_table){(uintptr_t)lea->memory[0].displacement, 0, true};
    return bound_find(path, one - 1, (struct place){.reg = load->memory[0].index}, &table->entries);
}

bool crn_jump_table_read(const struct crn_jump_table *table, unsigned entry, uintptr_t *target)
{
    if (!table->is_relative)
        return crn_memory_read(target, table->table + 8 * (uintptr_t)entry, sizeof *target);
    int32_t relative;
    if (!crn_memory_read(&relative, table->table + 4 * (uintptr_t)entry, sizeof relative))
        return false;
    *target = table->table + (uintptr_t)(intptr_t)relative;
    return true;
}
