/*
 * Turns what Zydis says of an instruction into what we ask.  See decode.h.
 */
#include "code/decode.h"

#include <Zydis/Zydis.h>
#include <string.h>

enum { LONGEST_BYTES = 15 };

static struct {
    struct crn_decoder functions;
    ZydisDecoder decoder;
    _Atomic bool is_there;
} zydis;

bool crn_decoder_use(const struct crn_decoder *functions)
{
    static const uint8_t ret[] = {0xc3};
    ZydisDecodedInstruction decoded;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    if (functions->init == NULL || functions->decode == NULL ||
        ZYAN_FAILED(
            functions->init(&zydis.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) ||
        ZYAN_FAILED(functions->decode(&zydis.decoder, ret, sizeof ret, &decoded, operands)) ||
        decoded.mnemonic != ZYDIS_MNEMONIC_RET || decoded.length != 1)
        return false;
    zydis.functions = *functions;
    atomic_store_explicit(&zydis.is_there, true, memory_order_release);
    return true;
}

bool crn_decoder_is_there(void)
{
    return atomic_load_explicit(&zydis.is_there, memory_order_acquire);
}

/* The general register that `value` is a part of, and how many bytes of it; else CRN_REG_NONE. */
static uint8_t register_of(ZydisRegister value, unsigned *bytes)
{
    *bytes = 8;
    if (value >= ZYDIS_REGISTER_RAX && value <= ZYDIS_REGISTER_R15)
        return (uint8_t)(value - ZYDIS_REGISTER_RAX);
    *bytes = 4;
    if (value >= ZYDIS_REGISTER_EAX && value <= ZYDIS_REGISTER_R15D)
        return (uint8_t)(value - ZYDIS_REGISTER_EAX);
    *bytes = 2;
    if (value >= ZYDIS_REGISTER_AX && value <= ZYDIS_REGISTER_R15W)
        return (uint8_t)(value - ZYDIS_REGISTER_AX);
    *bytes = 1;
    if (value >= ZYDIS_REGISTER_AL && value <= ZYDIS_REGISTER_BL)
        return (uint8_t)(value - ZYDIS_REGISTER_AL);
    if (value >= ZYDIS_REGISTER_AH && value <= ZYDIS_REGISTER_BH)
        return (uint8_t)(value - ZYDIS_REGISTER_AH);
    if (value >= ZYDIS_REGISTER_SPL && value <= ZYDIS_REGISTER_R15B)
        return (uint8_t)(value - ZYDIS_REGISTER_SPL + CRN_RSP);
    *bytes = 0;
    return CRN_REG_NONE;
}

static uint8_t address_register_of(ZydisRegister value, bool *is_known)
{
    unsigned bytes;
    if (value == ZYDIS_REGISTER_NONE)
        return CRN_REG_NONE;
    if (value == ZYDIS_REGISTER_RIP)
        return CRN_REG_RIP;
    uint8_t reg = register_of(value, &bytes);
    if (reg == CRN_REG_NONE || bytes != 8)
        *is_known = false;
    return reg;
}

static bool reads(const ZydisDecodedOperand *operand)
{
    return (operand->actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
}

static bool writes(const ZydisDecodedOperand *operand)
{
    return (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
}

static bool surely_writes(const ZydisDecodedOperand *operand)
{
    return (operand->actions & ZYDIS_OPERAND_ACTION_WRITE) != 0;
}

/* A memory operand; false when there are more than we keep. */
static bool memory_note(struct crn_instruction *to, const ZydisDecodedOperand *operand)
{
    const ZydisDecodedOperandMem *mem = &operand->mem;
    bool is_known = mem->type == ZYDIS_MEMOP_TYPE_MEM || mem->type == ZYDIS_MEMOP_TYPE_AGEN;
    if (to->memory_count == CRN_MEMORY_MAX)
        return false;
    struct crn_memory *memory = &to->memory[to->memory_count++];
    *memory = (struct crn_memory){
        .base = address_register_of(mem->base, &is_known),
        .index = address_register_of(mem->index, &is_known),
        .scale = mem->scale,
        .is_read = reads(operand) || mem->type == ZYDIS_MEMOP_TYPE_MIB,
        .is_written = writes(operand),
        .is_surely_written = surely_writes(operand),
        .bytes = operand->size % 8 == 0 ? operand->size / 8 : 0,
        .displacement = mem->disp.has_displacement ? mem->disp.value : 0,
    };
    if (memory->base < CRN_REGISTERS)
        to->addresses |= (uint16_t)(1u << memory->base);
    if (memory->index < CRN_REGISTERS)
        to->addresses |= (uint16_t)(1u << memory->index);
    if (memory->base == CRN_REG_RIP) {
        memory->displacement += (int64_t)(to->address + to->bytes);
        memory->base = CRN_REG_NONE;
    }
    bool has_segment = mem->segment == ZYDIS_REGISTER_FS || mem->segment == ZYDIS_REGISTER_GS;
    if (!is_known || has_segment)
        memory->index = CRN_REG_OTHER;
    return true;
}

static void register_note(struct crn_instruction *to, const ZydisDecodedOperand *operand)
{
    unsigned bytes;
    uint8_t reg = register_of(operand->reg.value, &bytes);
    if (reg == CRN_REG_NONE)
        return;
    uint16_t bit = (uint16_t)(1u << reg);
    if (reads(operand))
        to->reads |= bit;
    if (writes(operand))
        to->touches |= bit;
    if (surely_writes(operand) && bytes >= 4)
        to->writes |= bit;
}

static uint8_t flow_of(const ZydisDecodedInstruction *decoded)
{
    switch (decoded->meta.category) {
    case ZYDIS_CATEGORY_CALL:
        return CRN_FLOW_CALL;
    case ZYDIS_CATEGORY_COND_BR:
        return CRN_FLOW_BRANCH;
    case ZYDIS_CATEGORY_UNCOND_BR:
        return CRN_FLOW_JUMP;
    case ZYDIS_CATEGORY_RET:
        return CRN_FLOW_RETURN;
    case ZYDIS_CATEGORY_SYSCALL:
        return CRN_FLOW_SYSCALL;
    default:
        break;
    }
    switch (decoded->mnemonic) {
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2:
    case ZYDIS_MNEMONIC_HLT:
        return CRN_FLOW_TRAP;
    case ZYDIS_MNEMONIC_INT:
        return CRN_FLOW_SYSCALL; /* int3 goes on where a debugger lets it */
    default:
        return CRN_FLOW_NEXT;
    }
}

static bool is_wide_register(const ZydisDecodedOperand *operand, uint8_t *reg)
{
    unsigned bytes;
    if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER)
        return false;
    *reg = register_of(operand->reg.value, &bytes);
    return *reg != CRN_REG_NONE && bytes >= 4;
}

/* Recognises what can be followed; `operands` are the visible ones first. */
static void operation_note(struct crn_instruction *to, const ZydisDecodedInstruction *decoded,
                           const ZydisDecodedOperand *operands)
{
    unsigned visible = decoded->operand_count_visible;
    uint8_t dest = CRN_REG_NONE, source = CRN_REG_NONE;
    bool has_dest = visible >= 1 && is_wide_register(&operands[0], &dest);
    bool has_source = visible >= 2 && is_wide_register(&operands[1], &source);
    bool has_immediate = visible >= 2 && operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    bool is_64 = visible >= 1 && operands[0].size == 64;
    if (decoded->mnemonic == ZYDIS_MNEMONIC_CMP && !has_dest &&
        operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER) {
        unsigned bytes;
        dest = register_of(operands[0].reg.value, &bytes);
    }
    bool is_same = visible == 2 && has_dest && has_source && dest == source &&
                   operands[0].size == operands[1].size;
    to->width = visible >= 1 ? (uint8_t)(operands[0].size / 8) : 0;
    to->dest = dest;
    to->source = source;
    to->has_immediate = has_immediate;
    if (has_immediate)
        to->immediate = operands[1].imm.value.s;
    to->is_cmp = decoded->mnemonic == ZYDIS_MNEMONIC_CMP;
    to->is_subtraction = decoded->mnemonic == ZYDIS_MNEMONIC_SUB && has_dest && has_immediate;
    to->subtrahend = to->immediate;
    to->is_copy = has_dest && has_source && (decoded->mnemonic == ZYDIS_MNEMONIC_MOV);
    if (decoded->mnemonic == ZYDIS_MNEMONIC_MOVZX && has_dest && visible == 2 &&
        operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
        unsigned bytes;
        to->source = register_of(operands[1].reg.value, &bytes);
        to->is_copy = to->source != CRN_REG_NONE;
    }
    to->is_store = decoded->mnemonic == ZYDIS_MNEMONIC_MOV && visible == 2 && has_source &&
                   operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
    to->changes_flags = decoded->cpu_flags != NULL &&
                        (decoded->cpu_flags->modified | decoded->cpu_flags->set_0 |
                         decoded->cpu_flags->set_1 | decoded->cpu_flags->undefined) != 0;
    switch (decoded->mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
        if (has_dest && has_source)
            to->operation = is_64 ? CRN_OP_MOVE : CRN_OP_OTHER;
        else if (has_dest && has_immediate)
            to->operation = CRN_OP_IMMEDIATE;
        else if (has_dest && operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY)
            to->operation = CRN_OP_LOAD;
        break;
    case ZYDIS_MNEMONIC_MOVZX:
        if (has_dest && operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY)
            to->operation = CRN_OP_LOAD;
        break;
    case ZYDIS_MNEMONIC_MOVSXD:
        if (has_dest && operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY)
            to->operation = CRN_OP_LOAD_SIGNED;
        break;
    case ZYDIS_MNEMONIC_LEA:
        if (has_dest && is_64)
            to->operation = CRN_OP_LEA;
        break;
    case ZYDIS_MNEMONIC_ADD:
        if (has_dest && has_immediate && is_64)
            to->operation = CRN_OP_ADD;
        else if (has_dest && has_source && is_64)
            to->operation = CRN_OP_ADD_REGISTER;
        break;
    case ZYDIS_MNEMONIC_SUB:
        if (has_dest && has_immediate && is_64) {
            to->operation = CRN_OP_ADD;
            to->immediate = -to->immediate;
        } else if (is_same) {
            to->operation = CRN_OP_IMMEDIATE;
            to->immediate = 0;
            to->reads &= (uint16_t) ~(1u << dest);
        }
        break;
    case ZYDIS_MNEMONIC_XOR:
        if (is_same) {
            to->operation = CRN_OP_IMMEDIATE;
            to->immediate = 0;
            to->reads &= (uint16_t) ~(1u << dest);
        }
        break;
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_TEST:
        to->operation = CRN_OP_COMPARE;
        break;
    case ZYDIS_MNEMONIC_PUSH:
        to->operation = CRN_OP_PUSH;
        break;
    case ZYDIS_MNEMONIC_POP:
        to->operation = CRN_OP_POP;
        break;
    case ZYDIS_MNEMONIC_LEAVE:
        to->operation = CRN_OP_LEAVE;
        break;
    default:
        break;
    }
    if (decoded->meta.category == ZYDIS_CATEGORY_CMOV && has_dest)
        to->operation = CRN_OP_CMOV;
    if (decoded->meta.category == ZYDIS_CATEGORY_STRINGOP ||
        decoded->meta.category == ZYDIS_CATEGORY_IOSTRINGOP)
        to->operation = CRN_OP_STRING;
}

/* Push, pop and leave by their own rule: what they do to rsp is in their name. */
static void stack_note(struct crn_instruction *to, const ZydisDecodedInstruction *decoded,
                       const ZydisDecodedOperand *operands)
{
    const ZydisDecodedOperand *operand = &operands[0];
    bool is_push = to->operation == CRN_OP_PUSH;
    to->memory_count = 0;
    to->addresses = to->reads = to->writes = to->touches = 0;
    to->memory[to->memory_count++] = (struct crn_memory){
        .base = to->operation == CRN_OP_LEAVE ? CRN_RBP : CRN_RSP,
        .index = CRN_REG_NONE,
        .is_read = !is_push,
        .is_written = is_push,
        .is_surely_written = is_push,
        .bytes = 8,
        .displacement = is_push ? -8 : 0,
    };
    if (to->operation == CRN_OP_LEAVE) {
        to->addresses = 1 << CRN_RBP;
        to->writes = to->touches = 1 << CRN_RBP | 1 << CRN_RSP;
        return;
    }
    to->addresses = 1 << CRN_RSP;
    if (decoded->operand_width != 64 && operand->size != 64)
        to->operation = CRN_OP_OTHER; /* 16 bits wide: rsp is then unknown */
    if (decoded->operand_count_visible == 0)
        return;
    if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER) {
        unsigned bytes;
        uint8_t reg = register_of(operand->reg.value, &bytes);
        uint16_t bit = reg < CRN_REGISTERS ? (uint16_t)(1u << reg) : 0;
        if (is_push)
            to->reads |= bit;
        else
            to->writes |= bit, to->touches |= bit;
        to->dest = reg;
    } else if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY) {
        memory_note(to, operand);
        if (!is_push && operand->mem.base == ZYDIS_REGISTER_RSP)
            to->memory[1].displacement += 8;
        to->dest = CRN_REG_NONE;
    }
    to->touches |= 1 << CRN_RSP;
}

static void control_note(struct crn_instruction *to, const ZydisDecodedInstruction *decoded,
                         const ZydisDecodedOperand *operands)
{
    to->condition = 16;
    if (to->flow == CRN_FLOW_BRANCH && decoded->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
        (decoded->opcode & 0xf0) == 0x70)
        to->condition = decoded->opcode & 15;
    if (to->flow == CRN_FLOW_BRANCH && decoded->opcode_map == ZYDIS_OPCODE_MAP_0F &&
        (decoded->opcode & 0xf0) == 0x80)
        to->condition = decoded->opcode & 15;
    if (to->flow != CRN_FLOW_JUMP && to->flow != CRN_FLOW_BRANCH && to->flow != CRN_FLOW_CALL)
        return;
    if (decoded->operand_count_visible >= 1 && operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
        operands[0].imm.is_relative)
        to->target = to->address + to->bytes + (uintptr_t)operands[0].imm.value.s;
    if (decoded->operand_count_visible >= 1 && operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER) {
        unsigned bytes;
        to->jump_register = register_of(operands[0].reg.value, &bytes);
    }
    /* What a call does to rsp and below is its callee's, and undone when it returns. */
    unsigned kept = 0;
    for (unsigned i = 0; i < to->memory_count; i++)
        if (to->memory[i].is_read)
            to->memory[kept++] = to->memory[i];
    if (to->flow == CRN_FLOW_CALL)
        to->memory_count = (uint8_t)kept;
    to->touches &= (uint16_t) ~(1u << CRN_RSP);
    to->writes &= (uint16_t) ~(1u << CRN_RSP);
    to->reads &= (uint16_t) ~(1u << CRN_RSP);
}

/* Operands that are not quite what they look like. */
static void exceptions_note(struct crn_instruction *to, const ZydisDecodedInstruction *decoded)
{
    bool is_masked =
        decoded->avx.mask.reg > ZYDIS_REGISTER_K0 && decoded->avx.mask.reg <= ZYDIS_REGISTER_K7;
    switch (decoded->mnemonic) {
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC:
        /* A bit beyond the operand, if a register says which. */
        if (to->source != CRN_REG_NONE || !to->has_immediate)
            to->memory[0].index = CRN_REG_OTHER;
        break;
    case ZYDIS_MNEMONIC_VMASKMOVPS:
    case ZYDIS_MNEMONIC_VMASKMOVPD:
    case ZYDIS_MNEMONIC_VPMASKMOVD:
    case ZYDIS_MNEMONIC_VPMASKMOVQ:
    case ZYDIS_MNEMONIC_MASKMOVQ:
    case ZYDIS_MNEMONIC_MASKMOVDQU:
    case ZYDIS_MNEMONIC_VMASKMOVDQU:
        is_masked = true;
        break;
    default:
        break;
    }
    for (unsigned i = 0; i < to->memory_count && is_masked; i++)
        to->memory[i].is_surely_written = false;
}

bool crn_instruction_decode(const struct crn_code *code, uintptr_t address,
                            struct crn_instruction *instruction)
{
    ZydisDecodedInstruction decoded;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    size_t bytes = crn_code_bytes_from(code, address);
    if (bytes > LONGEST_BYTES)
        bytes = LONGEST_BYTES;
    if (bytes == 0 || !crn_decoder_is_there() ||
        ZYAN_FAILED(zydis.functions.decode(&zydis.decoder, (const void *)address, bytes, &decoded,
                                           operands)))
        return false;
    *instruction = (struct crn_instruction){
        .address = address,
        .bytes = decoded.length,
        .flow = flow_of(&decoded),
        .dest = CRN_REG_NONE,
        .source = CRN_REG_NONE,
        .jump_register = CRN_REG_NONE,
    };
    /* A nop may name memory, a prefetch need not be able to read it: neither uses what it names. */
    instruction->is_nop = decoded.meta.category == ZYDIS_CATEGORY_NOP ||
                          decoded.meta.category == ZYDIS_CATEGORY_WIDENOP ||
                          decoded.meta.category == ZYDIS_CATEGORY_PREFETCH ||
                          decoded.mnemonic == ZYDIS_MNEMONIC_ENDBR64;
    for (unsigned i = 0; i < decoded.operand_count && !instruction->is_nop; i++) {
        if (operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER)
            register_note(instruction, &operands[i]);
        else if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
                 !memory_note(instruction, &operands[i]))
            return false;
    }
    operation_note(instruction, &decoded, operands);
    exceptions_note(instruction, &decoded);
    if (instruction->operation == CRN_OP_PUSH || instruction->operation == CRN_OP_POP ||
        instruction->operation == CRN_OP_LEAVE)
        stack_note(instruction, &decoded, operands);
    if (instruction->flow != CRN_FLOW_NEXT)
        control_note(instruction, &decoded, operands);
    return true;
}
