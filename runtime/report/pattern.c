/*
 * The patterns of suppressions.  See pattern.h.
 *
 * A pattern is a row of literals with stars between them.  Taking the first place for each
 * literal leaves the most room for the rest, so nothing is ever tried twice; only a literal that
 * `$` ties down takes the last place.
 */
#include "report/pattern.h"

#include <string.h>

/* The place of a literal in `text`: where it must stand, the last one or the first; or NULL. */
static const char *place_of(const char *text, const char *literal, size_t length, bool is_tied,
                            bool is_last)
{
    size_t have = strlen(text);
    if (have < length)
        return NULL;
    if (!is_tied && !is_last)
        return memmem(text, have, literal, length);
    if (!is_tied)
        text += have - length;
    return memcmp(text, literal, length) == 0 ? text : NULL;
}

bool crn_pattern_matches(const char *pattern, const char *text)
{
    if (text == NULL || *text == 0)
        return false;
    size_t length = strlen(pattern);
    bool is_tied = *pattern == '^'; /* the next literal must stand right at `text` */
    bool is_end_tied = length > is_tied && pattern[length - 1] == '$';
    const char *end = pattern + length - is_end_tied;
    pattern += is_tied;
    while (pattern < end) {
        if (*pattern == '*') {
            is_tied = false;
            pattern++;
            continue;
        }
        size_t literal = 1;
        while (pattern + literal < end && pattern[literal] != '*')
            literal++;
        bool is_last = is_end_tied && pattern + literal == end;
        text = place_of(text, pattern, literal, is_tied, is_last);
        if (text == NULL)
            return false;
        text += literal;
        pattern += literal;
        is_tied = true;
    }
    return !is_end_tied || !is_tied || *text == 0;
}
