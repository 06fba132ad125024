#ifndef CRN_CAREFUL_H
#define CRN_CAREFUL_H
/*
 * The way to our work where the sailing is not plain: a thread's first call, a stack that we have
 * not seen or that has little room left (the work is then done on a scratch stack of ours), a
 * handler on top of us, and after Coroner has stood down.
 */
#include "shim/state.h"

/* One call of an interposed function. */
struct crn_request {
    void *block; /* of free and realloc */
    size_t bytes, extra;
    int flags;              /* MALLOCX_* */
    const uintptr_t *frame; /* of the interposed function */
    uintptr_t result;       /* what it returns, if anything */
};

/*
 * Does a request.  `self` is NULL when nothing can be noted (we stood down, or there is no memory
 * for a record of the thread): jemalloc alone serves it then.
 */
typedef void crn_performer(struct crn_thread *self, struct crn_request *request);

/* Has it done, wherever we are; answers its result. */
uintptr_t crn_careful(crn_performer *perform, void *block, size_t bytes, size_t extra, int flags,
                      const uintptr_t *frame);

#endif
