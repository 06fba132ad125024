#ifndef CRN_RETURNS_H
#define CRN_RETURNS_H
/*
 * Does a function ever return?  See function.h, which is what others use.
 */
#include "code/decode.h"

/* Answers known already, by function: a direct-mapped table of fixed size. */
enum { CRN_RETURNS_ROWS = 1 << 12 };
struct crn_returns {
    unsigned budget; /* instructions that the search under way may still read */
    struct {
        uintptr_t function;
        bool may_return;
    } rows[CRN_RETURNS_ROWS];
};

bool crn_returns_ask(struct crn_returns *known, const struct crn_code *code, uintptr_t function);

/*
 * What a stub of the procedure linkage table at `target` jumps to.  False: it is no stub.  `*leads`
 * may be 0 or lie in the linkage table itself, when the symbol is not bound yet.
 */
bool crn_stub_read(const struct crn_code *code, uintptr_t target, uintptr_t *leads);

#endif
