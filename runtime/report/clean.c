/*
 * Makes texts fit to be shown.  See clean.h.
 */
#include "report/clean.h"

#include <stdlib.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* The length of the well-formed character at `p` (The Unicode Standard, table 3-7); 0: none. */
static unsigned character_bytes(const unsigned char *p)
{
    static const struct {
        unsigned char first, first_last, second, second_last, bytes;
    } forms[] = {
        {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (unsigned i = 0; i < CRN_COUNT_OF(forms); i++) {
        if (*p < forms[i].first || *p > forms[i].first_last)
            continue;
        if (forms[i].bytes > 1 && (p[1] < forms[i].second || p[1] > forms[i].second_last))
            return 0;
        for (unsigned at = 2; at < forms[i].bytes; at++)
            if (p[at] < 0x80 || p[at] > 0xbf)
                return 0;
        return forms[i].bytes;
    }
    return 0;
}

/* Whether a character is one of C0, DEL or C1. */
static bool is_control(const unsigned char *p, unsigned bytes)
{
    return (bytes == 1 && (*p < 0x20 || *p == 0x7f)) || (bytes == 2 && *p == 0xc2 && p[1] < 0xa0);
}

static const char *clean(struct crn_store *store, const char *text, bool keeps_controls)
{
    if (text == NULL)
        return NULL;
    char *cleaned = malloc(strlen(text) * (sizeof replacement - 1) + 1);
    char *to = cleaned;
    if (cleaned == NULL)
        crn_out_of_memory();
    for (const unsigned char *p = (const unsigned char *)text; *p != 0;) {
        unsigned bytes = character_bytes(p);
        if (bytes == 0) {
            to = stpcpy(to, replacement);
        } else if (!keeps_controls && is_control(p, bytes)) {
            *to++ = '?';
        } else {
            memcpy(to, p, bytes);
            to += bytes;
        }
        p += bytes == 0 ? 1 : bytes;
    }
    *to = 0;
    const char *kept = crn_store_text(store, cleaned);
    free(cleaned);
    return kept;
}

const char *crn_clean_utf8(struct crn_store *store, const char *text)
{
    return clean(store, text, true);
}

const char *crn_clean_line(struct crn_store *store, const char *text)
{
    return clean(store, text, false);
}
