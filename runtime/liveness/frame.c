/*
 * The dataflow of frame addresses.  See frame.h.
 */
#include "liveness/frame.h"
#include "coro/switcher.h"

#include <setjmp.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

/*
 * A register's value in 32 bits: OTHER, else the offset times two, plus one for "maybe".
 * Offsets beyond what fits are OTHER that has escaped, like any other result of arithmetic.
 */
typedef int32_t value;
enum { OTHER = INT32_MAX, OFFSET_MOST = 1 << 28 };

struct state {
    value registers[CRN_REGISTERS];
};

struct crn_frame_room {
    struct state before[CRN_FLOW_NODES_MAX];
    bool is_reached[CRN_FLOW_NODES_MAX], is_waiting[CRN_FLOW_NODES_MAX];
};

struct crn_frame_room *crn_frame_room_create(void)
{
    return crn_vm_map(crn_align_up(sizeof(struct crn_frame_room), CRN_PAGE_BYTES));
}

void crn_frame_room_destroy(struct crn_frame_room *room)
{
    if (room != NULL)
        crn_vm_unmap(room, crn_align_up(sizeof *room, CRN_PAGE_BYTES));
}

static bool is_known(value one)
{
    return one != OTHER && (one & 1) == 0;
}

static int32_t offset_of(value one)
{
    return one >> 1;
}

static value known(int64_t offset)
{
    return (value)(offset * 2);
}

static value join(value one, value other)
{
    if (one == other)
        return one;
    int32_t least = one == OTHER                        ? offset_of(other)
                    : other == OTHER                    ? offset_of(one)
                    : offset_of(one) < offset_of(other) ? offset_of(one)
                                                        : offset_of(other);
    return known(least) | 1;
}

/* One instruction being looked at. */
struct step {
    const struct crn_instruction *instruction;
    struct state *state;         /* before it, and then after it */
    struct crn_frame_node *node; /* what it does to the frame */
};

static void escape_note(struct step *step, int64_t offset)
{
    if (offset < -OFFSET_MOST)
        offset = -OFFSET_MOST;
    if (offset < step->node->escape)
        step->node->escape = (int32_t)offset;
}

/* A register's value is used for what we do not follow. */
static void value_escape(struct step *step, value one)
{
    if (one != OTHER)
        escape_note(step, offset_of(one));
}

static void registers_escape(struct step *step, unsigned mask)
{
    for (; mask != 0; mask &= mask - 1)
        value_escape(step, step->state->registers[__builtin_ctz(mask)]);
}

static void registers_set_other(struct step *step, unsigned mask)
{
    for (; mask != 0; mask &= mask - 1)
        step->state->registers[__builtin_ctz(mask)] = OTHER;
}

/*
 * The slot that an operand names; NONE: it is none, or cannot be told, and then what addresses it
 * has escaped.
 */
static int32_t slot_find(struct step *step, const struct crn_memory *memory)
{
    value base = memory->base < CRN_REGISTERS ? step->state->registers[memory->base] : OTHER;
    value index = memory->index < CRN_REGISTERS ? step->state->registers[memory->index] : OTHER;
    if (index != OTHER)
        escape_note(step, offset_of(index) + memory->displacement);
    if (base == OTHER)
        return CRN_FRAME_NONE;
    int64_t offset = offset_of(base) + memory->displacement;
    if (is_known(base) && memory->index == CRN_REG_NONE && memory->bytes != 0 &&
        offset > -OFFSET_MOST && offset < OFFSET_MOST)
        return (int32_t)offset;
    escape_note(step, offset);
    return CRN_FRAME_NONE;
}

/* The value of one plus a constant. */
static value value_add(struct step *step, value one, int64_t addend)
{
    if (one == OTHER)
        return OTHER;
    int64_t sum = offset_of(one) + addend;
    if (is_known(one) && sum > -OFFSET_MOST && sum < OFFSET_MOST)
        return known(sum);
    escape_note(step, sum < offset_of(one) ? sum : offset_of(one));
    return OTHER;
}

static value lea_value(struct step *step, const struct crn_memory *memory)
{
    value base = memory->base < CRN_REGISTERS ? step->state->registers[memory->base] : OTHER;
    if (memory->index == CRN_REG_NONE)
        return value_add(step, base, memory->displacement);
    value index = memory->index < CRN_REGISTERS ? step->state->registers[memory->index] : OTHER;
    if (base != OTHER)
        escape_note(step, offset_of(base) + memory->displacement);
    if (index != OTHER)
        escape_note(step, offset_of(index) + memory->displacement);
    return OTHER;
}

/* What calls and system calls do: they get the registers that they may read, and change some. */
static void call_note(struct step *step, unsigned changed)
{
    registers_escape(step, CRN_CHANGED_BY_CALLS);
    registers_set_other(step, changed);
}

/* Applies an instruction to the state, and fills the node. */
static void step_take(struct step *step)
{
    const struct crn_instruction *instruction = step->instruction;
    value *registers = step->state->registers;
    value result;
    step->node->escape = CRN_FRAME_NONE;
    step->node->rsp = is_known(registers[CRN_RSP]) ? offset_of(registers[CRN_RSP]) : CRN_FRAME_NONE;
    step->node->rbp = is_known(registers[CRN_RBP]) ? offset_of(registers[CRN_RBP]) : CRN_FRAME_NONE;
    for (unsigned i = 0; i < CRN_MEMORY_MAX; i++)
        step->node->slots[i] = i < instruction->memory_count && instruction->operation != CRN_OP_LEA
                                   ? slot_find(step, &instruction->memory[i])
                                   : CRN_FRAME_NONE;
    if (instruction->flow == CRN_FLOW_CALL) {
        registers_escape(step, instruction->reads);
        call_note(step, CRN_CHANGED_BY_CALLS);
        return;
    }
    if (instruction->flow == CRN_FLOW_SYSCALL) {
        call_note(step, 1 << CRN_RAX | 1 << CRN_RCX | 1 << CRN_R11);
        return;
    }
    if (instruction->flow == CRN_FLOW_RETURN || instruction->flow == CRN_FLOW_TRAP)
        return;
    switch (instruction->operation) {
    case CRN_OP_MOVE:
        result = registers[instruction->source];
        break;
    case CRN_OP_ADD:
        result = value_add(step, registers[instruction->dest], instruction->immediate);
        break;
    case CRN_OP_LEA:
        result = lea_value(step, &instruction->memory[0]);
        break;
    case CRN_OP_COMPARE:
        return;
    case CRN_OP_CMOV:
        result = instruction->source < CRN_REGISTERS
                     ? join(registers[instruction->dest], registers[instruction->source])
                     : join(registers[instruction->dest], OTHER);
        if (registers[instruction->dest] == OTHER &&
            (instruction->source >= CRN_REGISTERS || registers[instruction->source] == OTHER))
            result = OTHER;
        break;
    case CRN_OP_PUSH:
        registers_escape(step, instruction->reads);
        registers[CRN_RSP] = value_add(step, registers[CRN_RSP], -8);
        return;
    case CRN_OP_POP:
        registers[CRN_RSP] = value_add(step, registers[CRN_RSP], 8);
        if (instruction->dest < CRN_REGISTERS)
            registers[instruction->dest] = OTHER;
        return;
    case CRN_OP_LEAVE:
        registers[CRN_RSP] = value_add(step, registers[CRN_RBP], 8);
        registers[CRN_RBP] = OTHER;
        return;
    default:
        registers_escape(step, instruction->reads |
                                   (instruction->touches & (unsigned)~instruction->writes));
        registers_set_other(step, instruction->touches);
        return;
    }
    registers_set_other(step, instruction->touches);
    registers[instruction->dest] = result;
}

/* Joins what one node leaves with what comes before another; true: that changed. */
static bool state_merge(struct crn_frame_room *room, uint32_t to, const struct state *state)
{
    struct state *before = &room->before[to];
    bool is_changed = false;
    if (!room->is_reached[to]) {
        room->is_reached[to] = true;
        *before = *state;
        return true;
    }
    for (unsigned i = 0; i < CRN_REGISTERS; i++) {
        value joined = join(before->registers[i], state->registers[i]);
        is_changed |= joined != before->registers[i];
        before->registers[i] = joined;
    }
    return is_changed;
}

/* Runs the dataflow until nothing changes. */
static void states_settle(struct crn_frame_room *room, struct crn_frame_facts *facts)
{
    const struct crn_flow *flow = &facts->flow;
    bool is_settled = false;
    while (!is_settled) {
        is_settled = true;
        for (uint32_t i = 0; i < flow->count; i++) {
            if (!room->is_waiting[i])
                continue;
            room->is_waiting[i] = is_settled = false;
            const struct crn_flow_node *node = &flow->nodes[i];
            struct state state = room->before[i];
            step_take(&(struct step){&node->instruction, &state, &facts->nodes[i]});
            if (node->next != CRN_FLOW_NONE && state_merge(room, node->next, &state))
                room->is_waiting[node->next] = true;
            for (uint32_t j = 0; j < node->edge_count; j++) {
                uint32_t to = flow->edges[node->edges + j];
                if (to != CRN_FLOW_NONE && state_merge(room, to, &state))
                    room->is_waiting[to] = true;
            }
        }
    }
}

/* Whether the call whose return address is `next` may return a second time. */
static bool call_returns_twice(const struct crn_code *code, const struct crn_instruction *call)
{
    uintptr_t next = call->address + call->bytes;
    uintptr_t callee =
        call->target != 0 ? crn_stub_follow(code, call->target) : crn_code_callee(code, next);
    if (callee == (uintptr_t)_setjmp || callee == (uintptr_t)setjmp ||
        callee == (uintptr_t)__sigsetjmp || callee == (uintptr_t)getcontext ||
        callee == (uintptr_t)vfork)
        return true;
    return crn_switcher_of(code, next).is_saver;
}

/* Sums up what the nodes say. */
static void facts_sum_up(const struct crn_code *code, struct crn_frame_facts *facts)
{
    const struct crn_flow *flow = &facts->flow;
    facts->lowest_escape = CRN_FRAME_NONE;
    for (uint32_t i = 0; i < flow->count; i++) {
        const struct crn_flow_node *node = &flow->nodes[i];
        const struct crn_frame_node *frame = &facts->nodes[i];
        bool ends = node->instruction.flow == CRN_FLOW_RETURN || node->leaves;
        if (frame->escape < facts->lowest_escape)
            facts->lowest_escape = frame->escape;
        if (frame->rsp == CRN_FRAME_NONE || (ends && frame->rsp != -8))
            facts->is_stack_unknown = true;
        if (node->instruction.flow == CRN_FLOW_CALL && !facts->returns_twice)
            facts->returns_twice = call_returns_twice(code, &node->instruction);
    }
}

static uint32_t edge_target(const struct crn_flow *flow, const struct crn_flow_node *node,
                            uint32_t edge)
{
    return edge == node->edge_count ? node->next : flow->edges[node->edges + edge];
}

/* Turns edges round. */
static bool sources_fill(struct crn_arena *arena, struct crn_frame_facts *facts)
{
    const struct crn_flow *flow = &facts->flow;
    facts->first_source = crn_arena_alloc(arena, (flow->count + 2) * sizeof(uint32_t));
    facts->sources =
        crn_arena_alloc(arena, (flow->count + flow->edge_count) * sizeof(uint32_t) + 8);
    if (facts->first_source == NULL || facts->sources == NULL)
        return false;
    uint32_t *first = facts->first_source;
    memset(first, 0, (flow->count + 2) * sizeof *first);
    for (uint32_t i = 0; i < flow->count; i++)
        for (uint32_t j = 0; j <= flow->nodes[i].edge_count; j++) {
            uint32_t to = edge_target(flow, &flow->nodes[i], j);
            if (to != CRN_FLOW_NONE)
                first[to + 2]++;
        }
    for (uint32_t i = 2; i < flow->count + 2; i++)
        first[i] += first[i - 1];
    for (uint32_t i = 0; i < flow->count; i++)
        for (uint32_t j = 0; j <= flow->nodes[i].edge_count; j++) {
            uint32_t to = edge_target(flow, &flow->nodes[i], j);
            if (to != CRN_FLOW_NONE)
                facts->sources[first[to + 1]++] = i;
        }
    return true;
}

enum crn_status crn_frame_analyse(struct crn_frame_room *room, struct crn_arena *arena,
                                  const struct crn_code *code, struct crn_frame_facts *facts)
{
    const struct crn_flow *flow = &facts->flow;
    facts->nodes = crn_arena_alloc(arena, flow->count * sizeof *facts->nodes);
    if (facts->nodes == NULL || !sources_fill(arena, facts))
        return CRN_ERR_NO_MEMORY;
    memset(room->is_reached, 0, flow->count);
    uint32_t start = crn_flow_find(flow, flow->function.start);
    struct state first;
    for (unsigned i = 0; i < CRN_REGISTERS; i++)
        first.registers[i] = OTHER;
    first.registers[CRN_RSP] = known(-8);
    state_merge(room, start, &first);
    room->is_waiting[start] = true;
    states_settle(room, facts);
    facts_sum_up(code, facts);
    return CRN_OK;
}
