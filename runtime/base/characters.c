/*
 * What a text may hold when it leaves Coroner.  See characters.h.
 */
#include "base/characters.h"

/* The Unicode Standard, table 3-7: bytes beyond the second are 80..BF in every form. */
unsigned crn_character_bytes(const char *text)
{
    static const struct {
        unsigned char first, first_last, second, second_last, bytes;
    } forms[] = {
        {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    const unsigned char *p = (const unsigned char *)text;
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

/* All of them lie in the basic plane, in two bytes or three. */
bool crn_character_is_unwelcome(const char *text, unsigned bytes)
{
    static const struct {
        uint32_t first, last;
    } unwelcome[] = {
        {0x80, 0x9f},     /* C1 */
        {0x61c, 0x61c},   /* Arabic letter mark */
        {0x200e, 0x200f}, /* left-to-right and right-to-left marks */
        {0x2028, 0x202e}, /* line and paragraph separators; embeddings and overrides */
        {0x2066, 0x2069}, /* isolates */
    };
    const unsigned char *p = (const unsigned char *)text;
    uint32_t code = bytes == 2   ? (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu)
                    : bytes == 3 ? (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu)
                                 : 0;
    if (bytes == 1)
        return *p < 0x20 || *p == 0x7f;
    for (unsigned i = 0; i < CRN_COUNT_OF(unwelcome); i++)
        if (code >= unwelcome[i].first && code <= unwelcome[i].last)
            return true;
    return false;
}

size_t crn_text_tame(char *text)
{
    char *const begin = text, *to = text;
    while (*text != 0) {
        unsigned bytes = crn_character_bytes(text);
        if (bytes == 0 || crn_character_is_unwelcome(text, bytes)) {
            *to++ = '?';
            text += bytes == 0 ? 1 : bytes;
            continue;
        }
        for (unsigned i = 0; i < bytes; i++)
            *to++ = *text++;
    }
    *to = 0;
    return (size_t)(to - begin);
}
