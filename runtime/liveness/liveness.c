/*
 * Answers questions, and remembers the functions they were about.  See liveness.h.
 */
#include "liveness/liveness.h"
#include "liveness/walk.h"

enum { MEMORY_MOST_BYTES = 48 << 20, ROWS = 1 << 12 };

/* What is known of one function. */
struct row {
    uintptr_t start; /* 0: an empty row */
    struct crn_frame_facts facts;
    enum crn_status status;
};

struct crn_liveness_engine {
    const struct crn_code *code;
    struct crn_flow_room *flow_room;
    struct crn_frame_room *frame_room;
    struct crn_walk_room *walk_room;
    struct crn_arena arena;
    size_t arena_bytes;
    uint32_t row_count;
    struct row rows[ROWS]; /* a hash table; at most half of it is used */
};

static const char *const reason_names[CRN_REASON_COUNT] = {
    [CRN_REASON_NONE] = "none",
    [CRN_REASON_WRITTEN] = "written",
    [CRN_REASON_LEFT] = "left",
    [CRN_REASON_READ] = "read",
    [CRN_REASON_PASSES_ON] = "passes on",
    [CRN_REASON_NO_DECODER] = "no decoder",
    [CRN_REASON_NO_FUNCTION] = "no function",
    [CRN_REASON_NO_PLACE] = "no place",
    [CRN_REASON_UNSEEN] = "unseen",
    [CRN_REASON_INDIRECT] = "indirect",
    [CRN_REASON_STACK] = "stack",
    [CRN_REASON_ESCAPED] = "escaped",
    [CRN_REASON_ARGUMENT] = "argument",
    [CRN_REASON_RETURNS_TWICE] = "returns twice",
    [CRN_REASON_TOO_LARGE] = "too large",
    [CRN_REASON_CONVENTION] = "convention",
    [CRN_REASON_NO_MEMORY] = "no memory",
};

const char *crn_liveness_reason_name(enum crn_liveness_reason reason)
{
    return (unsigned)reason < CRN_REASON_COUNT ? reason_names[reason] : "unknown";
}

struct crn_liveness_engine *crn_liveness_create(const struct crn_code *code)
{
    size_t bytes = crn_align_up(sizeof(struct crn_liveness_engine), CRN_PAGE_BYTES);
    struct crn_liveness_engine *engine = crn_vm_map(bytes);
    if (engine == NULL)
        return NULL;
    engine->code = code;
    engine->flow_room = crn_flow_room_create();
    engine->frame_room = crn_frame_room_create();
    engine->walk_room = crn_walk_room_create();
    if (engine->flow_room != NULL && engine->frame_room != NULL && engine->walk_room != NULL)
        return engine;
    crn_liveness_destroy(engine);
    return NULL;
}

void crn_liveness_destroy(struct crn_liveness_engine *engine)
{
    if (engine == NULL)
        return;
    crn_flow_room_destroy(engine->flow_room);
    crn_frame_room_destroy(engine->frame_room);
    crn_walk_room_destroy(engine->walk_room);
    crn_arena_free_all(&engine->arena);
    crn_vm_unmap(engine, crn_align_up(sizeof *engine, CRN_PAGE_BYTES));
}

/* Forgets all functions: their memory is needed for others. */
static void functions_forget(struct crn_liveness_engine *engine)
{
    crn_arena_free_all(&engine->arena);
    engine->arena = (struct crn_arena){.chunks = NULL};
    engine->arena_bytes = 0;
    engine->row_count = 0;
    for (size_t i = 0; i < ROWS; i++)
        engine->rows[i].start = 0;
}

static size_t facts_bytes(const struct crn_frame_facts *facts)
{
    return facts->flow.count * (sizeof *facts->flow.nodes + sizeof *facts->nodes + 12) +
           facts->flow.edge_count * 8;
}

/* What is known of the function that starts at `start`; analysed when it is asked for first. */
static const struct row *function_get(struct crn_liveness_engine *engine, uintptr_t start)
{
    size_t at = crn_hash64(start) % ROWS;
    for (; engine->rows[at].start != 0; at = (at + 1) % ROWS)
        if (engine->rows[at].start == start)
            return &engine->rows[at];
    if (engine->arena_bytes > MEMORY_MOST_BYTES || engine->row_count >= ROWS / 2) {
        functions_forget(engine);
        at = crn_hash64(start) % ROWS;
    }
    struct row *row = &engine->rows[at];
    *row = (struct row){.start = start};
    row->status =
        crn_flow_make(engine->flow_room, &engine->arena, engine->code, start, &row->facts.flow);
    if (row->status == CRN_OK && !row->facts.flow.is_cut)
        row->status =
            crn_frame_analyse(engine->frame_room, &engine->arena, engine->code, &row->facts);
    engine->arena_bytes += facts_bytes(&row->facts);
    engine->row_count++;
    return row;
}

static struct crn_liveness_answer unknown(enum crn_liveness_reason reason)
{
    return (struct crn_liveness_answer){CRN_LIVENESS_UNKNOWN, reason, false, 0};
}

/* Whether the dataflow and the unwind information see the CFA at the same place. */
static bool agrees_with_unwinding(const struct crn_frame_node *node, uintptr_t lookup)
{
    struct crn_rule rule = crn_rule_get(lookup);
    return (rule.kind == CRN_RULE_RSP && node->rsp == -rule.cfa_offset) ||
           (rule.kind == CRN_RULE_RBP && node->rbp == -rule.cfa_offset);
}

struct crn_liveness_answer crn_liveness_ask(struct crn_liveness_engine *engine,
                                            const struct crn_liveness_question *question)
{
    struct crn_function function;
    uintptr_t pc = question->pc, lookup = question->is_return_address ? pc - 1 : pc;
    if (!crn_decoder_is_there())
        return unknown(CRN_REASON_NO_DECODER);
    if (question->place == CRN_PLACE_FRAME_WORD)
        return unknown(CRN_REASON_NO_PLACE);
    if (!crn_function_find(lookup, &function) || lookup >= function.end)
        return unknown(CRN_REASON_NO_FUNCTION);
    struct crn_rule rule = crn_rule_get(function.start);
    if (rule.kind != CRN_RULE_RSP || rule.cfa_offset != 8)
        return unknown(CRN_REASON_NO_FUNCTION); /* a part of one, or no function of ours */
    const struct row *row = function_get(engine, function.start);
    if (row->status == CRN_ERR_NO_MEMORY)
        return unknown(CRN_REASON_NO_MEMORY);
    if (row->status != CRN_OK)
        return unknown(CRN_REASON_NO_FUNCTION);
    const struct crn_frame_facts *facts = &row->facts;
    if (facts->flow.is_cut)
        return unknown(CRN_REASON_TOO_LARGE);
    uint32_t from = crn_flow_find(&facts->flow, pc), call = CRN_FLOW_NONE;
    if (question->is_return_address) {
        call = crn_flow_call_before(&facts->flow, pc);
        if (call == CRN_FLOW_NONE)
            return unknown(CRN_REASON_UNSEEN);
    }
    if (from == CRN_FLOW_NONE)
        return unknown(CRN_REASON_UNSEEN);
    if (question->place == CRN_PLACE_REGISTER)
        return question->reg < CRN_REGISTERS && question->reg != CRN_RSP
                   ? crn_walk_register(engine->walk_room, facts, from, call, question->reg)
                   : unknown(CRN_REASON_NO_PLACE);
    if (!agrees_with_unwinding(&facts->nodes[from], lookup))
        return unknown(CRN_REASON_STACK);
    if (!question->is_return_address && question->offset < facts->nodes[from].rsp)
        return unknown(CRN_REASON_NO_PLACE);
    return crn_walk_slot(engine->walk_room, facts, from, call, question->offset);
}

enum crn_saved crn_liveness_saves(uintptr_t pc, bool is_return_address, unsigned reg,
                                  int64_t *offset)
{
    static const uint8_t columns[CRN_REGISTERS] = {0, 2, 1,  3,  7,  6,  4,  5,
                                                   8, 9, 10, 11, 12, 13, 14, 15};
    if (reg >= CRN_REGISTERS)
        return CRN_SAVED_UNKNOWN;
    return crn_saved_at(is_return_address ? pc - 1 : pc, columns[reg], offset);
}

bool crn_liveness_passes_on(struct crn_liveness_engine *engine, uintptr_t pc,
                            bool is_return_address, unsigned reg)
{
    struct crn_liveness_question question = {
        .pc = pc, .is_return_address = is_return_address, .place = CRN_PLACE_REGISTER, .reg = reg};
    struct crn_liveness_answer answer = crn_liveness_ask(engine, &question);
    /* Where no path returns, LEFT, none reads or writes it either. */
    return (answer.reason == CRN_REASON_PASSES_ON || answer.reason == CRN_REASON_LEFT) &&
           answer.written_at == 0;
}
