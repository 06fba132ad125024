/*
 * Finds the function around an address.  See functions.h.
 *
 * Spans are sorted by their start, and the last one that starts at or before an address decides.
 * Ranges of functions that the linker threw away start at 0 and so lose against any real one.
 */
#include "sym/functions.h"

#include <stdlib.h>
#include <string.h>

#include <dwarf.h>

#include "sym/store.h"

enum { DEPTH_MAX = 64 }; /* of a tree of scopes; deeper ones are damage */

struct span {
    Dwarf_Addr start, end;
    uint32_t row; /* of the owner: a unit or a function */
};

struct spans {
    struct span *rows;
    size_t count, room;
};

struct unit {
    Dwarf_Die lines; /* the unit with the line table */
    Dwarf_Die tree;  /* the one with the functions: the same, unless they were split off (.dwo) */
    bool is_indexed;
    struct spans spans;
    Dwarf_Die *functions;
    size_t functions_count, functions_room;
};

struct crn_functions {
    struct unit *units;
    size_t units_count, units_room;
    struct spans spans;
};

static int span_compare(const void *a, const void *b)
{
    const struct span *left = a, *right = b;
    if (left->start != right->start)
        return left->start < right->start ? -1 : 1;
    return 0;
}

static void spans_sort(struct spans *spans)
{
    if (spans->count > 1)
        qsort(spans->rows, spans->count, sizeof *spans->rows, span_compare);
}

static const struct span *spans_find(const struct spans *spans, Dwarf_Addr address)
{
    size_t low = 0, high = spans->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (spans->rows[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || address >= spans->rows[low - 1].end)
        return NULL;
    return &spans->rows[low - 1];
}

/* Adds the ranges of `die` as spans of `row`; answers how many it has. */
static unsigned spans_add(struct spans *spans, Dwarf_Die *die, size_t row)
{
    Dwarf_Addr base, start, end;
    unsigned added = 0;
    ptrdiff_t at = 0;
    while ((at = dwarf_ranges(die, at, &base, &start, &end)) > 0) {
        if (start >= end)
            continue;
        spans->rows = crn_grow(spans->rows, spans->count, &spans->room, sizeof *spans->rows);
        spans->rows[spans->count++] = (struct span){start, end, (uint32_t)row};
        added++;
    }
    return added;
}

static void function_add(struct unit *unit, Dwarf_Die *die)
{
    if (spans_add(&unit->spans, die, unit->functions_count) == 0)
        return;
    unit->functions = crn_grow(unit->functions, unit->functions_count, &unit->functions_room,
                               sizeof *unit->functions);
    unit->functions[unit->functions_count++] = *die;
}

/*
 * Collects the functions below `parent`.  They stand in namespaces and classes, and, for GNU C's
 * nested functions and C++'s local classes, inside other functions.
 */
static void functions_collect(struct unit *unit, Dwarf_Die *parent, int depth)
{
    Dwarf_Die child;
    if (depth > DEPTH_MAX || dwarf_child(parent, &child) != 0)
        return;
    do {
        switch (dwarf_tag(&child)) {
        case DW_TAG_subprogram:
            if (dwarf_hasattr(&child, DW_AT_declaration))
                break;
            function_add(unit, &child);
            functions_collect(unit, &child, depth + 1);
            break;
        case DW_TAG_namespace:
        case DW_TAG_module:
        case DW_TAG_class_type:
        case DW_TAG_structure_type:
        case DW_TAG_union_type:
        case DW_TAG_lexical_block:
            functions_collect(unit, &child, depth + 1);
            break;
        default:
            break;
        }
    } while (dwarf_siblingof(&child, &child) == 0);
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
        if (spans_add(&functions->spans, &die, functions->units_count) == 0)
            continue;
        functions->units = crn_grow(functions->units, functions->units_count,
                                    &functions->units_room, sizeof *functions->units);
        functions->units[functions->units_count++] =
            (struct unit){.lines = die, .tree = split.addr != NULL ? split : die};
    }
    spans_sort(&functions->spans);
    return functions;
}

void crn_functions_destroy(struct crn_functions *functions)
{
    if (functions == NULL)
        return;
    for (size_t i = 0; i < functions->units_count; i++) {
        free(functions->units[i].spans.rows);
        free(functions->units[i].functions);
    }
    free(functions->units);
    free(functions->spans.rows);
    free(functions);
}

bool crn_functions_find(struct crn_functions *functions, Dwarf_Addr address, Dwarf_Die *unit,
                        Dwarf_Die *function)
{
    const struct span *span = spans_find(&functions->spans, address);
    if (span == NULL)
        return false;
    struct unit *owner = &functions->units[span->row];
    if (!owner->is_indexed) {
        functions_collect(owner, &owner->tree, 0);
        spans_sort(&owner->spans);
        owner->is_indexed = true;
    }
    *unit = owner->lines;
    span = spans_find(&owner->spans, address);
    if (span != NULL)
        *function = owner->functions[span->row];
    else
        memset(function, 0, sizeof *function);
    return true;
}
