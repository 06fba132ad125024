/*
 * What the launcher hands to the shim.  See handoff.h.
 *
 * The shim is looked for where the command itself lies: beside it, as a build leaves them, or in
 * the library directory of the same prefix, as an installation does.
 */
#include "shim/launcher/handoff.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/door.h"
#include "shim/launcher/door.h"
#include "shim/launcher/output.h"
#include "shim/launcher/session.h"

static const char shim_name[] = "libcoroner.so";

/* The library directory as seen from the command's: absolute, or reached through the prefix. */
static char *library_path(const char *directory, size_t length)
{
    char *path;
    int bytes;
    if (CORONER_LIBDIR[0] == '/') {
        bytes = asprintf(&path, "%s/%s", CORONER_LIBDIR, shim_name);
    } else {
        char up[PATH_MAX] = "..";
        for (const char *slash = strchr(CORONER_BINDIR, '/'); slash != NULL;
             slash = strchr(slash + 1, '/'))
            strcat(up, "/..");
        bytes =
            asprintf(&path, "%.*s/%s/%s/%s", (int)length, directory, up, CORONER_LIBDIR, shim_name);
    }
    if (bytes < 0)
        crn_out_of_memory();
    return path;
}

static bool shim_find(char **launcher, char **shim)
{
    *launcher = realpath("/proc/self/exe", NULL);
    if (*launcher == NULL) {
        crn_say("cannot tell where this command lies (/proc/self/exe: %s); mount /proc",
                strerror(errno));
        return false;
    }
    size_t length = (size_t)(strrchr(*launcher, '/') - *launcher);
    char *beside, *library = library_path(*launcher, length);
    if (asprintf(&beside, "%.*s/%s", (int)length, *launcher, shim_name) < 0)
        crn_out_of_memory();
    *shim = realpath(beside, NULL);
    if (*shim == NULL)
        *shim = realpath(library, NULL);
    if (*shim == NULL)
        crn_say("%s is neither at %s nor at %s: build or install it there", shim_name, beside,
                library);
    free(beside);
    free(library);
    return *shim != NULL;
}

/* LD_PRELOAD with the library in it, once. */
static char *preload_compose(const char *library)
{
    const char *old = getenv("LD_PRELOAD");
    char *preload;
    size_t length = strlen(library);
    if (strpbrk(library, ": ") != NULL) {
        crn_say("LD_PRELOAD cannot name '%s', for the blank or colon in it: move Coroner", library);
        return NULL;
    }
    for (const char *at = old; at != NULL && *at != 0; at += strcspn(at, ": ")) {
        at += strspn(at, ": ");
        if (strncmp(at, library, length) == 0 && (at[length] == 0 || strchr(": ", at[length])))
            return strdup(old);
    }
    bool has_old = old != NULL && *old != 0;
    if (asprintf(&preload, "%s%s%s", library, has_old ? ":" : "", has_old ? old : "") < 0)
        crn_out_of_memory();
    return preload;
}

/* Adds "key=value" to the options; answers false after saying that the value cannot be quoted. */
static bool option_add(FILE *file, const char *key, const char *value)
{
    const char *quote = "";
    if (strchr(value, ':') != NULL || *value == '\'' || *value == '"')
        quote = strchr(value, '\'') == NULL ? "'" : "\"";
    if (*quote != 0 && strchr(value, *quote) != NULL) {
        crn_say("the %s '%s' has a colon and both kinds of quotes in it: choose another", key,
                value);
        return false;
    }
    fprintf(file, "%s%s=%s%s%s", ftell(file) > 0 ? ":" : "", key, quote, value, quote);
    return true;
}

/* Adds a path as seen from everywhere; "" is none. */
static bool path_add(FILE *file, const char *key, const char *path)
{
    char *absolute = NULL;
    if (*path == 0)
        return true;
    if (*path != '/') {
        char *here = getcwd(NULL, 0);
        if (here == NULL) {
            crn_say("cannot make '%s' absolute: %s; give an absolute path", path, strerror(errno));
            return false;
        }
        if (asprintf(&absolute, "%s/%s", here, path) < 0)
            crn_out_of_memory();
        free(here);
    }
    bool is_added = option_add(file, key, absolute != NULL ? absolute : path);
    free(absolute);
    return is_added;
}

/* Adds the option of a row; a list is added file by file. */
static bool row_add(FILE *file, const struct crn_options *options, const struct crn_option_row *row)
{
    static const char *const stacks_words[] = {
        [CRN_STACKS_OFF] = "off", [CRN_STACKS_SAMPLED] = "sampled", [CRN_STACKS_FULL] = "full"};
    const void *field = (const char *)options + row->offset;
    char number[32];
    if (strcmp(row->key, "suppressions") == 0) {
        bool is_whole = true;
        for (unsigned i = 0; is_whole && i < options->suppressions_count; i++)
            is_whole = path_add(file, row->key, options->suppressions[i]);
        return is_whole;
    }
    if (strcmp(row->type, "path") == 0)
        return path_add(file, row->key, *(const char *const *)field);
    if (options->stacks == CRN_STACKS_SAMPLED && strcmp(row->type, "stacks") == 0) {
        snprintf(number, sizeof number, "sampled=%llu", (unsigned long long)options->sample_bytes);
        return option_add(file, row->key, number);
    }
    if (strcmp(row->type, "stacks") == 0)
        return option_add(file, row->key, stacks_words[options->stacks]);
    if (strcmp(row->type, "bad_free") == 0)
        return option_add(file, row->key, crn_bad_free_words[options->on_bad_free]);
    if (strcmp(row->type, "scrub") == 0)
        return option_add(file, row->key, crn_scrub_words[options->scrub]);
    if (strcmp(row->type, "time") == 0 || strcmp(row->type, "bytes") == 0) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)*(const uint64_t *)field);
        return *(const uint64_t *)field == 0 || option_add(file, row->key, number);
    }
    if (strcmp(row->type, "signal") == 0 && *(const unsigned *)field == 0)
        return true;
    if (strcmp(row->type, "uint") == 0 || strcmp(row->type, "signal") == 0) {
        snprintf(number, sizeof number, "%u", *(const unsigned *)field);
        return option_add(file, row->key, number);
    }
    if (strcmp(row->type, "text") == 0)
        return option_add(file, row->key, *(const char *const *)field);
    return option_add(file, row->key, *(const bool *)field ? "yes" : "no");
}

/*
 * Every option that somebody gave, as the shim reads it, or NULL after saying what cannot be
 * expressed.  The defaults are left to the shim: the program may have others.
 */
static char *options_compose(const struct crn_options *options)
{
    char *text;
    size_t bytes;
    bool is_whole = true;
    FILE *file = open_memstream(&text, &bytes);
    if (file == NULL)
        crn_out_of_memory();
    for (unsigned i = 0; is_whole && i < crn_option_rows_count; i++)
        if (options->sources[i] != CRN_SOURCE_DEFAULT)
            is_whole = row_add(file, options, &crn_option_rows[i]);
    if (fclose(file) != 0)
        crn_out_of_memory();
    if (is_whole)
        return text;
    free(text);
    return NULL;
}

bool crn_handoff_init(struct crn_handoff *handoff, const struct crn_options *options,
                      const struct crn_session *session)
{
    char *shim = NULL;
    memset(handoff, 0, sizeof *handoff);
    if (!shim_find(&handoff->launcher, &shim))
        return false;
    handoff->session = strdup(session->directory);
    handoff->door = session->door;
    handoff->preload = preload_compose(shim);
    handoff->options = options_compose(options);
    free(shim);
    return handoff->session != NULL && handoff->preload != NULL && handoff->options != NULL;
}

bool crn_handoff_init_library(struct crn_handoff *handoff, const char *library)
{
    memset(handoff, 0, sizeof *handoff);
    handoff->preload = preload_compose(library);
    return handoff->preload != NULL;
}

void crn_handoff_fini(struct crn_handoff *handoff)
{
    free(handoff->preload);
    free(handoff->session);
    free(handoff->launcher);
    free(handoff->options);
    memset(handoff, 0, sizeof *handoff);
}

static void variable_set(const char *name, const char *value)
{
    if (value != NULL)
        setenv(name, value, 1);
}

void crn_handoff_apply(const struct crn_handoff *handoff)
{
    variable_set("LD_PRELOAD", handoff->preload);
    variable_set("CORONER_SESSION", handoff->session);
    variable_set(CRN_DOOR_VARIABLE, handoff->door != NULL ? crn_door_value(handoff->door) : NULL);
    variable_set("CORONER_LAUNCHER", handoff->launcher);
    variable_set("CORONER_OPTIONS", handoff->options);
}
