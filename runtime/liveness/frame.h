#ifndef CRN_LIVENESS_FRAME_H
#define CRN_LIVENESS_FRAME_H
/*
 * Where a function's frame is, instruction by instruction, and where its addresses go.
 *
 * A forward dataflow from the function's start, where rsp is 8 below the CFA.  A register holds
 *
 *     k          an address: the CFA + k                    (rsp, rbp, what lea makes of them)
 *     maybe k    the CFA + k or more, or something else     (where two paths join)
 *     other      what comes from elsewhere
 *
 * So an operand in memory is a slot at a known distance from the CFA, or no slot: if it is reached
 * by an address that was computed further, stored, or given to a call, that address has escaped
 * before.  `lowest_escape` sums that up: objects begin at their lowest address, so what escaped may
 * be used for whatever lies at or above it.  Below it lies what it does not lead to, unless by
 * arithmetic that goes down from there (container_of, a loop from an array's end).
 */
#include "code/function.h"

enum { CRN_FRAME_NONE = INT32_MAX };

/* What an instruction does to the frame, offsets from the CFA in bytes. */
struct crn_frame_node {
    int32_t slots[CRN_MEMORY_MAX]; /* of its operands in memory; NONE: not in the frame */
    int32_t rsp, rbp;              /* before it; NONE: not known */
    int32_t escape;                /* the lowest address that escapes here; NONE: none does */
};

struct crn_frame_facts {
    struct crn_flow flow;
    struct crn_frame_node *nodes; /* one for each of the flow's */
    uint32_t *sources;            /* predecessors of node i: sources[first_source[i] ..) */
    uint32_t *first_source;       /* count + 1 */
    int32_t lowest_escape;        /* NONE: no address of the frame escapes */
    bool is_stack_unknown;        /* rsp is not known everywhere, or not back at a return */
    bool returns_twice;           /* calls setjmp, or what saves registers as it does */
};

struct crn_frame_room;
struct crn_frame_room *crn_frame_room_create(void); /* NULL: no memory */
void crn_frame_room_destroy(struct crn_frame_room *room);

/* Fills what follows from facts->flow; its memory is the arena's. */
enum crn_status crn_frame_analyse(struct crn_frame_room *room, struct crn_arena *arena,
                                  const struct crn_code *code, struct crn_frame_facts *facts);

#endif
