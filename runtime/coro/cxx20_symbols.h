#ifndef CRN_CXX20_SYMBOLS_H
#define CRN_CXX20_SYMBOLS_H
/*
 * What a module's own symbol table says of C++20 coroutines, where it was not stripped.
 *
 * Code alone does not always tell: when clang inlines all of a coroutine up to its final suspension
 * point, what is left is one function that frees a block, as a list's node may have it.  Its name
 * ends with ".destroy" then.  And a function with another name is no part of a coroutine, whatever
 * it looks like.
 */
#include "base/vm.h"

struct crn_cxx20_symbols {
    bool is_clangs;            /* clang made some of the module, says its .comment section */
    bool is_known;             /* the module has a symbol table; else nothing is known */
    const uintptr_t *destroys; /* where functions that destroy a frame start, ascending */
    size_t count;
};

/*
 * Reads the table of the module mapped at [start, end) from its file.  What cannot be read, or is
 * not the file that was mapped, is not known.  Needs 12 KiB of stack; the rows are the arena's.
 */
struct crn_cxx20_symbols crn_cxx20_symbols_read(struct crn_arena *arena, uintptr_t start,
                                                uintptr_t end);

bool crn_cxx20_symbols_has(const struct crn_cxx20_symbols *symbols, uintptr_t address);

#endif
