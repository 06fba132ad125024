#ifndef CRN_BASE_SANITIZERS_H
#define CRN_BASE_SANITIZERS_H
/*
 * The sanitizers that a program cannot have beside Coroner: each brings an allocator of its own,
 * and wants to be the first library of the process.  The target and the command look for them, and
 * neither needs libc here: the target asks while its libraries are still being relocated.
 *
 * UndefinedBehaviorSanitizer is not here: it leaves malloc alone, and is watched.
 */
#include "base/base.h"

struct crn_sanitizer {
    const char *init;         /* the symbol that every program built with it calls or contains */
    const char *libraries[2]; /* how the names of its runtimes begin: gcc's, clang's; NULL: none */
    const char *obstacle;     /* why the program cannot be watched, in a few words */
};

enum { CRN_SANITIZER_COUNT = 6 };
extern const struct crn_sanitizer crn_sanitizers[CRN_SANITIZER_COUNT];

/* The sanitizer whose runtime is the library of this path; NULL: it is none's. */
const struct crn_sanitizer *crn_sanitizer_of_library(const char *path);

/*
 * The sanitizer that an ELF executable of this machine is built with, told from its bytes: it needs
 * a runtime, or one is linked into it.  NULL: none, or the file's sections do not say.
 */
const struct crn_sanitizer *crn_sanitizer_of_file(const unsigned char *bytes, size_t count);

bool crn_text_begins(const char *text, const char *beginning);

/* The last part of a path. */
const char *crn_text_base_name(const char *path);

#endif
