/*
 * Names as a programmer wrote them, by libiberty's demangler.
 *
 * Compilers split a C++20 coroutine into functions that nobody wrote.  clang adds a suffix to the
 * coroutine's name; gcc does so too, to the name of a function that takes the frame, which carries
 * the coroutine's own in that of its argument:
 *
 *     clang   _Z5inneri.resume, .destroy, .cleanup
 *     gcc     _Z5innerPZ5inneriE15_Z5inneri.Frame.actor, .destroy
 */
#include "sym/demangle.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <libiberty/demangle.h>

enum { READABLE_MAX = 4096, DIGITS_MAX = 9 };

/* The coroutine that gcc made a function for, within its name; NULL: none. */
static const char *gcc_coroutine(struct crn_store *store, const char *raw)
{
    const char *frame = strstr(raw, ".Frame");
    if (frame == NULL)
        return NULL;
    /* The argument's name ends with ".Frame" and has its length in front. */
    for (const char *at = raw + 1; at < frame; at++) {
        unsigned long length = 0, unit = 1;
        if (at[0] != '_' || at[1] != 'Z')
            continue;
        for (const char *digit = at - 1;
             digit > raw && at - digit <= DIGITS_MAX && isdigit((unsigned char)*digit); digit--) {
            length += unit * (unsigned long)(*digit - '0');
            unit *= 10;
            if (length == (unsigned long)(frame - at) + strlen(".Frame"))
                return crn_store_print(store, "%.*s", (int)(frame - at), at);
        }
    }
    return NULL;
}

/* The name of the coroutine that `raw` is a part of; else `raw`. */
static const char *coroutine_name(struct crn_store *store, const char *raw)
{
    static const char *const parts[] = {".actor", ".resume", ".destroy", ".cleanup"};
    const char *name = gcc_coroutine(store, raw);
    if (name != NULL)
        return name;
    for (size_t i = 0; i < CRN_COUNT_OF(parts); i++) {
        const char *suffix = strstr(raw, parts[i]);
        if (suffix != NULL && (suffix[strlen(parts[i])] == 0 || suffix[strlen(parts[i])] == '.'))
            return crn_store_print(store, "%.*s", (int)(suffix - raw), raw);
    }
    return raw;
}

/*
 * A readable name in the making.  A few bytes of a symbol can stand for gigabytes ("a pair of two
 * of what came before", again and again), so it ends at what somebody may still read.
 */
struct readable {
    size_t count;
    jmp_buf enough;
    char text[READABLE_MAX + sizeof "..."];
};

static void piece_add(const char *piece, size_t bytes, void *user)
{
    struct readable *readable = user;
    size_t room = READABLE_MAX - readable->count;
    if (bytes == 0)
        return; /* a piece that is none may come without a place */
    memcpy(readable->text + readable->count, piece, bytes < room ? bytes : room);
    readable->count += bytes < room ? bytes : room;
    if (bytes > room)
        longjmp(readable->enough, 1); /* the demanglers hold little but their stack */
}

/* Answers false when `raw` is mangled by neither scheme. */
static bool readable_make(const char *raw, int options, struct readable *readable)
{
    readable->count = 0;
    if (setjmp(readable->enough) != 0) {
        strcpy(readable->text + READABLE_MAX, "...");
        return true;
    }
    /* Rust's older names look like C++'s, so Rust is asked first, as cplus_demangle() does. */
    bool is_mangled = rust_demangle_callback(raw, options, piece_add, readable) != 0;
    if (!is_mangled) {
        readable->count = 0;
        is_mangled = cplus_demangle_v3_callback(raw, options, piece_add, readable) != 0;
    }
    readable->text[readable->count] = 0;
    return is_mangled;
}

const char *crn_demangle(struct crn_store *store, const char *raw, bool has_parameters)
{
    struct readable readable;
    /* Both schemes mark their names; everything else is C and stays away from the demangler. */
    if (strncmp(raw, "_Z", 2) != 0 && strncmp(raw, "_R", 2) != 0)
        return crn_store_text(store, raw);
    const char *name = coroutine_name(store, raw);
    bool is_mangled = readable_make(name, has_parameters ? DMGL_PARAMS | DMGL_ANSI : 0, &readable);
    return crn_store_text(store, is_mangled ? readable.text : raw);
}
