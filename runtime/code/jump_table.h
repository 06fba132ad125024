#ifndef CRN_JUMP_TABLE_H
#define CRN_JUMP_TABLE_H
/*
 * Tables of jumps: what `jmp *%rax` may go to, as gcc and clang lay out a switch.
 *
 *     cmp $5,%edi; ja default              the index is 0 .. 5
 *     lea table(%rip),%rdx
 *     movslq (%rdx,%rdi,4),%rax            entries relative to the table, 4 bytes each
 *     add %rdx,%rax; jmp *%rax             or  jmp *table(,%rdi,8): addresses, 8 bytes each
 */
#include "code/decode.h"

/* A stretch of instructions that leads to the jump, the jump last; see crn_jump_table_find. */
struct crn_jump_path {
    const struct crn_instruction *const *instructions;
    const bool *is_taken; /* of a branch: the path goes on at its target */
    unsigned count;
};

struct crn_jump_table {
    uintptr_t table;
    unsigned entries;
    bool is_relative; /* entries of 4 bytes, relative to the table; else addresses of 8 */
};

/* False: the jump is not through a table, or nothing on the path bounds its index. */
bool crn_jump_table_find(const struct crn_jump_path *path, struct crn_jump_table *table);

/* Reads an entry.  False: it cannot be read. */
bool crn_jump_table_read(const struct crn_jump_table *table, unsigned entry, uintptr_t *target);

#endif
