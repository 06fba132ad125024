/*
 * The table behind sizeclass.h.
 */
#include "heap/sizeclass.h"

#define ROW(size)                                                                                 \
    {(size), (uint32_t)((0x100000000u + (size) - 1) / (size)), (size) > CRN_CLASS_SMALL_MAX_BYTES}
#define GROUP(log)                                                                                \
    ROW((1ull << (log)) + (1ull << ((log) - 2))), ROW((1ull << (log)) + (2ull << ((log) - 2))),   \
        ROW((1ull << (log)) + (3ull << ((log) - 2))), ROW(2ull << (log))

const struct crn_class crn_classes[CRN_CLASS_COUNT] = {
    ROW(16ull),  ROW(32ull),  ROW(48ull), ROW(64ull), ROW(80ull), ROW(96ull), ROW(112ull),
    ROW(128ull), GROUP(7),    GROUP(8),   GROUP(9),   GROUP(10),  GROUP(11),  GROUP(12),
    GROUP(13),   GROUP(14),   GROUP(15),  GROUP(16),  GROUP(17),  GROUP(18),  GROUP(19),
    GROUP(20),   GROUP(21),   GROUP(22),  GROUP(23),  GROUP(24),  GROUP(25),  GROUP(26),
    GROUP(27),   GROUP(28),   GROUP(29),  GROUP(30),  GROUP(31),  GROUP(32),  GROUP(33),
    GROUP(34),   GROUP(35),   GROUP(36),  GROUP(37),  GROUP(38),  GROUP(39),
};
