/*
 * Numbers with their units.  See amounts.h.
 */
#include "base/amounts.h"

#include <stdio.h>
#include <string.h>

const char *crn_amount_number(char text[CRN_AMOUNT_BYTES], uint64_t value)
{
    char digits[32];
    char *to = digits + sizeof digits - 1;
    *to = 0;
    for (unsigned i = 0; i == 0 || value > 0; i++, value /= 10) {
        if (i > 0 && i % 3 == 0)
            *--to = ',';
        *--to = (char)('0' + value % 10);
    }
    return strcpy(text, to);
}

const char *crn_amount_count(char text[CRN_AMOUNT_BYTES], uint64_t count, const char *word)
{
    char number[CRN_AMOUNT_BYTES];
    size_t length = strlen(word);
    const char *plural = length > 0 && word[length - 1] == 's' ? "es" : "s";
    snprintf(text, CRN_AMOUNT_BYTES, "%.30s %.30s%s", crn_amount_number(number, count), word,
             count == 1 ? "" : plural);
    return text;
}

const char *crn_amount_bytes(char text[CRN_AMOUNT_BYTES], uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes / 1024;
    unsigned unit = 0;
    if (bytes < 100000)
        return crn_amount_count(text, bytes, "byte");
    for (; value >= 1000 && unit + 1 < CRN_COUNT_OF(units); unit++)
        value /= 1024;
    uint64_t tenths = (uint64_t)(value * 10 + 0.5);
    snprintf(text, CRN_AMOUNT_BYTES, "%llu.%u %s", (unsigned long long)(tenths / 10),
             (unsigned)(tenths % 10), units[unit]);
    return text;
}

const char *crn_amount_time(char text[CRN_AMOUNT_BYTES], uint64_t ns)
{
    enum { US = 1000, MS = 1000 * US, S = 1000 * MS };
    if (ns < MS)
        snprintf(text, CRN_AMOUNT_BYTES, "%u.%u ms", (unsigned)((ns + 50 * US) / MS),
                 (unsigned)((ns + 50 * US) / (100 * US) % 10));
    else if (ns < S)
        snprintf(text, CRN_AMOUNT_BYTES, "%u ms", (unsigned)((ns + MS / 2) / MS));
    else
        snprintf(text, CRN_AMOUNT_BYTES, "%llu.%02u s",
                 (unsigned long long)(ns / S + (ns % S + 5 * MS) / S),
                 (unsigned)((ns % S + 5 * MS) / (10 * MS) % 100));
    return text;
}
