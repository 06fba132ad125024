/*
 * Makes texts fit to be shown.  See clean.h.
 */
#include "report/clean.h"

#include <stdlib.h>
#include <string.h>

#include "base/characters.h"

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* Whether there is nothing to replace, as in nearly every text. */
static bool is_clean(const char *text, bool keeps_unwelcome)
{
    while (*text != 0) {
        unsigned bytes = crn_character_bytes(text);
        if (bytes == 0 || (!keeps_unwelcome && crn_character_is_unwelcome(text, bytes)))
            return false;
        text += bytes;
    }
    return true;
}

static const char *clean(struct crn_store *store, const char *text, bool keeps_unwelcome)
{
    if (text == NULL || is_clean(text, keeps_unwelcome))
        return crn_store_text(store, text);
    char *cleaned = malloc(strlen(text) * (sizeof replacement - 1) + 1);
    char *to = cleaned;
    if (cleaned == NULL)
        crn_out_of_memory();
    for (const char *p = text; *p != 0;) {
        unsigned bytes = crn_character_bytes(p);
        if (bytes == 0) {
            to = stpcpy(to, replacement);
        } else if (!keeps_unwelcome && crn_character_is_unwelcome(p, bytes)) {
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
