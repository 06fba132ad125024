/*
 * Follows the control flow of a function.  See function.h.
 *
 * Paths are followed from the start, one instruction after the other; where several go on, the
 * others wait in a list.  Nodes are found by address through a hash table; at the end they are
 * sorted, and addresses become indices.
 */
#include "code/function.h"
#include "base/sort.h"
#include "code/jump_table.h"
#include "code/landing.h"
#include "code/returns.h"

#include <string.h>

enum {
    SLOTS = 2 * CRN_FLOW_NODES_MAX,
    EDGES_MAX = 2 * CRN_FLOW_NODES_MAX,
    PATH_MAX_NODES = 64,
};

/* An instruction in the order in which it was met. */
struct met {
    struct crn_flow_node node;
    uint32_t from;       /* from where it was first reached; CRN_FLOW_NONE: the start */
    bool is_from_branch; /* ... by a branch that was taken */
};

struct waiting {
    uintptr_t address;
    uint32_t from;
    bool is_landing_pad;
};

struct crn_flow_room {
    struct met met[CRN_FLOW_NODES_MAX];
    uint32_t slots[SLOTS]; /* index + 1 into met; 0: empty */
    uintptr_t edges[EDGES_MAX];
    struct waiting waiting[EDGES_MAX];
    struct row {
        uintptr_t address;
        uint32_t met;
    } order[CRN_FLOW_NODES_MAX]; /* ascending by address */
    uint32_t rank[CRN_FLOW_NODES_MAX];
    uint32_t count, edge_count, waiting_count;
    const struct crn_code *code;
    struct crn_function part; /* the function, or the part moved away, that is being followed */
    struct crn_returns returns;
};

struct crn_flow_room *crn_flow_room_create(void)
{
    return crn_vm_map(crn_align_up(sizeof(struct crn_flow_room), CRN_PAGE_BYTES));
}

void crn_flow_room_destroy(struct crn_flow_room *room)
{
    if (room != NULL)
        crn_vm_unmap(room, crn_align_up(sizeof *room, CRN_PAGE_BYTES));
}

static uint32_t *slot_of(struct crn_flow_room *room, uintptr_t address)
{
    size_t at = crn_hash64(address) % SLOTS;
    while (room->slots[at] != 0 &&
           room->met[room->slots[at] - 1].node.instruction.address != address)
        at = (at + 1) % SLOTS;
    return &room->slots[at];
}

/* Forgets what was met, so that the table is empty for the next function. */
static void room_clear(struct crn_flow_room *room)
{
    if (room->count > SLOTS / 16) {
        memset(room->slots, 0, sizeof room->slots);
    } else {
        for (uint32_t i = room->count; i-- > 0;)
            *slot_of(room, room->met[i].node.instruction.address) = 0;
    }
    room->count = room->edge_count = room->waiting_count = 0;
}

uintptr_t crn_stub_follow(const struct crn_code *code, uintptr_t target)
{
    uintptr_t leads, further;
    if (!crn_stub_read(code, target, &leads))
        return target;
    return leads == 0 || crn_stub_read(code, leads, &further) ? 0 : leads;
}

bool crn_function_returns(struct crn_flow_room *room, const struct crn_code *code,
                          uintptr_t function)
{
    return crn_returns_ask(&room->returns, code, function);
}

/* Whether a jump to `target` leaves the function, rather than going to a part of it elsewhere. */
static bool jump_leaves(const struct crn_flow_room *room, const struct crn_function *function,
                        uintptr_t target)
{
    struct crn_function other;
    uintptr_t leads;
    if (target >= function->start && target < function->end)
        return false;
    if (!crn_function_find(target, &other) || target >= other.end)
        return true;
    if (target != other.start)
        return crn_stub_read(room->code, target, &leads);
    struct crn_rule rule = crn_rule_get(target);
    return rule.kind == CRN_RULE_RSP && rule.cfa_offset == 8;
}

static bool wait_add(struct crn_flow_room *room, uintptr_t address, uint32_t from,
                     bool is_landing_pad)
{
    if (room->waiting_count == EDGES_MAX || room->edge_count == EDGES_MAX)
        return false;
    room->edges[room->edge_count++] = address;
    room->waiting[room->waiting_count++] = (struct waiting){address, from, is_landing_pad};
    return true;
}

/* Reads the table that a computed jump goes through.  False: it is none that we know. */
static bool table_follow(struct crn_flow_room *room, uint32_t at)
{
    const struct crn_instruction *path[PATH_MAX_NODES];
    bool is_taken[PATH_MAX_NODES];
    unsigned first = PATH_MAX_NODES;
    bool was_taken = false;
    for (uint32_t i = at; i != CRN_FLOW_NONE && first > 0; i = room->met[i].from) {
        path[--first] = &room->met[i].node.instruction;
        is_taken[first] = was_taken;
        was_taken = room->met[i].is_from_branch;
    }
    struct crn_jump_path stretch = {path + first, is_taken + first, PATH_MAX_NODES - first};
    struct crn_jump_table table;
    if (!crn_jump_table_find(&stretch, &table))
        return false;
    for (unsigned i = 0; i < table.entries; i++) {
        uintptr_t target;
        if (!crn_jump_table_read(&table, i, &target) || !crn_code_holds(room->code, target, 1) ||
            !wait_add(room, target, at, false))
            return false;
    }
    return true;
}

/* Where exceptions land that pass a call. */
static bool landing_note(struct crn_flow_room *room, struct crn_flow *flow, uint32_t at)
{
    uintptr_t landing;
    switch (crn_landing_find(room->part.start, room->met[at].node.instruction.address, &landing)) {
    case CRN_LANDING_NONE:
        return true;
    case CRN_LANDING_UNKNOWN:
        return false;
    default:
        break;
    }
    flow->has_landing_pads = true;
    return wait_add(room, landing, at, true);
}

/* What comes after the node `at`; false: not all of it is known. */
static bool successors_note(struct crn_flow_room *room, struct crn_flow *flow, uint32_t at,
                            bool *goes_on, bool *has_computed)
{
    struct crn_flow_node *node = &room->met[at].node;
    const struct crn_instruction *instruction = &node->instruction;
    uintptr_t next = instruction->address + instruction->bytes;
    node->edges = room->edge_count;
    *goes_on = true;
    switch (instruction->flow) {
    case CRN_FLOW_RETURN:
    case CRN_FLOW_TRAP:
        *goes_on = false;
        break;
    case CRN_FLOW_JUMP:
        *goes_on = false;
        if (instruction->target != 0) {
            node->leaves = jump_leaves(room, &flow->function, instruction->target);
            if (node->leaves)
                break;
            if (!wait_add(room, instruction->target, at, false))
                return false;
        } else if (!table_follow(room, at)) {
            room->waiting_count -= room->edge_count - node->edges;
            room->edge_count = node->edges;
            node->leaves = *has_computed = true;
        }
        break;
    case CRN_FLOW_BRANCH:
        if (instruction->target == 0 || !wait_add(room, instruction->target, at, false))
            return false;
        break;
    case CRN_FLOW_CALL:
        if (!landing_note(room, flow, at))
            return false;
        *goes_on = next != room->part.end &&
                   (instruction->target == 0 ||
                    crn_returns_ask(&room->returns, room->code, instruction->target));
        break;
    default:
        break;
    }
    node->edge_count = room->edge_count - node->edges;
    return true;
}

/* Follows one path until it ends or meets another.  False: the function is cut off there. */
static bool path_follow(struct crn_flow_room *room, struct crn_flow *flow,
                        const struct waiting *start, bool *has_computed)
{
    uintptr_t address = start->address;
    uint32_t from = start->from;
    bool is_from_branch =
        from != CRN_FLOW_NONE && room->met[from].node.instruction.flow == CRN_FLOW_BRANCH;
    bool is_landing_pad = start->is_landing_pad, goes_on = true;
    while (goes_on) {
        if ((address < room->part.start || address >= room->part.end) &&
            (!crn_function_find(address, &room->part) || address >= room->part.end))
            room->part = (struct crn_function){address, UINTPTR_MAX, 0, 0};
        uint32_t *slot = slot_of(room, address);
        if (*slot != 0) {
            room->met[*slot - 1].node.is_landing_pad |= is_landing_pad;
            return true;
        }
        if (room->count == CRN_FLOW_NODES_MAX)
            return false;
        uint32_t at = room->count;
        struct met *met = &room->met[at];
        *met = (struct met){.from = from, .is_from_branch = is_from_branch};
        met->node.is_landing_pad = is_landing_pad;
        if (!crn_instruction_decode(room->code, address, &met->node.instruction))
            return false;
        room->count++;
        *slot = at + 1;
        if (!successors_note(room, flow, at, &goes_on, has_computed))
            return false;
        address += met->node.instruction.bytes;
        met->node.next = goes_on ? at : CRN_FLOW_NONE; /* its index comes when all are known */
        from = at;
        is_from_branch = is_landing_pad = false;
    }
    return true;
}

/* Whether what lies between two nodes is only padding. */
static bool is_padding(const struct crn_flow_room *room, uintptr_t at, uintptr_t end)
{
    struct crn_instruction instruction;
    while (at < end) {
        if (!crn_instruction_decode(room->code, at, &instruction))
            return false;
        if (!instruction.is_nop && instruction.flow != CRN_FLOW_TRAP &&
            *(const uint8_t *)at != 0xcc)
            return false;
        at += instruction.bytes;
    }
    return true;
}

/* Whether there is code of the function that no path has reached. */
static bool has_unseen(const struct crn_flow_room *room, const struct crn_flow *flow)
{
    uintptr_t seen = flow->function.start;
    for (uint32_t i = 0; i < room->count; i++) {
        const struct crn_instruction *instruction = &room->met[room->order[i].met].node.instruction;
        if (instruction->address < flow->function.start)
            continue;
        if (instruction->address >= flow->function.end)
            break;
        if (instruction->address > seen && !is_padding(room, seen, instruction->address))
            return true;
        if (instruction->address + instruction->bytes > seen)
            seen = instruction->address + instruction->bytes;
    }
    return seen < flow->function.end && !is_padding(room, seen, flow->function.end);
}

static bool is_below(const void *a, const void *b)
{
    return ((const struct row *)a)->address < ((const struct row *)b)->address;
}

static void nodes_sort(struct crn_flow_room *room)
{
    for (uint32_t i = 0; i < room->count; i++)
        room->order[i] = (struct row){room->met[i].node.instruction.address, i};
    crn_sort(room->order, room->count, sizeof room->order[0], is_below);
    for (uint32_t i = 0; i < room->count; i++)
        room->rank[room->order[i].met] = i;
}

static bool copy_out(struct crn_flow_room *room, struct crn_arena *arena, struct crn_flow *flow)
{
    flow->count = room->count;
    flow->edge_count = room->edge_count;
    flow->nodes = crn_arena_alloc(arena, room->count * sizeof *flow->nodes);
    flow->edges = crn_arena_alloc(arena, room->edge_count * sizeof *flow->edges + 8);
    if (flow->nodes == NULL || flow->edges == NULL)
        return false;
    for (uint32_t i = 0; i < room->count; i++) {
        struct crn_flow_node *node = &flow->nodes[i];
        *node = room->met[room->order[i].met].node;
        if (node->next == CRN_FLOW_NONE)
            continue;
        uint32_t slot = *slot_of(room, node->instruction.address + node->instruction.bytes);
        node->next = slot != 0 ? room->rank[slot - 1] : CRN_FLOW_NONE;
    }
    for (uint32_t i = 0; i < room->edge_count; i++) {
        uint32_t slot = *slot_of(room, room->edges[i]);
        flow->edges[i] = slot != 0 ? room->rank[slot - 1] : CRN_FLOW_NONE;
    }
    return true;
}

enum crn_status crn_flow_make(struct crn_flow_room *room, struct crn_arena *arena,
                              const struct crn_code *code, uintptr_t start, struct crn_flow *flow)
{
    bool has_computed = false;
    *flow = (struct crn_flow){.count = 0};
    if (!crn_decoder_is_there() || !crn_function_find(start, &flow->function) ||
        flow->function.start != start || flow->function.end <= start)
        return CRN_ERR_INVALID;
    room->code = code;
    room->part = flow->function;
    struct waiting first = {start, CRN_FLOW_NONE, false};
    flow->is_cut = !path_follow(room, flow, &first, &has_computed);
    while (!flow->is_cut && room->waiting_count != 0) {
        first = room->waiting[--room->waiting_count];
        flow->is_cut = !path_follow(room, flow, &first, &has_computed);
    }
    nodes_sort(room);
    flow->has_unknown = has_computed && !flow->is_cut && has_unseen(room, flow);
    bool is_copied = copy_out(room, arena, flow);
    room_clear(room);
    return is_copied ? CRN_OK : CRN_ERR_NO_MEMORY;
}

/* The first node at or behind `address`; the flow's count when there is none. */
static uint32_t first_from(const struct crn_flow *flow, uintptr_t address)
{
    uint32_t low = 0, high = flow->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (flow->nodes[middle].instruction.address < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t crn_flow_find(const struct crn_flow *flow, uintptr_t address)
{
    uint32_t at = first_from(flow, address);
    return at < flow->count && flow->nodes[at].instruction.address == address ? at : CRN_FLOW_NONE;
}

uint32_t crn_flow_call_before(const struct crn_flow *flow, uintptr_t address)
{
    uint32_t at = first_from(flow, address);
    if (at == 0)
        return CRN_FLOW_NONE;
    const struct crn_instruction *before = &flow->nodes[at - 1].instruction;
    return before->flow == CRN_FLOW_CALL && before->address + before->bytes == address
               ? at - 1
               : CRN_FLOW_NONE;
}
