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

/* Whether `bytes` of code lie at `address`. */
CRN_INLINE bool crn_code_holds(const struct crn_code *code, uintptr_t address, size_t bytes)
{
    size_t low = 0, high = code->count;
    if (high == 0 || address < code->ranges[0].start || address >= code->ranges[high - 1].end)
        return false;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (code->ranges[middle].start <= address)
            low = middle;
        else
            high = middle;
    }
    return address < code->ranges[low].end && bytes <= code->ranges[low].end - address;
}

#endif
