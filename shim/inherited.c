/*
 * Finds the sandbox that the process began in.  See inherited.h.
 */
#include "shim/inherited.h"
#include "shim/sanitized.h"
#include "base/sys.h"

#include <string.h>

static int digit_value(char digit)
{
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                                          : -1;
}

/* What the last image of this process, or its parent, was told; before libc is up. */
static bool told_take(void)
{
    struct crn_calls_state state;
    unsigned char *bytes = (unsigned char *)&state;
    const uintptr_t *words = crn_beginning_find();
    if (words == NULL)
        return false;
    char **each = (char **)(words + 1) + words[0] + 1;
    for (; *each != NULL; each++) {
        if (strncmp(*each, CRN_CALLS_VARIABLE "=", sizeof CRN_CALLS_VARIABLE) != 0)
            continue;
        const char *text = *each + sizeof CRN_CALLS_VARIABLE;
        if (strlen(text) != 2 * sizeof state)
            return false;
        for (size_t i = 0; i < sizeof state; i++) {
            int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);
            if (high < 0 || low < 0)
                return false;
            bytes[i] = (unsigned char)(high << 4 | low);
        }
        crn_tid_keep();
        crn_calls_restore(&state);
        return true;
    }
    return false;
}

struct crn_sandbox crn_sandbox_inherited;

void crn_sandbox_find(void)
{
    if (crn_calls_are_filtered() && !told_take())
        crn_sandbox_inherited.is_unknown = !crn_calls_try(&crn_sandbox_inherited.filter);
}
