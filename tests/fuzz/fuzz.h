#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H
/*
 * What libFuzzer calls, again and again (https://llvm.org/docs/LibFuzzer.html).
 */
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
