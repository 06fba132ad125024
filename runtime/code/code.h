#ifndef CRN_CODE_H
#define CRN_CODE_H
/*
 * Where the program's code lies, for those who tell a return address from other words.
 */
#include "base/vm.h"

/* Mappings that can be read and executed, ascending and disjoint. */
struct crn_code {
    const struct crn_range *ranges;
    size_t count;
};

/* How many bytes of code lie from `address` on. */
CRN_INLINE size_t crn_code_bytes_from(const struct crn_code *code, uintptr_t address)
{
    size_t low = 0, high = code->count;
    if (high == 0 || address < code->ranges[0].start || address >= code->ranges[high - 1].end)
        return 0;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (code->ranges[middle].start <= address)
            low = middle;
        else
            high = middle;
    }
    return address < code->ranges[low].end ? code->ranges[low].end - address : 0;
}

/* Whether `bytes` of code lie at `address`; never so for an address outside all code. */
CRN_INLINE bool crn_code_holds(const struct crn_code *code, uintptr_t address, size_t bytes)
{
    size_t there = crn_code_bytes_from(code, address);
    return there != 0 && bytes <= there;
}

#endif
