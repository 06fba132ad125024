/*
 * Follows what a parked coroutine would do when it is resumed.  See ending.h.
 *
 * The frames are looked at outwards.  Of each, the paths from its return address are followed until
 * they return, end, switch away again, or call; that answer is remembered by return address, since
 * thousands of coroutines stop at the same one.
 */
#include "coro/ending.h"
#include "coro/switcher.h"
#include "coro/unbound.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

/* What the paths from a return address on do, as a mask. */
enum {
    RETURNS = 1,  /* to the caller */
    ENDS = 2,     /* by a trap, abort, or where the code ends */
    PARKS = 4,    /* switches away again */
    BEGINS = 8,   /* calls what one load from memory names: a new entry */
    STORES = 16,  /* writes to memory that is not on the stack */
    GOES_ON = 32, /* does anything else, or we do not know */
};

enum { ROWS = 1 << 10, VISITED_MAX = 256, WAITING_MAX = 32, FRAMES_MAX = 8 };

struct crn_endings {
    struct crn_flow_room *room;
    struct {
        uintptr_t return_address;
        unsigned does;
    } rows[ROWS];
};

struct crn_endings *crn_endings_create(void)
{
    if (!crn_decoder_is_there())
        return NULL;
    struct crn_endings *endings =
        crn_vm_map(crn_align_up(sizeof(struct crn_endings), CRN_PAGE_BYTES));
    if (endings != NULL)
        endings->room = NULL;
    return endings;
}

void crn_endings_destroy(struct crn_endings *endings)
{
    if (endings == NULL)
        return;
    crn_flow_room_destroy(endings->room);
    crn_vm_unmap(endings, crn_align_up(sizeof *endings, CRN_PAGE_BYTES));
}

extern _Noreturn void crn_longjmp_fortified(jmp_buf, int) __asm__("__longjmp_chk")
    __attribute__((weak));
extern _Noreturn void crn_stack_smashed(void) __asm__("__stack_chk_fail") __attribute__((weak));
extern _Noreturn void crn_assertion_failed(void) __asm__("__assert_fail") __attribute__((weak));

static bool is_one_of(uintptr_t function, const uintptr_t *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == function && function != 0)
            return true;
    return false;
}

/* Whether a function saves registers, returns 0, and returns again as something else later. */
static bool is_saver(const struct crn_code *code, uintptr_t callee, uintptr_t return_address)
{
    const uintptr_t known[] = {(uintptr_t)_setjmp, (uintptr_t)__sigsetjmp};
    return is_one_of(callee, known, CRN_COUNT_OF(known)) ||
           crn_switcher_of(code, return_address).is_saver;
}

/* Whether a call that returns to `return_address` leaves the stack, to come back there later. */
static bool is_switch(const struct crn_code *code, uintptr_t callee, uintptr_t return_address)
{
    if (callee == (uintptr_t)swapcontext || is_saver(code, callee, return_address))
        return true;
    return crn_switcher_of(code, return_address).is_switch;
}

/* Whether a function never comes back, but goes on where registers were saved. */
static bool is_jump(uintptr_t callee)
{
    const uintptr_t known[] = {(uintptr_t)setcontext, (uintptr_t)longjmp, (uintptr_t)_longjmp,
                               (uintptr_t)siglongjmp, (uintptr_t)crn_longjmp_fortified};
    return is_one_of(callee, known, CRN_COUNT_OF(known));
}

/*
 * Whether a function says that something is wrong, and never comes back.  Most often nobody ever
 * called it, so that it has only a name.
 */
static bool is_alarm(const struct crn_code *code, uintptr_t callee,
                     const struct crn_instruction *call)
{
    static const char *const names[] = {"abort", "__assert_fail", "__stack_chk_fail"};
    const uintptr_t known[] = {(uintptr_t)abort, (uintptr_t)crn_assertion_failed,
                               (uintptr_t)crn_stack_smashed};
    if (is_one_of(callee, known, CRN_COUNT_OF(known)))
        return true;
    const char *name = call->target != 0 ? crn_unbound_name(code, call->target) : NULL;
    for (size_t i = 0; name != NULL && i < CRN_COUNT_OF(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* A path that is to be followed, and how many loads from memory each register is away. */
struct path {
    uint32_t node;
    bool is_answer_in_rax; /* of that setjmp */
    bool is_answer_compared;
    uint8_t loads[CRN_REGISTERS];
};

struct walk {
    const struct crn_code *code;
    const struct crn_flow *flow;
    bool has_frame_pointer; /* rbp addresses the frame */
    bool is_second_return;  /* it begins where setjmp returns again: what it answers is not 0 */
    unsigned does;
    uint32_t visited[VISITED_MAX];
    unsigned visited_count, waiting_count;
    struct path waiting[WAITING_MAX];
};

static bool is_of_frame(const struct walk *walk, unsigned base)
{
    return base == CRN_RSP || (base == CRN_RBP && walk->has_frame_pointer);
}

/* How many loads away what lies there is: 0 in the frame, 1 in a record that the frame names. */
static unsigned loads_of(const struct walk *walk, const struct path *path,
                         const struct crn_memory *memory)
{
    enum { MOST = 8 };
    if (is_of_frame(walk, memory->base))
        return 0;
    if (memory->base >= CRN_REGISTERS)
        return memory->base == CRN_REG_NONE || memory->base == CRN_REG_RIP ? 0 : MOST;
    return path->loads[memory->base] < MOST ? path->loads[memory->base] + 1u : MOST;
}

static void registers_follow(const struct walk *walk, struct path *path,
                             const struct crn_instruction *instruction)
{
    unsigned loads = 0;
    if (instruction->operation == CRN_OP_MOVE && instruction->source < CRN_REGISTERS)
        loads = path->loads[instruction->source];
    else if (instruction->operation == CRN_OP_LOAD && instruction->memory_count > 0)
        loads = loads_of(walk, path, &instruction->memory[0]);
    else if (instruction->dest < CRN_REGISTERS && instruction->operation == CRN_OP_ADD)
        loads = path->loads[instruction->dest];
    for (unsigned i = 0; i < CRN_REGISTERS; i++)
        if ((instruction->touches >> i & 1) != 0 && i != instruction->dest)
            path->loads[i] = 0;
    if (instruction->dest < CRN_REGISTERS)
        path->loads[instruction->dest] = (uint8_t)loads;
}

/* A call by an address that is not in the code: that of a new entry, or of anything. */
static void computed_call_note(struct walk *walk, const struct path *path,
                               const struct crn_instruction *call)
{
    unsigned loads = 0;
    if (is_switch(walk->code, 0, call->address + call->bytes)) {
        walk->does |= PARKS;
        return;
    }
    if (call->memory_count > 0 && call->memory[0].is_read)
        loads = call->memory[0].base == CRN_REG_RIP || call->memory[0].base == CRN_REG_NONE
                    ? 1
                    : loads_of(walk, path, &call->memory[0]);
    else
        for (unsigned i = 0; i < CRN_REGISTERS; i++)
            if ((call->reads >> i & 1) != 0 && i != CRN_RSP && path->loads[i] > loads)
                loads = path->loads[i];
    walk->does |= loads == 1 ? BEGINS : GOES_ON;
}

/* A call; the path goes no further. */
static void call_note(struct walk *walk, const struct path *path, const struct crn_flow_node *node)
{
    const struct crn_instruction *call = &node->instruction;
    if (crn_instruction_is_computed(call) && call->memory_count == 0) {
        computed_call_note(walk, path, call);
        return;
    }
    uintptr_t callee = crn_code_callee(walk->code, call->address + call->bytes);
    if (callee == 0 && crn_instruction_is_computed(call))
        computed_call_note(walk, path, call);
    else if (walk->is_second_return && is_jump(callee))
        return; /* that is what it did the first time */
    else if (is_switch(walk->code, callee, call->address + call->bytes))
        walk->does |= PARKS;
    else
        walk->does |= is_alarm(walk->code, callee, call) ? ENDS : GOES_ON;
}

static bool visit(struct walk *walk, uint32_t node)
{
    for (unsigned i = 0; i < walk->visited_count; i++)
        if (walk->visited[i] == node)
            return false;
    if (walk->visited_count == VISITED_MAX) {
        walk->does |= GOES_ON;
        return false;
    }
    walk->visited[walk->visited_count++] = node;
    return true;
}

static void stores_note(struct walk *walk, const struct crn_instruction *instruction)
{
    for (unsigned i = 0; i < instruction->memory_count; i++)
        if (instruction->memory[i].is_written && !is_of_frame(walk, instruction->memory[i].base))
            walk->does |= STORES;
}

/* A branch on whether setjmp answered 0 goes one way: the node where it goes on. */
static bool branch_is_known(struct path *path, const struct crn_flow *flow,
                            const struct crn_flow_node *node)
{
    enum { IF_ZERO = 4, IF_NOT_ZERO = 5 };
    const struct crn_instruction *instruction = &node->instruction;
    bool is_known = instruction->flow == CRN_FLOW_BRANCH && path->is_answer_compared &&
                    node->edge_count == 1 &&
                    (instruction->condition == IF_ZERO || instruction->condition == IF_NOT_ZERO);
    path->is_answer_compared = path->is_answer_in_rax && instruction->operation == CRN_OP_COMPARE &&
                               instruction->reads == 1 << CRN_RAX && !instruction->has_immediate &&
                               instruction->memory_count == 0;
    path->is_answer_in_rax &= (instruction->touches >> CRN_RAX & 1) == 0;
    if (is_known)
        path->node = instruction->condition == IF_ZERO ? node->next : flow->edges[node->edges];
    return is_known;
}

/* Follows one path; others that leave it wait. */
static void path_follow(struct walk *walk, struct path path)
{
    while (path.node != CRN_FLOW_NONE && (walk->does & GOES_ON) == 0 && visit(walk, path.node)) {
        const struct crn_flow_node *node = &walk->flow->nodes[path.node];
        const struct crn_instruction *instruction = &node->instruction;
        if (node->leaves || instruction->flow == CRN_FLOW_SYSCALL) {
            walk->does |= GOES_ON;
            return;
        }
        switch (instruction->flow) {
        case CRN_FLOW_RETURN:
            walk->does |= RETURNS;
            return;
        case CRN_FLOW_TRAP:
            walk->does |= ENDS;
            return;
        case CRN_FLOW_CALL:
            call_note(walk, &path, node);
            return;
        default:
            break;
        }
        stores_note(walk, instruction);
        registers_follow(walk, &path, instruction);
        if (branch_is_known(&path, walk->flow, node))
            continue;
        for (uint32_t i = 0; i < node->edge_count; i++) {
            if (walk->waiting_count == WAITING_MAX) {
                walk->does |= GOES_ON;
                return;
            }
            struct path *other = &walk->waiting[walk->waiting_count++];
            *other = path;
            other->node = walk->flow->edges[node->edges + i];
        }
        if (node->next == CRN_FLOW_NONE && node->edge_count == 0)
            walk->does |= ENDS; /* the code ends here */
        path.node = node->next;
    }
}

static unsigned continuation_read(const struct crn_code *code, const struct crn_flow *flow,
                                  uintptr_t return_address)
{
    struct walk walk = {.code = code, .flow = flow, .waiting_count = 1};
    if (flow->is_cut || flow->has_unknown)
        return GOES_ON;
    walk.waiting[0].node = crn_flow_find(flow, return_address);
    if (walk.waiting[0].node == CRN_FLOW_NONE) {
        uint32_t call = crn_flow_call_before(flow, return_address);
        return call != CRN_FLOW_NONE && flow->nodes[call].next == CRN_FLOW_NONE ? ENDS : GOES_ON;
    }
    walk.is_second_return = is_saver(code, crn_code_callee(code, return_address), return_address);
    walk.waiting[0].is_answer_in_rax = walk.is_second_return;
    walk.has_frame_pointer = crn_rule_get(return_address - 1).kind == CRN_RULE_RBP;
    while (walk.waiting_count > 0 && (walk.does & GOES_ON) == 0)
        path_follow(&walk, walk.waiting[--walk.waiting_count]);
    return walk.does;
}

/* What the frame does that goes on at `return_address`. */
static unsigned continuation_of(struct crn_endings *endings, const struct crn_code *code,
                                uintptr_t return_address)
{
    size_t row = crn_hash64(return_address) % ROWS;
    if (endings->rows[row].return_address == return_address)
        return endings->rows[row].does;
    unsigned does = GOES_ON;
    struct crn_function function;
    struct crn_arena arena = {0};
    struct crn_flow flow;
    if (endings->room == NULL)
        endings->room = crn_flow_room_create();
    if (endings->room != NULL && crn_function_find(return_address - 1, &function) &&
        crn_flow_make(endings->room, &arena, code, function.start, &flow) == CRN_OK)
        does = continuation_read(code, &flow, return_address);
    crn_arena_free_all(&arena);
    endings->rows[row].return_address = return_address;
    endings->rows[row].does = does;
    return does;
}

/* Whether the frame is the outermost one, and how a return from it would go. */
static bool is_base(const struct crn_code *code, const struct crn_frame *frame,
                    struct crn_stack_bounds bounds, struct crn_frame *outer, bool *is_no_code)
{
    uintptr_t slot, bp_slot;
    *outer = *frame;
    if (!crn_frame_step(outer, bounds, false, &slot, &bp_slot)) {
        *is_no_code = true;
        return true;
    }
    /* State Threads enters from a frame of its creator's, whose rbp stays behind: that is none. */
    bool is_creators = crn_rule_get(outer->pc - 1).kind == CRN_RULE_RBP &&
                       outer->bp - bounds.start >= bounds.end - bounds.start;
    *is_no_code = is_creators || !crn_code_holds(code, outer->pc, 1);
    return *is_no_code || !crn_code_follows_call(code, outer->pc);
}

static enum crn_ending ending_of(unsigned does)
{
    if ((does & BEGINS) != 0)
        return CRN_ENDING_POOLED;
    /* One that stores goes on with something; one that only yields again may wait for a reason. */
    return (does & (STORES | PARKS)) != 0 ? CRN_ENDING_NONE : CRN_ENDING_OVER;
}

/* Whether nothing more is done outwards of a frame, should it ever return. */
static bool is_quiet_outwards(struct crn_endings *endings, const struct crn_code *code,
                              struct crn_frame frame, struct crn_stack_bounds bounds)
{
    struct crn_frame outer;
    bool is_no_code;
    for (unsigned i = 0; i < FRAMES_MAX; i++) {
        if (is_base(code, &frame, bounds, &outer, &is_no_code))
            return true;
        if ((continuation_of(endings, code, outer.pc) & ~(unsigned)(RETURNS | ENDS)) != 0)
            return false;
        frame = outer;
    }
    return false;
}

enum crn_ending crn_ending_find(struct crn_endings *endings, const struct crn_code *code,
                                struct crn_frame stopped, struct crn_stack_bounds bounds)
{
    struct crn_frame frame = stopped, outer;
    unsigned stores = 0; /* of the frames further in */
    bool is_no_code;
    if (endings == NULL || stopped.pc == 0)
        return CRN_ENDING_NONE;
    for (unsigned i = 0; i < FRAMES_MAX; i++, frame = outer) {
        unsigned does = continuation_of(endings, code, frame.pc);
        bool begins_or_parks = (does & (BEGINS | PARKS)) != 0;
        if ((does & GOES_ON) != 0)
            return CRN_ENDING_NONE;
        bool is_outermost = is_base(code, &frame, bounds, &outer, &is_no_code);
        if ((does & RETURNS) == 0) {
            /* Only a trampoline, not a loop that somebody's work calls, waits for a new entry. */
            if (begins_or_parks && !is_quiet_outwards(endings, code, frame, bounds))
                return CRN_ENDING_NONE;
            return ending_of(begins_or_parks ? does : does | stores);
        }
        if (begins_or_parks && (is_outermost || (does & BEGINS) != 0))
            return CRN_ENDING_NONE;
        stores |= does & STORES;
        if (is_outermost)
            return is_no_code ? ending_of(does | stores) : CRN_ENDING_NONE;
    }
    return CRN_ENDING_NONE;
}
