#ifndef CRN_FUNCTION_H
#define CRN_FUNCTION_H
/*
 * The control flow of one function: its instructions, and which comes after which.
 *
 *     start --> cmp --> ja  --> lea --> movslq --> add --> jmp *%rax
 *                        |                                  |-> case 0     a table of jumps, read
 *                        `-> default                        `-> case 1
 *
 * Followed are jumps, branches, tables of jumps of gcc's and clang's shape, and where exceptions of
 * each call land.  Unwind information bounds functions; a jump into a part of one that was moved
 * away (cold code) is followed, a jump to another function leaves.  What follows a call that never
 * returns is not reached by it.
 *
 * The flow may have more edges than the function has, never fewer, unless `has_unknown` says so.
 */
#include "code/decode.h"
#include "stack/rules.h"

enum { CRN_FLOW_NODES_MAX = 1 << 15, CRN_FLOW_NONE = UINT32_MAX };

struct crn_flow_node {
    struct crn_instruction instruction;
    uint32_t next;              /* the node control falls through to; CRN_FLOW_NONE: it does not */
    uint32_t edges, edge_count; /* edges[edges ..): the others; at a call, its landing pad */
    bool leaves;                /* a jump out of the function: it may end here as by a return */
    bool is_landing_pad;
};

struct crn_flow {
    struct crn_function function;
    struct crn_flow_node *nodes; /* ascending by address */
    uint32_t *edges;
    uint32_t count, edge_count;
    bool has_unknown;      /* control may go where we do not see: a computed jump */
    bool is_cut;           /* beyond the bounds, or code that could not be read or decoded */
    bool has_landing_pads; /* of a call of this function */
};

/* Room to analyse in, for one function after the other.  9 MiB when it is filled. */
struct crn_flow_room;
struct crn_flow_room *crn_flow_room_create(void); /* NULL: no memory */
void crn_flow_room_destroy(struct crn_flow_room *room);

/*
 * Analyses the function that starts at `start`; its memory is the arena's.  CRN_ERR_INVALID: no
 * function starts there, or no decoder is there.  CRN_ERR_NO_MEMORY.  Needs 24 KiB of stack.
 */
enum crn_status crn_flow_make(struct crn_flow_room *room, struct crn_arena *arena,
                              const struct crn_code *code, uintptr_t start, struct crn_flow *flow);

/* The node of the instruction at `address`; CRN_FLOW_NONE when none starts there. */
uint32_t crn_flow_find(const struct crn_flow *flow, uintptr_t address);

/* The node of the call that returns to `address`; CRN_FLOW_NONE when there is none. */
uint32_t crn_flow_call_before(const struct crn_flow *flow, uintptr_t address);

/*
 * Whether a function may return, as far as its code tells: not when all its paths trap, go round
 * for ever or call another one that never returns.  Stubs of other modules are followed.
 */
bool crn_function_returns(struct crn_flow_room *room, const struct crn_code *code,
                          uintptr_t function);

/*
 * The function that a direct call or jump to `target` reaches: what a stub of the procedure linkage
 * table leads to, else `target` itself.  0: a stub that leads nowhere yet.
 */
uintptr_t crn_stub_follow(const struct crn_code *code, uintptr_t target);

#endif
