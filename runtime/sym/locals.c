/*
 * Names of local variables.  See locals.h.
 *
 * A location that takes more than one operation to tell is left alone.
 */
#include "sym/locals.h"

#include <dwarf.h>

enum { ENTRIES_MAX = 1 << 14, DEPTH_MAX = 64 }; /* what damaged information may make us walk */

struct search {
    Dwarf_Die *function;
    Dwarf_Addr address;
    const struct crn_image_place *place;
    const char *found;
    unsigned entries;
};

/* The number that DWARF gives a register of machine code. */
static unsigned column_of(unsigned reg)
{
    static const uint8_t columns[] = {0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15};
    return reg < sizeof columns ? columns[reg] : UINT32_MAX;
}

enum { COLUMN_RBP = 6 };

/* Where the frame base lies from the CFA; false: it is neither that nor rbp. */
static bool frame_base_find(const struct search *search, int64_t *offset)
{
    Dwarf_Attribute attribute;
    Dwarf_Op *operations;
    size_t count;
    if (dwarf_attr(search->function, DW_AT_frame_base, &attribute) == NULL ||
        dwarf_getlocation_addr(&attribute, search->address, &operations, &count, 1) != 1 ||
        count != 1)
        return false;
    if (operations[0].atom == DW_OP_call_frame_cfa) {
        *offset = 0;
        return true;
    }
    *offset = search->place->bp_offset;
    return operations[0].atom == DW_OP_reg0 + COLUMN_RBP;
}

/* Whether the variable lies in the place. */
static bool is_there(const struct search *search, Dwarf_Die *variable)
{
    const struct crn_image_place *place = search->place;
    Dwarf_Attribute attribute;
    Dwarf_Op *operations;
    size_t count;
    int64_t base = 0;
    if (dwarf_attr(variable, DW_AT_location, &attribute) == NULL ||
        dwarf_getlocation_addr(&attribute, search->address, &operations, &count, 1) != 1 ||
        count != 1)
        return false;
    unsigned atom = operations[0].atom, column = column_of(place->reg);
    if (place->is_register)
        return atom == DW_OP_reg0 + column;
    if (atom == DW_OP_fbreg && !frame_base_find(search, &base))
        return false;
    if (atom == DW_OP_breg0 + COLUMN_RBP)
        base = place->bp_offset;
    else if (atom != DW_OP_fbreg)
        return false;
    return base + (int64_t)operations[0].number == place->offset;
}

static void entries_search(struct search *search, Dwarf_Die *parent, unsigned depth)
{
    Dwarf_Die die;
    if (depth == DEPTH_MAX || dwarf_child(parent, &die) != 0)
        return;
    do {
        if (search->entries++ == ENTRIES_MAX)
            return;
        switch (dwarf_tag(&die)) {
        case DW_TAG_variable:
        case DW_TAG_formal_parameter: {
            Dwarf_Attribute attribute;
            if (is_there(search, &die) &&
                dwarf_attr_integrate(&die, DW_AT_name, &attribute) != NULL)
                search->found = dwarf_formstring(&attribute);
            break;
        }
        case DW_TAG_lexical_block:
        case DW_TAG_inlined_subroutine:
            if (dwarf_haspc(&die, search->address) == 1)
                entries_search(search, &die, depth + 1);
            break;
        default:
            break;
        }
    } while (dwarf_siblingof(&die, &die) == 0);
}

const char *crn_local_name(Dwarf_Die *function, Dwarf_Addr address,
                           const struct crn_image_place *place)
{
    struct search search = {.function = function, .address = address, .place = place};
    entries_search(&search, function, 0);
    return search.found;
}
