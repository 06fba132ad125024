#ifndef CRN_AMOUNTS_H
#define CRN_AMOUNTS_H
/*
 * Numbers with their units as people read them, the same in reports and in the shim's own words.
 *
 * Each writes into the caller's buffer, NUL behind, and answers it.  No locale, no allocation: good
 * in the process of the program.
 */
#include "base/base.h"

enum { CRN_AMOUNT_BYTES = 64 };

/* "12,345" */
const char *crn_amount_number(char text[CRN_AMOUNT_BYTES], uint64_t value);

/* "1 block", "12,345 blocks"; the word has less than 30 letters. */
const char *crn_amount_count(char text[CRN_AMOUNT_BYTES], uint64_t count, const char *word);

/* "8,192 bytes", and from 100,000 on "97.7 KiB" */
const char *crn_amount_bytes(char text[CRN_AMOUNT_BYTES], uint64_t bytes);

/* "0.4 ms", "340 ms", "1.25 s" */
const char *crn_amount_time(char text[CRN_AMOUNT_BYTES], uint64_t ns);

#endif
