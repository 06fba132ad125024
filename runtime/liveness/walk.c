/*
 * Walks the control flow.  See walk.h.
 *
 * With each node goes a mask of the bytes of the place that still hold the old value when control
 * comes there; a node is looked at again when bytes are added.  All paths must end with none left,
 * or leave the frame.
 */
#include "liveness/walk.h"

#include <string.h>

enum { BYTES = 8, ALL = 0xff, ARGUMENTS_MAX = 64 };

struct crn_walk_room {
    uint8_t live[CRN_FLOW_NODES_MAX];     /* bytes that were live when the node was last met */
    uint32_t touched[CRN_FLOW_NODES_MAX]; /* nodes of which live is not 0 */
    uint32_t waiting[CRN_FLOW_NODES_MAX];
    bool is_waiting[CRN_FLOW_NODES_MAX];
    uint32_t touched_count, waiting_count;
};

struct crn_walk_room *crn_walk_room_create(void)
{
    return crn_vm_map(crn_align_up(sizeof(struct crn_walk_room), CRN_PAGE_BYTES));
}

void crn_walk_room_destroy(struct crn_walk_room *room)
{
    if (room != NULL)
        crn_vm_unmap(room, crn_align_up(sizeof *room, CRN_PAGE_BYTES));
}

/* What a node does to the place. */
struct effect {
    uint8_t left; /* the bytes that are still live after it */
    bool ends;    /* control leaves the frame */
    bool is_written;
    enum crn_liveness liveness; /* DEAD: it goes on; else the answer */
    enum crn_liveness_reason reason;
};

struct walk {
    struct crn_walk_room *room;
    const struct crn_frame_facts *facts;
    bool is_slot;
    unsigned reg;
    int64_t offset;
    bool passes_on; /* a path returns with the register as it was */
    struct crn_liveness_answer answer;
};

static void effect_answer(struct effect *effect, enum crn_liveness liveness,
                          enum crn_liveness_reason reason)
{
    effect->liveness = liveness;
    effect->reason = reason;
}

/* A register at a call, a return, a jump out or a system call. */
static void register_control(const struct walk *walk, const struct crn_flow_node *node,
                             struct effect *effect)
{
    unsigned bit = 1u << walk->reg;
    bool is_kept = (CRN_KEPT_BY_CALLS & bit) != 0;
    switch (node->instruction.flow) {
    case CRN_FLOW_SYSCALL:
        if ((bit & (1 << CRN_RCX | 1 << CRN_R11)) != 0) {
            effect->left = 0;
            effect->is_written = true;
        } else if ((CRN_CHANGED_BY_CALLS & bit) != 0) {
            effect_answer(effect, CRN_LIVENESS_READ, CRN_REASON_READ);
        }
        break;
    case CRN_FLOW_CALL:
        if ((CRN_ARGUMENTS & bit) != 0)
            effect_answer(effect, CRN_LIVENESS_READ, CRN_REASON_READ);
        else if (!is_kept)
            effect_answer(effect, CRN_LIVENESS_UNKNOWN, CRN_REASON_CONVENTION);
        break;
    case CRN_FLOW_RETURN:
        if (is_kept || (bit & (1 << CRN_RAX | 1 << CRN_RDX)) != 0)
            effect_answer(effect, CRN_LIVENESS_READ, CRN_REASON_PASSES_ON);
        else
            effect_answer(effect, CRN_LIVENESS_UNKNOWN, CRN_REASON_CONVENTION);
        break;
    default:
        if (!node->leaves)
            break;
        if (is_kept)
            effect_answer(effect, CRN_LIVENESS_READ, CRN_REASON_PASSES_ON);
        else if ((CRN_ARGUMENTS & bit) != 0)
            effect_answer(effect, CRN_LIVENESS_READ, CRN_REASON_READ);
        else
            effect_answer(effect, CRN_LIVENESS_UNKNOWN, CRN_REASON_CONVENTION);
        break;
    }
}

static struct effect register_effect(const struct walk *walk, uint32_t at, uint8_t live)
{
    const struct crn_flow_node *node = &walk->facts->flow.nodes[at];
    const struct crn_instruction *instruction = &node->instruction;
    struct effect effect = {.left = live, .liveness = CRN_LIVENESS_DEAD};
    unsigned bit = 1u << walk->reg;
    if (((instruction->reads | instruction->addresses) & bit) != 0) {
        effect_answer(&effect, CRN_LIVENESS_READ, CRN_REASON_READ);
        return effect;
    }
    if ((instruction->writes & bit) != 0) {
        effect.left = 0;
        effect.is_written = true;
        return effect;
    }
    if (node->leaves && crn_instruction_is_computed(instruction) && walk->facts->flow.has_unknown)
        effect_answer(&effect, CRN_LIVENESS_UNKNOWN, CRN_REASON_INDIRECT);
    else
        register_control(walk, node, &effect);
    return effect;
}

/* The bytes of the slot that [start, start + bytes) covers. */
static uint8_t bytes_covered(int64_t offset, int64_t start, unsigned bytes)
{
    int64_t from = start - offset, to = from + bytes;
    if (to <= 0 || from >= BYTES)
        return 0;
    from = from < 0 ? 0 : from;
    to = to > BYTES ? BYTES : to;
    return (uint8_t)((ALL >> (BYTES - (to - from))) << from);
}

static struct effect slot_effect(const struct walk *walk, uint32_t at, uint8_t live)
{
    const struct crn_flow_node *node = &walk->facts->flow.nodes[at];
    const struct crn_instruction *instruction = &node->instruction;
    const struct crn_frame_node *frame = &walk->facts->nodes[at];
    struct effect effect = {.left = live, .liveness = CRN_LIVENESS_DEAD};
    for (unsigned i = 0; i < instruction->memory_count; i++) {
        const struct crn_memory *memory = &instruction->memory[i];
        if (frame->slots[i] != CRN_FRAME_NONE && memory->is_read &&
            (bytes_covered(walk->offset, frame->slots[i], memory->bytes) & live) != 0) {
            effect_answer(&effect, CRN_LIVENESS_READ, CRN_REASON_READ);
            return effect;
        }
    }
    for (unsigned i = 0; i < instruction->memory_count; i++) {
        const struct crn_memory *memory = &instruction->memory[i];
        if (frame->slots[i] != CRN_FRAME_NONE && memory->is_surely_written)
            effect.left &= (uint8_t)~bytes_covered(walk->offset, frame->slots[i], memory->bytes);
    }
    effect.is_written = effect.left != live;
    /* Below rsp a call's own frame lies. */
    if (instruction->flow == CRN_FLOW_CALL && walk->offset + BYTES <= frame->rsp)
        effect.left = 0;
    effect.ends = instruction->flow == CRN_FLOW_RETURN || node->leaves;
    return effect;
}

/* Control comes to a node with these bytes live. */
static void node_meet(struct crn_walk_room *room, uint32_t at, uint8_t live)
{
    if ((live & ~room->live[at]) == 0)
        return;
    if (room->live[at] == 0)
        room->touched[room->touched_count++] = at;
    room->live[at] |= live;
    if (!room->is_waiting[at]) {
        room->is_waiting[at] = true;
        room->waiting[room->waiting_count++] = at;
    }
}

/* Looks at a node; false: that is the answer. */
static bool node_take(struct walk *walk, uint32_t at)
{
    const struct crn_flow *flow = &walk->facts->flow;
    const struct crn_flow_node *node = &flow->nodes[at];
    uint8_t live = walk->room->live[at];
    struct effect effect =
        walk->is_slot ? slot_effect(walk, at, live) : register_effect(walk, at, live);
    if (effect.reason == CRN_REASON_PASSES_ON) {
        walk->passes_on = true; /* unless another path does more */
        return true;
    }
    if (effect.liveness != CRN_LIVENESS_DEAD) {
        walk->passes_on = false;
        walk->answer = (struct crn_liveness_answer){effect.liveness, effect.reason, false,
                                                    node->instruction.address};
        return false;
    }
    if (effect.is_written && walk->answer.written_at == 0) {
        walk->answer.reason = CRN_REASON_WRITTEN;
        walk->answer.written_at = node->instruction.address;
    }
    if (effect.left == 0 || effect.ends)
        return true;
    if (node->next != CRN_FLOW_NONE)
        node_meet(walk->room, node->next, effect.left);
    for (uint32_t i = 0; i < node->edge_count; i++) {
        uint32_t to = flow->edges[node->edges + i];
        if (to != CRN_FLOW_NONE)
            node_meet(walk->room, to, effect.left);
    }
    return true;
}

static void room_clear(struct crn_walk_room *room)
{
    for (uint32_t i = 0; i < room->touched_count; i++) {
        room->live[room->touched[i]] = 0;
        room->is_waiting[room->touched[i]] = false;
    }
    room->touched_count = room->waiting_count = 0;
}

static void walk_run(struct walk *walk, uint32_t from, uint32_t call)
{
    const struct crn_flow *flow = &walk->facts->flow;
    struct crn_walk_room *room = walk->room;
    walk->answer = (struct crn_liveness_answer){CRN_LIVENESS_DEAD, CRN_REASON_LEFT,
                                                !flow->has_landing_pads, 0};
    node_meet(room, from, ALL);
    for (uint32_t i = 0; call != CRN_FLOW_NONE && i < flow->nodes[call].edge_count; i++)
        if (flow->edges[flow->nodes[call].edges + i] != CRN_FLOW_NONE)
            node_meet(room, flow->edges[flow->nodes[call].edges + i], ALL);
    while (room->waiting_count != 0) {
        uint32_t at = room->waiting[--room->waiting_count];
        room->is_waiting[at] = false;
        if (!node_take(walk, at))
            break;
    }
    room_clear(room);
    if (walk->passes_on) {
        walk->answer.liveness = CRN_LIVENESS_READ;
        walk->answer.reason = CRN_REASON_PASSES_ON;
        walk->answer.is_certain = false;
    }
}

struct crn_liveness_answer crn_walk_register(struct crn_walk_room *room,
                                             const struct crn_frame_facts *facts, uint32_t from,
                                             uint32_t call, unsigned reg)
{
    struct walk walk = {.room = room, .facts = facts, .reg = reg};
    walk_run(&walk, from, call);
    return walk.answer;
}

/*
 * Whether the slot may be an argument of the call under way: arguments in memory fill the stack
 * from rsp up, and are stored after any call before.  Where the first word was not stored there are
 * none. One word between two may be left out, for alignment.
 */
static bool may_be_argument(struct crn_walk_room *room, const struct crn_frame_facts *facts,
                            uint32_t call, int64_t offset)
{
    int64_t rsp = facts->nodes[call].rsp;
    uint64_t stored = 0;
    room->waiting[room->waiting_count++] = call;
    room->live[call] = 1;
    room->touched[room->touched_count++] = call;
    while (room->waiting_count != 0) {
        uint32_t at = room->waiting[--room->waiting_count];
        for (uint32_t i = facts->first_source[at]; i < facts->first_source[at + 1]; i++) {
            uint32_t source = facts->sources[i];
            const struct crn_instruction *instruction = &facts->flow.nodes[source].instruction;
            if (room->live[source] != 0 || instruction->flow == CRN_FLOW_CALL)
                continue;
            room->live[source] = 1;
            room->touched[room->touched_count++] = source;
            room->waiting[room->waiting_count++] = source;
            for (unsigned j = 0; j < instruction->memory_count; j++) {
                int32_t slot = facts->nodes[source].slots[j];
                if (slot == CRN_FRAME_NONE || !instruction->memory[j].is_written)
                    continue;
                for (int64_t word = 0; word < ARGUMENTS_MAX; word++)
                    if (bytes_covered(rsp + 8 * word, slot, instruction->memory[j].bytes) != 0)
                        stored |= (uint64_t)1 << word;
            }
        }
    }
    room_clear(room);
    int64_t last = (offset - rsp) / 8;
    if ((stored & 1) == 0)
        return false;
    for (int64_t word = 1; word <= last && word < ARGUMENTS_MAX; word++)
        if ((stored >> (word - 1) & 3) == 0)
            return false;
    return last >= ARGUMENTS_MAX || (stored >> last & 1) != 0 ||
           (last + 1 < ARGUMENTS_MAX && (stored >> (last + 1) & 1) != 0);
}

static struct crn_liveness_answer unknown(enum crn_liveness_reason reason)
{
    return (struct crn_liveness_answer){CRN_LIVENESS_UNKNOWN, reason, false, 0};
}

struct crn_liveness_answer crn_walk_slot(struct crn_walk_room *room,
                                         const struct crn_frame_facts *facts, uint32_t from,
                                         uint32_t call, int64_t offset)
{
    struct walk walk = {.room = room, .facts = facts, .is_slot = true, .offset = offset};
    if (facts->returns_twice)
        return unknown(CRN_REASON_RETURNS_TWICE);
    if (facts->flow.has_unknown)
        return unknown(CRN_REASON_INDIRECT);
    if (facts->is_stack_unknown || facts->nodes[from].rsp == CRN_FRAME_NONE)
        return unknown(CRN_REASON_STACK);
    if (offset < facts->nodes[from].rsp || offset + BYTES > -8)
        return unknown(CRN_REASON_NO_PLACE);
    if (facts->lowest_escape != CRN_FRAME_NONE && facts->lowest_escape < offset + BYTES)
        return unknown(CRN_REASON_ESCAPED);
    if (call != CRN_FLOW_NONE && may_be_argument(room, facts, call, offset))
        return unknown(CRN_REASON_ARGUMENT);
    walk_run(&walk, from, call);
    walk.answer.is_certain &= facts->lowest_escape == CRN_FRAME_NONE;
    return walk.answer;
}
