#ifndef CRN_DECODE_H
#define CRN_DECODE_H
/*
 * One machine instruction: what it does to registers, to memory and to the flow of control.
 *
 * Zydis decodes; here its operands become masks of registers and at most two places in memory.
 * The library is loaded by the shim when it is allowed to, and handed down as a table of functions:
 * a check loads nothing.  Decoding allocates nothing, takes no lock, and needs 2 KiB of stack.
 */
#include "code/code.h"

/* Registers by their number in machine code. */
enum crn_register {
    CRN_RAX,
    CRN_RCX,
    CRN_RDX,
    CRN_RBX,
    CRN_RSP,
    CRN_RBP,
    CRN_RSI,
    CRN_RDI,
    CRN_R8,
    CRN_R9,
    CRN_R10,
    CRN_R11,
    CRN_R12,
    CRN_R13,
    CRN_R14,
    CRN_R15,
    CRN_REGISTERS,
    CRN_REG_NONE = CRN_REGISTERS,
    CRN_REG_RIP,
    CRN_REG_OTHER, /* a vector of indices, or a segment that has a base of its own */
};

/* As bits of a mask: those that a call keeps, and all others but rsp. */
enum {
    CRN_KEPT_BY_CALLS =
        1 << CRN_RBX | 1 << CRN_RBP | 1 << CRN_R12 | 1 << CRN_R13 | 1 << CRN_R14 | 1 << CRN_R15,
    CRN_CHANGED_BY_CALLS = 0xffff & ~CRN_KEPT_BY_CALLS & ~(1 << CRN_RSP),
    CRN_ARGUMENTS = 1 << CRN_RDI | 1 << CRN_RSI | 1 << CRN_RDX | 1 << CRN_RCX | 1 << CRN_R8 |
                    1 << CRN_R9 | 1 << CRN_R10 | 1 << CRN_RAX,
};

/* Where control goes. */
enum crn_flow_kind {
    CRN_FLOW_NEXT,
    CRN_FLOW_JUMP,
    CRN_FLOW_BRANCH, /* a conditional jump */
    CRN_FLOW_CALL,
    CRN_FLOW_RETURN,
    CRN_FLOW_TRAP,    /* ud2, hlt: it goes nowhere */
    CRN_FLOW_SYSCALL, /* goes on, and the kernel has read the argument registers */
};

/* What it computes, where that can be followed. */
enum crn_operation {
    CRN_OP_OTHER,
    CRN_OP_MOVE,         /* dest = source, 64 bits, both registers */
    CRN_OP_IMMEDIATE,    /* dest = immediate */
    CRN_OP_ADD,          /* dest += immediate, 64 bits */
    CRN_OP_LEA,          /* dest = the address of memory[0], 64 bits */
    CRN_OP_LOAD,         /* dest = memory[0], zero-extended if it is narrower */
    CRN_OP_LOAD_SIGNED,  /* movslq and its like */
    CRN_OP_ADD_REGISTER, /* dest += source, 64 bits */
    CRN_OP_COMPARE,      /* reads only: cmp, test */
    CRN_OP_CMOV,         /* dest = source, perhaps */
    CRN_OP_PUSH,         /* memory[0] lies at rsp - 8, and rsp goes there */
    CRN_OP_POP,          /* memory[0] lies at rsp, which goes on to rsp + 8 */
    CRN_OP_LEAVE,        /* rsp = rbp + 8, rbp = memory[0], which lies at rbp */
    CRN_OP_STRING,       /* rep movs and its like: through rsi and rdi, any length */
};

struct crn_memory {
    uint8_t base, index, scale; /* enum crn_register */
    bool is_read, is_written, is_surely_written;
    uint16_t bytes; /* 0: not known */
    int64_t displacement;
};

enum { CRN_MEMORY_MAX = 2 };

struct crn_instruction {
    uintptr_t address;
    uintptr_t target;  /* of a direct jump or call; 0: none, or it is computed */
    int64_t immediate; /* of ADD, IMMEDIATE and COMPARE with one */
    struct crn_memory memory[CRN_MEMORY_MAX];
    uint16_t reads;     /* registers whose value is used, not counting what only addresses memory */
    uint16_t addresses; /* registers that address memory */
    uint16_t writes;    /* registers of which all 64 bits are new afterwards */
    uint16_t touches;   /* registers of which some bits may be new */
    uint8_t bytes, flow, operation, memory_count;
    uint8_t dest, source;  /* CRN_REG_NONE: none */
    uint8_t width;         /* of the operation, bytes */
    uint8_t condition;     /* of a BRANCH: the low four bits of its opcode; 16: another kind */
    uint8_t jump_register; /* of a jump through one; CRN_REG_NONE: none */
    bool has_immediate, is_nop;
    bool is_copy;        /* dest = source, 32 or 64 bits, or zero-extended from less */
    bool is_store;       /* memory[0] = source, as many bits as the register's part has */
    bool is_cmp;         /* cmp of dest or memory[0] with the immediate */
    bool is_subtraction; /* dest -= subtrahend, 32 or 64 bits */
    bool changes_flags;
    int64_t subtrahend;
};

/* The functions of Zydis that are called; all of them. */
struct crn_decoder {
    uint32_t (*init)(void *decoder, int machine_mode, int stack_width);
    uint32_t (*decode)(const void *decoder, const void *bytes, size_t count, void *instruction,
                       void *operands);
};

/* Begins to decode by these functions.  False: they do not work.  Once, before any other call. */
bool crn_decoder_use(const struct crn_decoder *functions);
bool crn_decoder_is_there(void);

/*
 * Decodes what lies at `address`.  False: no code can be read there, it is no instruction, or no
 * decoder is there.  Any thread.
 */
bool crn_instruction_decode(const struct crn_code *code, uintptr_t address,
                            struct crn_instruction *instruction);

/* Whether it is an indirect jump or call. */
CRN_INLINE bool crn_instruction_is_computed(const struct crn_instruction *instruction)
{
    return instruction->target == 0 &&
           (instruction->flow == CRN_FLOW_JUMP || instruction->flow == CRN_FLOW_CALL);
}

#endif
