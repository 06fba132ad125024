/*
 * Reads option values.  See options.h for the contract and options.def for the table.
 */
#include "options/options.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

const struct crn_option_row crn_option_rows[] = {
#define CRN_OPTION(key, type, fallback, argument, help) {#key, #type, fallback, argument, help, \
                                                       offsetof(struct crn_options, key)},
#include "options/options.def"
#undef CRN_OPTION
};
const unsigned crn_option_rows_count = CRN_COUNT_OF(crn_option_rows);
_Static_assert(CRN_COUNT_OF(crn_option_rows) <= CRN_OPTIONS_MAX, "sources[] has no room");

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

/* How many bytes lie between two sampled allocations, on average. */
static const size_t SAMPLE_BYTES = (size_t)512 << 10, SAMPLE_BYTES_MAX = (size_t)64 << 30;

/* Reads a number of bytes; K, M and G behind it are powers of 1024. */
static bool bytes_read(const char *text, uint64_t *result)
{
    static const char units[] = "kmg";
    char digits[12] = ""; /* so few that the shift has room */
    size_t length = strlen(text);
    const char *unit = length > 0 ? strchr(units, text[length - 1] | 32) : NULL;
    if (length == 0 || length >= sizeof digits)
        return false;
    memcpy(digits, text, unit != NULL ? length - 1 : length);
    if (!uint_read(digits, result))
        return false;
    *result <<= unit != NULL ? 10 * (unit - units + 1) : 0;
    return true;
}

static enum crn_status stacks_set(struct crn_options *options, const char *value, char *message,
                                  size_t message_bytes)
{
    static const char SAMPLED[] = "sampled";
    const char *rest = value + sizeof SAMPLED - 1;
    if (strcmp(value, "full") == 0)
        options->stacks = CRN_STACKS_FULL;
    else if (strcmp(value, "off") == 0)
        options->stacks = CRN_STACKS_OFF;
    else if (strncmp(value, SAMPLED, sizeof SAMPLED - 1) != 0 || (*rest != 0 && *rest != '='))
        return FAIL("unknown stacks mode '%s': use full, sampled[=BYTES] or off", value);
    else if (*rest == 0)
        options->sample_bytes = SAMPLE_BYTES;
    else if (!bytes_read(rest + 1, &options->sample_bytes) || options->sample_bytes == 0 ||
             options->sample_bytes > SAMPLE_BYTES_MAX)
        return FAIL("bad distance '%s' in stacks=%s: use bytes, from 1 to %zuG", rest + 1, value,
                    SAMPLE_BYTES_MAX >> 30);
    if (strncmp(value, SAMPLED, sizeof SAMPLED - 1) == 0)
        options->stacks = CRN_STACKS_SAMPLED;
    return CRN_OK;
}

const char *const crn_bad_free_words[CRN_BAD_FREE_MODES] = {[CRN_BAD_FREE_ABORT] = "abort",
                                                            [CRN_BAD_FREE_REPORT] = "report",
                                                            [CRN_BAD_FREE_IGNORE] = "ignore"};

static enum crn_status bad_free_set(struct crn_options *options, const char *value, char *message,
                                    size_t message_bytes)
{
    for (unsigned mode = 0; mode < CRN_BAD_FREE_MODES; mode++) {
        if (strcmp(value, crn_bad_free_words[mode]) == 0) {
            options->on_bad_free = (enum crn_bad_free_mode)mode;
            return CRN_OK;
        }
    }
    return FAIL("unknown mode '%s' for on_bad_free: use abort, report or ignore", value);
}

const char *const crn_scrub_words[CRN_SCRUB_MODES] = {
    [CRN_SCRUB_NO] = "no", [CRN_SCRUB_SMALL] = "small", [CRN_SCRUB_ALL] = "yes"};

static enum crn_status scrub_set(struct crn_options *options, const char *value, char *message,
                                 size_t message_bytes)
{
    bool is_all;
    if (value != NULL && strcmp(value, "small") == 0)
        options->scrub = CRN_SCRUB_SMALL;
    else if (switch_read(value, &is_all))
        options->scrub = is_all ? CRN_SCRUB_ALL : CRN_SCRUB_NO;
    else
        return FAIL("bad value '%s' for scrub: use yes, small or no", value);
    return CRN_OK;
}

int crn_option_find(const char *key)
{
    for (unsigned i = 0; i < crn_option_rows_count; i++)
        if (strcmp(key, crn_option_rows[i].key) == 0)
            return (int)i;
    return -1;
}

static enum crn_status uint_set(const struct crn_option_row *row, const char *value,
                                unsigned *result, char *message, size_t message_bytes)
{
    uint64_t number = 0;
    bool is_number = uint_read(value, &number);
    if (strcmp(row->key, "error_exitcode") == 0 && (!is_number || number > 255))
        return FAIL("bad exit code '%s': use a number from 0 to 255", value);
    if (strcmp(row->key, "cancel_grace_ms") == 0 && (!is_number || number > 3600000))
        return FAIL("bad time '%s': use milliseconds, at most 3600000", value);
    if (!is_number || number > UINT32_MAX)
        return FAIL("bad number '%s' for %s: use 0 or more", value, row->key);
    *result = (unsigned)number;
    return CRN_OK;
}

/* Signals by the names that people use for this. */
static const struct {
    const char *name;
    int number;
} signal_names[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"USR1", SIGUSR1},
                    {"USR2", SIGUSR2}, {"ALRM", SIGALRM}, {"TERM", SIGTERM}, {"URG", SIGURG},
                    {"IO", SIGIO},     {"PROF", SIGPROF}, {"VTALRM", SIGVTALRM},
                    {"PWR", SIGPWR},   {"WINCH", SIGWINCH}, {"CONT", SIGCONT}};

static enum crn_status signal_set(const char *value, unsigned *result, char *message,
                                  size_t message_bytes)
{
    const uint64_t most = 63, first_realtime = 34;
    const char *name = strncmp(value, "SIG", 3) == 0 ? value + 3 : value;
    uint64_t number = 0;
    for (unsigned i = 0; i < CRN_COUNT_OF(signal_names); i++)
        if (strcmp(name, signal_names[i].name) == 0)
            number = (uint64_t)signal_names[i].number;
    if (number == 0 && uint_read(value, &number)) {
        bool is_known = number >= first_realtime && number <= most;
        for (unsigned i = 0; i < CRN_COUNT_OF(signal_names); i++)
            is_known |= number == (uint64_t)signal_names[i].number;
        number = is_known ? number : 0;
    }
    if (number == 0)
        return FAIL("bad signal '%s': use USR1, USR2, HUP and the like, or a number from 34 to 63",
                    value);
    *result = (unsigned)number;
    return CRN_OK;
}

static enum crn_status time_set(const char *value, uint64_t *result, char *message,
                                size_t message_bytes)
{
    static const char units[] = "smhd";
    static const unsigned seconds[] = {1, 60, 3600, 86400};
    char digits[12] = "";
    size_t length = strlen(value);
    const char *unit = length > 0 ? strchr(units, value[length - 1]) : NULL;
    size_t count = length - (unit != NULL);
    if (length > 0 && count < sizeof digits)
        memcpy(digits, value, count);
    if (!uint_read(digits, result) || *result == 0)
        return FAIL("bad time '%s': use seconds, or 90s, 10m, 1h", value);
    *result *= unit != NULL ? seconds[unit - units] : 1;
    return CRN_OK;
}

/* Sets a row of `options`, which is a copy: it may be spoilt when the answer is no. */
static enum crn_status row_set(struct crn_options *options, const struct crn_option_row *row,
                               const char *value, bool is_new_list, char *message,
                               size_t message_bytes)
{
    void *field = (char *)options + row->offset;
    if (strcmp(row->type, "flag") == 0 || strcmp(row->type, "yesno") == 0)
        return switch_read(value, field)
                   ? CRN_OK
                   : FAIL("bad value '%s' for %s: use yes or no", value, row->key);
    if (strcmp(row->type, "uint") == 0)
        return uint_set(row, value, field, message, message_bytes);
    if (strcmp(row->type, "signal") == 0)
        return signal_set(value, field, message, message_bytes);
    if (strcmp(row->type, "time") == 0)
        return time_set(value, field, message, message_bytes);
    if (strcmp(row->type, "bytes") == 0)
        return bytes_read(value, field) && *(uint64_t *)field > 0
                   ? CRN_OK
                   : FAIL("bad size '%s' for %s: use bytes, or 64K, 500M, 2G", value, row->key);
    if (strcmp(row->type, "bad_free") == 0)
        return bad_free_set(options, value, message, message_bytes);
    if (strcmp(row->type, "scrub") == 0)
        return scrub_set(options, value, message, message_bytes);
    if (strcmp(row->type, "stacks") == 0)
        return stacks_set(options, value, message, message_bytes);
    if (strcmp(row->key, "format") == 0 && strcmp(value, "text") != 0 && strcmp(value, "json") != 0)
        return FAIL("unknown format '%s': use text or json", value);
    if (strcmp(row->key, "suppressions") == 0) {
        if (is_new_list)
            options->suppressions_count = 0;
        if (options->suppressions_count == CRN_SUPPRESSION_FILES_MAX)
            return FAIL("more than %d suppression files: join some of them",
                        CRN_SUPPRESSION_FILES_MAX);
        options->suppressions[options->suppressions_count++] = value;
        return CRN_OK;
    }
    *(const char **)field = value;
    return CRN_OK;
}

bool crn_option_may_stand_alone(const struct crn_option_row *row)
{
    return strcmp(row->type, "flag") == 0 || strcmp(row->type, "scrub") == 0;
}

enum crn_status crn_options_set(struct crn_options *options, const char *key, const char *value,
                                enum crn_option_source source, char *message, size_t message_bytes)
{
    int index = crn_option_find(key);
    if (index < 0)
        return FAIL("unknown option '%s': `coroner --help` lists them", key);
    const struct crn_option_row *row = &crn_option_rows[index];
    if (value == NULL && !crn_option_may_stand_alone(row))
        return FAIL("option '%s' needs a value: %s=%s", key, key, row->argument);
    struct crn_options copy = *options;
    bool is_new_list = source > copy.sources[index];
    enum crn_status status = row_set(&copy, row, value, is_new_list, message, message_bytes);
    if (status != CRN_OK || source < copy.sources[index])
        return status;
    copy.sources[index] = (uint8_t)source;
    *options = copy;
    return CRN_OK;
}

void crn_options_init(struct crn_options *options)
{
    char message[128];
    memset(options, 0, sizeof *options);
    for (unsigned i = 0; i < crn_option_rows_count; i++) {
        const struct crn_option_row *row = &crn_option_rows[i];
        bool has_none = *row->fallback == 0 && strcmp(row->type, "text") != 0 &&
                        strcmp(row->type, "path") != 0;
        if (strcmp(row->key, "suppressions") != 0 && !has_none)
            crn_options_set(options, row->key, row->fallback, CRN_SOURCE_DEFAULT, message,
                            sizeof message);
    }
}

char *crn_option_value_cut(char **value, const char *separators)
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
    end += strcspn(end, separators);
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
            text = crn_option_value_cut(&value, ":");
        } else if (*text == ':') {
            *text++ = 0;
        }
        if (*key != 0 && crn_options_set(options, key, value, CRN_SOURCE_OWN, message,
                                         sizeof message) != CRN_OK)
            warn(message, user);
    }
}
