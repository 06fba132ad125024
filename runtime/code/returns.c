/*
 * Looks for a path through a function that returns.  See returns.h.
 *
 * The search is small, and gives up early: what it has not seen to the end may return.
 */
#include "code/returns.h"
#include "base/sys.h"
#include "stack/rules.h"

enum { DEPTH_MAX = 3, VISITS_MAX = 160, TABLE_SLOTS = 256, BRANCHES_MAX = 64, BUDGET = 256 };

bool crn_stub_read(const struct crn_code *code, uintptr_t target, uintptr_t *leads)
{
    struct crn_instruction instruction;
    for (unsigned i = 0; i < 2; i++) {
        if (!crn_instruction_decode(code, target, &instruction))
            return false;
        if (instruction.flow == CRN_FLOW_JUMP) {
            const struct crn_memory *memory = &instruction.memory[0];
            if (instruction.target != 0 || instruction.memory_count != 1 ||
                memory->base != CRN_REG_NONE || memory->index != CRN_REG_NONE)
                return false;
            *leads = 0;
            crn_memory_read(leads, (uintptr_t)memory->displacement, sizeof *leads);
            return true;
        }
        if (!instruction.is_nop)
            return false;
        target += instruction.bytes;
    }
    return false;
}

/* Where the search through one function is. */
struct search {
    const struct crn_code *code;
    struct crn_function function;
    uintptr_t visited[TABLE_SLOTS];
    uintptr_t branches[BRANCHES_MAX];
    unsigned visit_count, branch_count;
};

/* False when it was visited before, or there is no room: `is_full` tells. */
static bool visit(struct search *search, uintptr_t address, bool *is_full)
{
    size_t at = crn_hash64(address) % TABLE_SLOTS;
    for (; search->visited[at] != 0; at = (at + 1) % TABLE_SLOTS)
        if (search->visited[at] == address)
            return false;
    *is_full = ++search->visit_count > VISITS_MAX;
    search->visited[at] = address;
    return !*is_full;
}

static bool may_return(struct crn_returns *known, const struct crn_code *code, uintptr_t function,
                       unsigned depth);

/* Follows one path until it ends; true: it returned, or we do not know. */
static bool path_returns(struct crn_returns *known, struct search *search, uintptr_t at,
                         unsigned depth)
{
    struct crn_instruction instruction;
    bool is_full = false;
    while (visit(search, at, &is_full)) {
        if (known->budget == 0 || known->budget-- == 1)
            return true;
        if (!crn_instruction_decode(search->code, at, &instruction))
            return true;
        uintptr_t next = at + instruction.bytes;
        switch (instruction.flow) {
        case CRN_FLOW_RETURN:
            return true;
        case CRN_FLOW_TRAP:
            return false;
        case CRN_FLOW_JUMP:
            if (instruction.target == 0)
                return true;
            if (instruction.target < search->function.start ||
                instruction.target >= search->function.end)
                return may_return(known, search->code, instruction.target, depth + 1);
            next = instruction.target;
            break;
        case CRN_FLOW_BRANCH:
            if (instruction.target == 0 || search->branch_count == BRANCHES_MAX)
                return true;
            search->branches[search->branch_count++] = instruction.target;
            break;
        case CRN_FLOW_CALL:
            if (next >= search->function.end)
                return false; /* nothing comes after it */
            if (instruction.target != 0 &&
                !may_return(known, search->code, instruction.target, depth + 1))
                return false;
            break;
        default:
            break;
        }
        at = next;
        if (at < search->function.start || at >= search->function.end)
            return true;
    }
    return is_full;
}

/* Whether the search through one function finds a path that returns. */
static CRN_NOINLINE bool function_returns(struct crn_returns *known, const struct crn_code *code,
                                          uintptr_t function, unsigned depth)
{
    struct search search = {.code = code};
    if (!crn_function_find(function, &search.function) || search.function.end <= function)
        return true;
    search.branches[search.branch_count++] = function;
    while (search.branch_count != 0) {
        uintptr_t at = search.branches[--search.branch_count];
        bool is_outside = at < search.function.start || at >= search.function.end;
        if (is_outside ? may_return(known, code, at, depth + 1)
                       : path_returns(known, &search, at, depth))
            return true;
    }
    return false;
}

static bool may_return(struct crn_returns *known, const struct crn_code *code, uintptr_t function,
                       unsigned depth)
{
    uintptr_t leads;
    if (depth > DEPTH_MAX)
        return true;
    if (crn_stub_read(code, function, &leads)) {
        uintptr_t further;
        if (leads == 0 || crn_stub_read(code, leads, &further))
            return true;
        function = leads;
    }
    size_t row = crn_hash64(function) % CRN_RETURNS_ROWS;
    if (known->rows[row].function == function)
        return known->rows[row].may_return;
    bool answer = function_returns(known, code, function, depth);
    known->rows[row].function = function;
    known->rows[row].may_return = answer;
    return answer;
}

bool crn_returns_ask(struct crn_returns *known, const struct crn_code *code, uintptr_t function)
{
    known->budget = BUDGET;
    return may_return(known, code, function, 0);
}
