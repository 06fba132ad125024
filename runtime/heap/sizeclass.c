/*
 * The table behind sizeclass.h.
 */
#include "heap/sizeclass.h"

#define RECIPROCAL(size) (uint32_t)((0x100000000u + (size) - 1) / (size))
#define ROW(size) {(size), RECIPROCAL(size), (size) > CRN_CLASS_SMALL_MAX_BYTES}
#define GROUP(log)                                                                                \
    ROW((1ull << (log)) + (1ull << ((log) - 2))), ROW((1ull << (log)) + (2ull << ((log) - 2))),   \
        ROW((1ull << (log)) + (3ull << ((log) - 2))), ROW(2ull << (log))

#define CLASSES                                                                                   \
    ROW(16ull), ROW(32ull), ROW(48ull), ROW(64ull), ROW(80ull), ROW(96ull), ROW(112ull),          \
        ROW(128ull), GROUP(7), GROUP(8), GROUP(9), GROUP(10), GROUP(11), GROUP(12), GROUP(13),    \
        GROUP(14), GROUP(15), GROUP(16), GROUP(17), GROUP(18), GROUP(19), GROUP(20), GROUP(21),   \
        GROUP(22), GROUP(23), GROUP(24), GROUP(25), GROUP(26), GROUP(27), GROUP(28), GROUP(29),   \
        GROUP(30), GROUP(31), GROUP(32), GROUP(33), GROUP(34), GROUP(35), GROUP(36), GROUP(37),   \
        GROUP(38), GROUP(39)

const struct crn_class crn_classes[CRN_CLASS_COUNT] = {CLASSES};

#undef ROW
#define ROW(size) RECIPROCAL(size)
const uint32_t crn_class_reciprocals[CRN_CLASS_COUNT + 1] = {0, CLASSES};

/* crn_class_of() of 16 i, where it computes: four classes to each doubling. */
const uint8_t crn_class_table[CRN_CLASS_TABLE_MAX_BYTES / 16 + 1] = {
    [0 ... 1] = 0, [2] = 1, [3] = 2, [4] = 3, [5] = 4, [6] = 5, [7] = 6, [8] = 7, [9 ... 10] = 8,
    [11 ... 12] = 9, [13 ... 14] = 10, [15 ... 16] = 11, [17 ... 20] = 12, [21 ... 24] = 13,
    [25 ... 28] = 14, [29 ... 32] = 15, [33 ... 40] = 16, [41 ... 48] = 17, [49 ... 56] = 18,
    [57 ... 64] = 19, [65 ... 80] = 20, [81 ... 96] = 21, [97 ... 112] = 22, [113 ... 128] = 23,
    [129 ... 160] = 24, [161 ... 192] = 25, [193 ... 224] = 26, [225 ... 256] = 27,
};
