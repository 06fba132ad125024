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

#include "shim/launcher/output.h"

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

/* LD_PRELOAD with the shim in it, once. */
static char *preload_compose(const char *shim)
{
    const char *old = getenv("LD_PRELOAD");
    char *preload;
    size_t length = strlen(shim);
    if (strpbrk(shim, ": ") != NULL) {
        crn_say("LD_PRELOAD cannot name '%s', for the blank or colon in it: move Coroner", shim);
        return NULL;
    }
    for (const char *at = old; at != NULL && *at != 0; at += strcspn(at, ": ")) {
        at += strspn(at, ": ");
        if (strncmp(at, shim, length) == 0 && (at[length] == 0 || strchr(": ", at[length])))
            return strdup(old);
    }
    bool has_old = old != NULL && *old != 0;
    if (asprintf(&preload, "%s%s%s", shim, has_old ? ":" : "", has_old ? old : "") < 0)
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

static const char *yes_no(bool value)
{
    return value ? "yes" : "no";
}

/* Every option as the shim reads it, or NULL after saying what cannot be expressed. */
static char *options_compose(const struct crn_options *options)
{
    static const char *const stacks_words[] = {
        [CRN_STACKS_OFF] = "off", [CRN_STACKS_SAMPLED] = "sampled", [CRN_STACKS_FULL] = "full"};
    char *text, number[16], grace_ms[16];
    size_t bytes;
    FILE *file = open_memstream(&text, &bytes);
    if (file == NULL)
        crn_out_of_memory();
    snprintf(number, sizeof number, "%u", options->error_exitcode);
    snprintf(grace_ms, sizeof grace_ms, "%u", options->cancel_grace_ms);
    bool is_whole = option_add(file, "cancel_grace_ms", grace_ms) &&
                    option_add(file, "format", options->format) &&
                    path_add(file, "output", options->output) &&
                    path_add(file, "record", options->record) &&
                    option_add(file, "stacks", stacks_words[options->stacks]) &&
                    option_add(file, "error_exitcode", number) &&
                    option_add(file, "strict", yes_no(options->strict)) &&
                    option_add(file, "follow_children", yes_no(options->follow_children)) &&
                    option_add(file, "coroutines", yes_no(options->coroutines));
    for (unsigned i = 0; is_whole && i < options->suppressions_count; i++)
        is_whole = path_add(file, "suppressions", options->suppressions[i]);
    if (fclose(file) != 0)
        crn_out_of_memory();
    if (is_whole)
        return text;
    free(text);
    return NULL;
}

bool crn_handoff_init(struct crn_handoff *handoff, const struct crn_options *options,
                      const char *session_directory)
{
    char *shim = NULL;
    memset(handoff, 0, sizeof *handoff);
    if (!shim_find(&handoff->launcher, &shim))
        return false;
    handoff->session = strdup(session_directory);
    handoff->preload = preload_compose(shim);
    handoff->options = options_compose(options);
    free(shim);
    return handoff->session != NULL && handoff->preload != NULL && handoff->options != NULL;
}

void crn_handoff_fini(struct crn_handoff *handoff)
{
    free(handoff->preload);
    free(handoff->session);
    free(handoff->launcher);
    free(handoff->options);
    memset(handoff, 0, sizeof *handoff);
}

void crn_handoff_apply(const struct crn_handoff *handoff)
{
    setenv("LD_PRELOAD", handoff->preload, 1);
    setenv("CORONER_SESSION", handoff->session, 1);
    setenv("CORONER_LAUNCHER", handoff->launcher, 1);
    setenv("CORONER_OPTIONS", handoff->options, 1);
}
