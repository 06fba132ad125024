/*
 * The list of what the user does not want to hear about.  See suppressions.h.
 */
#include "report/suppressions.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report/pattern.h"
#include "sym/store.h"

/*
 * The built-in suppressions: blocks that a runtime loses by its own doing, or seems to, so that no
 * program can mend them.  Each names its cause upstream and matches one function; they apply to
 * the verdict `lost` alone, never to what a coroutine holds.
 */
static const char *const builtin_patterns[] = {
    /* glibc bug 12650: thread-local storage of a dlopened module, allocated when first used, is
     * not freed with its thread. */
    "^__tls_get_addr$",
    /* glibc keeps the text that dlerror would show in a thread that ended before asking for it
     * (LeakSanitizer leaves it out too). */
    "^_dlerror_run$",
    /* PHP copies the description of a function's arguments and keeps the address of the first; where
     * there are none, that is just past the end of the copy, where another block begins. */
    "^zend_register_functions$",
};

struct patterns {
    struct crn_suppression **rows;
    size_t count, room;
};

struct crn_suppressions {
    struct patterns kinds[CRN_SUPPRESS_KIND_COUNT];
};

/* A copy in which stars that stand in a row are one. */
static char *pattern_copy(const char *pattern)
{
    char *copy = strdup(pattern), *to = copy;
    if (copy == NULL)
        crn_out_of_memory();
    for (const char *p = pattern; *p != 0; p++)
        if (*p != '*' || p[1] != '*')
            *to++ = *p;
    *to = 0;
    return copy;
}

static void pattern_add(struct crn_suppressions *suppressions, enum crn_suppression_kind kind,
                        const char *pattern)
{
    struct patterns *patterns = &suppressions->kinds[kind];
    struct crn_suppression *row = calloc(1, sizeof *row);
    patterns->rows =
        crn_grow(patterns->rows, patterns->count, &patterns->room, sizeof *patterns->rows);
    if (row == NULL)
        crn_out_of_memory();
    row->pattern = pattern_copy(pattern);
    row->kind = kind;
    patterns->rows[patterns->count++] = row;
}

static struct crn_suppressions *list_create(void)
{
    struct crn_suppressions *suppressions = calloc(1, sizeof *suppressions);
    if (suppressions == NULL)
        crn_out_of_memory();
    return suppressions;
}

struct crn_suppressions *crn_suppressions_create(void)
{
    struct crn_suppressions *suppressions = list_create();
    for (unsigned i = 0; i < CRN_COUNT_OF(builtin_patterns); i++)
        pattern_add(suppressions, CRN_SUPPRESS_BUILTIN, builtin_patterns[i]);
    return suppressions;
}

void crn_suppressions_destroy(struct crn_suppressions *suppressions)
{
    if (suppressions == NULL)
        return;
    for (unsigned kind = 0; kind < CRN_SUPPRESS_KIND_COUNT; kind++) {
        for (size_t i = 0; i < suppressions->kinds[kind].count; i++) {
            free(suppressions->kinds[kind].rows[i]->pattern);
            free(suppressions->kinds[kind].rows[i]);
        }
        free(suppressions->kinds[kind].rows);
    }
    free(suppressions);
}

/* Cuts blanks off both ends of a line, in place. */
static char *trim(char *line)
{
    static const char blanks[] = " \t\r\n\f\v";
    line += strspn(line, blanks);
    size_t length = strlen(line);
    while (length > 0 && strchr(blanks, line[length - 1]) != NULL)
        line[--length] = 0;
    return line;
}

static const char *const prefixes[] = {
    [CRN_SUPPRESS_LEAK] = "leak:",
    [CRN_SUPPRESS_CHAIN] = "chain:",
    [CRN_SUPPRESS_COROUTINE] = "coroutine:",
    [CRN_SUPPRESS_BUILTIN] = "built-in:",
};

const char *crn_suppression_prefix(enum crn_suppression_kind kind)
{
    return prefixes[kind];
}

/* Adds the suppression of one line; answers what is wrong with it, or NULL. */
static const char *line_read(struct crn_suppressions *suppressions, char *line)
{
    line = trim(line);
    if (*line == 0 || *line == '#')
        return NULL;
    for (unsigned kind = 0; kind < CRN_SUPPRESS_BUILTIN; kind++) {
        size_t length = strlen(prefixes[kind]);
        if (strncmp(line, prefixes[kind], length) != 0)
            continue;
        const char *pattern = trim(line + length);
        if (pattern[strspn(pattern, "^$")] == 0)
            return "needs a pattern that names something after its colon";
        pattern_add(suppressions, kind, pattern);
        return NULL;
    }
    return "is no suppression: write leak:PATTERN, chain:PATTERN or coroutine:PATTERN";
}

struct crn_suppressions *crn_suppressions_of_text(const char *text, char *message,
                                                  size_t message_bytes)
{
    enum { LINES_MAX = 1024 }; /* a recording brings them, too, and each is tried on each name */
    struct crn_suppressions *suppressions = list_create();
    *message = 0;
    for (unsigned lines = 0; *text != 0; lines++) {
        if (lines == LINES_MAX) {
            if (*message == 0)
                snprintf(message, message_bytes, "what follows after %d lines is left out",
                         LINES_MAX);
            break;
        }
        size_t length = strcspn(text, "\n");
        char *line = strndup(text, length);
        if (line == NULL)
            crn_out_of_memory();
        const char *mistake = line_read(suppressions, line);
        if (mistake != NULL && *message == 0)
            snprintf(message, message_bytes, "'%.60s' %s", trim(line), mistake);
        free(line);
        text += length + (text[length] != 0);
    }
    return suppressions;
}

/*
 * Opens the file, as fopen() would.  A program may name one, too, and what lies there may be a pipe
 * that nobody writes to; somebody may also be about to.
 */
static FILE *list_open(const char *path)
{
    enum { PATIENCE_MS = 10000 };
    struct stat status;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return NULL;
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    if (fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) &&
        poll(&waiting, 1, PATIENCE_MS) == 0) {
        close(fd);
        errno = ETIMEDOUT;
        return NULL;
    }
    fcntl(fd, F_SETFL, 0); /* from here on it may wait */
    FILE *file = fdopen(fd, "r");
    if (file == NULL)
        close(fd);
    return file;
}

enum crn_status crn_suppressions_read(struct crn_suppressions *suppressions, const char *path,
                                      char *message, size_t message_bytes)
{
    enum crn_status status = CRN_OK;
    char *line = NULL;
    size_t room = 0;
    FILE *file = list_open(path);
    if (message_bytes > 0)
        *message = 0;
    errno = file != NULL ? 0 : errno;
    for (unsigned number = 1; file != NULL && getline(&line, &room, file) >= 0; number++) {
        const char *mistake = line_read(suppressions, line);
        if (mistake != NULL) {
            snprintf(message, message_bytes, "%s:%u: '%.60s' %s", path, number, trim(line),
                     mistake);
            status = CRN_ERR_INVALID;
            break;
        }
    }
    if (file == NULL || (status == CRN_OK && ferror(file))) {
        snprintf(message, message_bytes,
                 "cannot read the suppressions '%s': %s; give a readable file", path,
                 strerror(errno));
        status = CRN_ERR_SYSTEM;
    }
    free(line);
    if (file != NULL)
        fclose(file);
    return status;
}

struct crn_suppression *crn_suppressions_find(const struct crn_suppressions *suppressions,
                                              enum crn_suppression_kind kind, const char *text)
{
    const struct patterns *patterns = &suppressions->kinds[kind];
    for (size_t i = 0; text != NULL && i < patterns->count; i++)
        if (crn_pattern_matches(patterns->rows[i]->pattern, text))
            return patterns->rows[i];
    return NULL;
}

bool crn_suppressions_match(const struct crn_suppressions *suppressions,
                            enum crn_suppression_kind kind, const char *text)
{
    return crn_suppressions_find(suppressions, kind, text) != NULL;
}

void crn_suppressions_visit(const struct crn_suppressions *suppressions,
                            void (*visit)(const struct crn_suppression *, void *user), void *user)
{
    for (unsigned kind = 0; kind < CRN_SUPPRESS_KIND_COUNT; kind++)
        for (size_t i = 0; i < suppressions->kinds[kind].count; i++)
            visit(suppressions->kinds[kind].rows[i], user);
}

bool crn_suppressions_has(const struct crn_suppressions *suppressions,
                          enum crn_suppression_kind kind)
{
    return suppressions->kinds[kind].count > 0;
}
