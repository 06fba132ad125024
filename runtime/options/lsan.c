/*
 * Reads LeakSanitizer's options.  See lsan.h.
 */
#include "options/lsan.h"

#include <stdio.h>
#include <string.h>

/* Each name of LeakSanitizer's that means something here, and what it is called here. */
static const struct {
    const char *lsan, *own; /* own NULL: a number that changes nothing */
} names[] = {
    {"detect_leaks", "detect_leaks"},
    {"leak_check_at_exit", "leak_check_at_exit"},
    {"exitcode", "error_exitcode"},
    {"suppressions", "suppressions"},
    {"log_path", "output"},
    {"max_leaks", "max_leaks"},
    {"report_objects", "report_objects"},
    {"malloc_context_size", "malloc_context_size"},
    {"use_globals", "use_globals"},
    {"use_stacks", "use_stacks"},
    {"use_registers", "use_registers"},
    {"use_tls", "use_tls"},
    {"use_root_regions", "use_root_regions"},
    {"use_unaligned", "use_unaligned"},
    {"print_suppressions", "print_suppressions"},
    {"verbosity", NULL},
};

static const char separators[] = " ,:\n\t\r";

/*
 * Where the report goes: LeakSanitizer appends the pid.  There are two texts that say so, the
 * program's and the environment's; each has room of its own.
 */
static const char *output_of(const char *log_path, enum crn_option_source source)
{
    static char rooms[CRN_SOURCE_OWN][4096];
    if (strcmp(log_path, "stderr") == 0)
        return "";
    if (strcmp(log_path, "stdout") == 0)
        return "/dev/stdout";
    snprintf(rooms[source], sizeof rooms[source], "%s.%%p", log_path);
    return rooms[source];
}

static bool is_number(const char *text)
{
    text += *text == '-';
    return *text != 0 && strspn(text, "0123456789") == strlen(text);
}

static void option_set(struct crn_options *options, const char *key, const char *value,
                       enum crn_option_source source,
                       void (*warn)(const char *message, void *user), void *user)
{
    char message[256], line[384];
    for (unsigned i = 0; i < CRN_COUNT_OF(names); i++) {
        if (strcmp(key, names[i].lsan) != 0)
            continue;
        bool is_output = strcmp(key, "log_path") == 0;
        if (value == NULL)
            snprintf(message, sizeof message, "%s needs a value", key);
        else if (is_output && strlen(value) + 8 > 4096)
            snprintf(message, sizeof message, "the path is too long");
        else if (names[i].own == NULL && !is_number(value))
            snprintf(message, sizeof message, "bad number '%.100s'", value);
        else if (names[i].own == NULL ||
                 crn_options_set(options, names[i].own,
                                 is_output ? output_of(value, source) : value, source, message,
                                 sizeof message) == CRN_OK)
            return;
        snprintf(line, sizeof line, "%s: %s", key, message);
        warn(line, user);
        return;
    }
}

void crn_lsan_options_parse(struct crn_options *options, char *text, enum crn_option_source source,
                            void (*warn)(const char *message, void *user), void *user)
{
    while (*(text += strspn(text, separators)) != 0) {
        char *key = text;
        char *value = NULL;
        text += strcspn(text, "= ,:\n\t\r");
        if (*text == '=') {
            *text = 0;
            value = text + 1;
            text = crn_option_value_cut(&value, separators);
        } else if (*text != 0) {
            *text++ = 0;
        }
        option_set(options, key, value, source, warn, user);
    }
}
