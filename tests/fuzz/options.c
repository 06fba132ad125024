/*
 * Any text as CORONER_OPTIONS, as LSAN_OPTIONS, and as the value of each option.
 */
#include <stdlib.h>
#include <string.h>

#include "base/characters.h"
#include "fuzz.h"
#include "options/lsan.h"
#include "options/options.h"

static void warn(const char *message, void *user)
{
    char *copy = strdup(message);
    (void)user;
    crn_text_tame(copy);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct crn_options options;
    char message[64];
    char *text = strndup((const char *)data, size), *copy = strdup(text);
    crn_options_init(&options);
    crn_options_parse(&options, copy, warn, NULL);
    strcpy(copy, text);
    crn_lsan_options_parse(&options, copy, CRN_SOURCE_LSAN, warn, NULL);
    for (unsigned i = 0; i < crn_option_rows_count; i++)
        crn_options_set(&options, crn_option_rows[i].key, text, CRN_SOURCE_OWN, message,
                        sizeof message);
    free(copy);
    free(text);
    return 0;
}
