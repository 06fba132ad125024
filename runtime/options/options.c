/*
 * Reads option values.  See options.h for the contract and options.def for the table.
 */
#include "options/options.h"

#include <stdio.h>
#include <string.h>

const struct crn_option_row crn_option_rows[] = {
#define CRN_OPTION(key, type, fallback, argument, help) {#key, #type, fallback, argument, help},
#include "options/options.def"
#undef CRN_OPTION
};
const unsigned crn_option_rows_count = CRN_COUNT_OF(crn_option_rows);

#define FAIL(...) (snprintf(message, message_bytes, __VA_ARGS__), CRN_ERR_INVALID)

static bool uint_read(const char *text, uint64_t *result)
{
    uint64_t value = 0;
    if (*text == 0)
        return false;
    for (; *text != 0; text++) {
        if (*text < '0' || *text > '9' || value > UINT64_MAX / 10 - 1)
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
    }
    *result = value;
    return true;
}

/* Reads a switch; NULL means it was given without a value. */
static bool switch_read(const char *text, bool *result)
{
    static const char *const on[] = {"1", "yes", "true", "on"};
    static const char *const off[] = {"0", "no", "false", "off"};
    if (text == NULL) {
        *result = true;
        return true;
    }
    for (unsigned i = 0; i < CRN_COUNT_OF(on); i++) {
        if (strcmp(text, on[i]) == 0 || strcmp(text, off[i]) == 0) {
            *result = strcmp(text, on[i]) == 0;
            return true;
        }
    }
    return false;
}

static enum crn_status stacks_set(struct crn_options *options, const char *value, char *message,
                                  size_t message_bytes)
{
    if (strcmp(value, "full") == 0)
        options->stacks = CRN_STACKS_FULL;
    else if (strcmp(value, "off") == 0)
        options->stacks = CRN_STACKS_OFF;
    else if (strncmp(value, "sampled", 7) == 0 && (value[7] == 0 || value[7] == '='))
        return FAIL("stacks=%s is not built yet: use full or off", value);
    else
        return FAIL("unknown stacks mode '%s': use full or off", value);
    return CRN_OK;
}

enum crn_status crn_options_set(struct crn_options *options, const char *key, const char *value,
                                char *message, size_t message_bytes)
{
    uint64_t number = 0;
    bool is_flag = strcmp(key, "strict") == 0 || strcmp(key, "coroutines") == 0;
    if (value == NULL && !is_flag) {
        for (unsigned i = 0; i < crn_option_rows_count; i++)
            if (strcmp(key, crn_option_rows[i].key) == 0)
                return FAIL("option '%s' needs a value: %s=%s", key, key,
                            crn_option_rows[i].argument);
        return FAIL("unknown option '%s': `coroner --help` lists them", key);
    }
    if (strcmp(key, "format") == 0) {
        if (strcmp(value, "text") != 0 && strcmp(value, "json") != 0)
            return FAIL("unknown format '%s': use text or json", value);
        options->format = value;
    } else if (strcmp(key, "output") == 0) {
        options->output = value;
    } else if (strcmp(key, "record") == 0) {
        options->record = value;
    } else if (strcmp(key, "stacks") == 0) {
        return stacks_set(options, value, message, message_bytes);
    } else if (strcmp(key, "error_exitcode") == 0) {
        if (!uint_read(value, &number) || number > 255)
            return FAIL("bad exit code '%s': use a number from 0 to 255", value);
        options->error_exitcode = (unsigned)number;
    } else if (strcmp(key, "cancel_grace_ms") == 0) {
        if (!uint_read(value, &number) || number > 3600000)
            return FAIL("bad time '%s': use milliseconds, at most 3600000", value);
        options->cancel_grace_ms = (unsigned)number;
    } else if (strcmp(key, "suppressions") == 0) {
        if (options->suppressions_count == CRN_SUPPRESSION_FILES_MAX)
            return FAIL("more than %d suppression files: join some of them",
                        CRN_SUPPRESSION_FILES_MAX);
        options->suppressions[options->suppressions_count++] = value;
    } else if (strcmp(key, "strict") == 0) {
        if (!switch_read(value, &options->strict))
            return FAIL("bad value '%s' for strict: use yes or no", value);
    } else if (strcmp(key, "coroutines") == 0) {
        if (!switch_read(value, &options->coroutines))
            return FAIL("bad value '%s' for coroutines: use yes or no", value);
    } else if (strcmp(key, "follow_children") == 0) {
        if (!switch_read(value, &options->follow_children))
            return FAIL("bad value '%s' for follow_children: use yes or no", value);
    } else {
        return FAIL("unknown option '%s': `coroner --help` lists them", key);
    }
    return CRN_OK;
}

void crn_options_init(struct crn_options *options)
{
    char message[128];
    memset(options, 0, sizeof *options);
    for (unsigned i = 0; i < crn_option_rows_count; i++) {
        const struct crn_option_row *row = &crn_option_rows[i];
        if (strcmp(row->key, "suppressions") != 0)
            crn_options_set(options, row->key, row->fallback, message, sizeof message);
    }
}

/* Finds the end of a value, cuts it there and takes quotes off; answers where the next one starts. */
static char *value_cut(char **value)
{
    char *end = *value;
    if (*end == '\'' || *end == '"') {
        char *closing = strchr(end + 1, *end);
        if (closing != NULL) {
            *value = end + 1;
            *closing = 0;
            end = closing + 1;
        }
    }
    end += strcspn(end, ":");
    char *next = *end != 0 ? end + 1 : end;
    *end = 0;
    return next;
}

void crn_options_parse(struct crn_options *options, char *text,
                       void (*warn)(const char *message, void *user), void *user)
{
    while (*text != 0) {
        char message[256];
        char *key = text;
        char *value = NULL;
        text += strcspn(text, "=:");
        if (*text == '=') {
            *text = 0;
            value = text + 1;
            text = value_cut(&value);
        } else if (*text == ':') {
            *text++ = 0;
        }
        if (*key != 0 && crn_options_set(options, key, value, message, sizeof message) != CRN_OK)
            warn(message, user);
    }
}
