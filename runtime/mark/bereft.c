/*
 * What the mark before says of a block.  See spare.h.
 */
#include "mark/spare.h"

uint32_t crn_spare_at(const struct crn_mark *mark, uintptr_t start)
{
    const struct crn_mark *earlier = mark->earlier;
    size_t low = 0, high = earlier != NULL ? earlier->spare_count : 0, count = high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (earlier->spares[middle].target < start)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && earlier->spares[low].target == start ? (uint32_t)low + 1 : 0;
}

bool crn_spare_is_judged(const struct crn_mark *mark, uintptr_t start)
{
    struct crn_target target;
    return mark->earlier->spare_count > 0 && crn_target_find(mark->earlier, start, &target) &&
           target.start == start && crn_bit_get(mark->earlier->spare_held, target.slot);
}
