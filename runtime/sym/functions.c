/*
 * Finds the function around an address, and what was inlined there.  See functions.h.
 *
 * Ranges of functions that the linker threw away start at 0 and so lose against any real one.
 */
#include "sym/functions.h"

#include <stdlib.h>
#include <string.h>

#include <dwarf.h>

#include "sym/scopes.h"
#include "sym/store.h"

enum {
    DEPTH_MAX = 64, /* of a tree of scopes; deeper ones are damage */
    NO_PARENT = UINT32_MAX,
};

/* The function itself (row 0) or one that was inlined into it. */
struct scope {
    Dwarf_Die die;
    uint32_t parent; /* the row it was inlined into, smaller than its own; NO_PARENT: none */
};

struct function {
    Dwarf_Die die;
    bool is_indexed;
    struct crn_spans segments;
    struct scope *scopes;
    size_t scopes_count, scopes_room;
};

struct unit {
    Dwarf_Die lines; /* the unit with the line table */
    Dwarf_Die tree;  /* the one with the functions: the same, unless they were split off (.dwo) */
    bool is_indexed;
    struct crn_spans spans;
    struct function *functions;
    size_t functions_count, functions_room;
};

struct crn_functions {
    struct unit *units;
    size_t units_count, units_room;
    struct crn_spans spans;
};

/*
 * A walk over a tree of entries.  In preorder their addresses grow; what points back, and would
 * make a walk endless or exponential, is damage.
 */
struct walk {
    const char *reached;
};

/* Steps to the first child of `parent`, or from `die` to what follows it; answers false at the end.
 */
static bool step(struct walk *walk, Dwarf_Die *parent, Dwarf_Die *die)
{
    if ((parent != NULL ? dwarf_child(parent, die) : dwarf_siblingof(die, die)) != 0 ||
        (const char *)die->addr <= walk->reached)
        return false;
    walk->reached = die->addr;
    return true;
}

static void function_add(struct unit *unit, Dwarf_Die *die)
{
    if (crn_spans_add(&unit->spans, die, unit->functions_count) == 0)
        return;
    unit->functions = crn_grow(unit->functions, unit->functions_count, &unit->functions_room,
                               sizeof *unit->functions);
    unit->functions[unit->functions_count++] = (struct function){.die = *die};
}

/*
 * Collects the functions below `parent`.  They stand in namespaces and classes, and, for GNU C's
 * nested functions and C++'s local classes, inside other functions.
 */
static void functions_collect(struct unit *unit, struct walk *walk, Dwarf_Die *parent, int depth)
{
    Dwarf_Die child;
    if (depth > DEPTH_MAX || !step(walk, parent, &child))
        return;
    do {
        switch (dwarf_tag(&child)) {
        case DW_TAG_subprogram:
            if (dwarf_hasattr(&child, DW_AT_declaration))
                break;
            function_add(unit, &child);
            functions_collect(unit, walk, &child, depth + 1);
            break;
        case DW_TAG_namespace:
        case DW_TAG_module:
        case DW_TAG_class_type:
        case DW_TAG_structure_type:
        case DW_TAG_union_type:
        case DW_TAG_lexical_block:
            functions_collect(unit, walk, &child, depth + 1);
            break;
        default:
            break;
        }
    } while (step(walk, NULL, &child));
}

/* Adds a scope and its spans; answers its row. */
static uint32_t scope_add(struct function *function, Dwarf_Die *die, uint32_t parent)
{
    function->scopes = crn_grow(function->scopes, function->scopes_count, &function->scopes_room,
                                sizeof *function->scopes);
    function->scopes[function->scopes_count] = (struct scope){*die, parent};
    crn_spans_add(&function->segments, die, function->scopes_count);
    return (uint32_t)function->scopes_count++;
}

/* Collects what was inlined below `parent`, which is or lies in the scope `row`, also in blocks. */
static void inlined_collect(struct function *function, struct walk *walk, Dwarf_Die *parent,
                            uint32_t row, int depth)
{
    Dwarf_Die child;
    if (depth > DEPTH_MAX || !step(walk, parent, &child))
        return;
    do {
        int tag = dwarf_tag(&child);
        if (tag == DW_TAG_inlined_subroutine)
            inlined_collect(function, walk, &child, scope_add(function, &child, row), depth + 1);
        else if (tag == DW_TAG_lexical_block)
            inlined_collect(function, walk, &child, row, depth + 1);
    } while (step(walk, NULL, &child));
}

static void function_index(struct function *function)
{
    struct walk walk = {0};
    if (function->is_indexed)
        return;
    function->is_indexed = true;
    scope_add(function, &function->die, NO_PARENT);
    inlined_collect(function, &walk, &function->die, 0, 0);
    crn_spans_sort(&function->segments);
    crn_spans_cut(&function->segments);
}

struct crn_functions *crn_functions_create(Dwarf *dwarf)
{
    struct crn_functions *functions = calloc(1, sizeof *functions);
    Dwarf_CU *cu = NULL;
    Dwarf_Die die, split;
    uint8_t type;
    if (functions == NULL)
        crn_out_of_memory();
    while (dwarf_get_units(dwarf, cu, &cu, NULL, &type, &die, &split) == 0) {
        if (type != DW_UT_compile && type != DW_UT_skeleton)
            continue;
        if (crn_spans_add(&functions->spans, &die, functions->units_count) == 0)
            continue;
        functions->units = crn_grow(functions->units, functions->units_count,
                                    &functions->units_room, sizeof *functions->units);
        functions->units[functions->units_count++] =
            (struct unit){.lines = die, .tree = split.addr != NULL ? split : die};
    }
    crn_spans_sort(&functions->spans);
    return functions;
}

void crn_functions_destroy(struct crn_functions *functions)
{
    if (functions == NULL)
        return;
    for (size_t i = 0; i < functions->units_count; i++) {
        struct unit *unit = &functions->units[i];
        for (size_t j = 0; j < unit->functions_count; j++) {
            crn_spans_free(&unit->functions[j].segments);
            free(unit->functions[j].scopes);
        }
        crn_spans_free(&unit->spans);
        free(unit->functions);
    }
    free(functions->units);
    crn_spans_free(&functions->spans);
    free(functions);
}

/* Fills in the way from the function's own scope to the innermost one, outermost first. */
static void scopes_fill(const struct function *function, Dwarf_Addr address,
                        struct crn_scopes *scopes)
{
    const struct crn_span *segment = crn_spans_find(&function->segments, address);
    uint32_t row = segment != NULL ? segment->row : 0;
    unsigned depth = 1;
    for (uint32_t at = row; function->scopes[at].parent != NO_PARENT;
         at = function->scopes[at].parent)
        depth++;
    for (; depth > CRN_COUNT_OF(scopes->rows); depth--)
        row = function->scopes[row].parent;
    scopes->count = depth;
    for (; depth > 0; depth--, row = function->scopes[row].parent)
        scopes->rows[depth - 1] = &function->scopes[row].die;
}

bool crn_functions_find(struct crn_functions *functions, Dwarf_Addr address,
                        struct crn_scopes *scopes)
{
    const struct crn_span *span = crn_spans_find(&functions->spans, address);
    scopes->count = 0;
    if (span == NULL)
        return false;
    struct unit *owner = &functions->units[span->row];
    if (!owner->is_indexed) {
        struct walk walk = {0};
        functions_collect(owner, &walk, &owner->tree, 0);
        crn_spans_sort(&owner->spans);
        owner->is_indexed = true;
    }
    scopes->unit = owner->lines;
    span = crn_spans_find(&owner->spans, address);
    if (span == NULL)
        return true;
    struct function *function = &owner->functions[span->row];
    function_index(function);
    scopes_fill(function, address, scopes);
    return true;
}
