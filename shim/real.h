#ifndef CRN_REAL_H
#define CRN_REAL_H
/*
 * The functions behind ours: jemalloc's and libc's, where we have one of the same name.
 */
#include "base/base.h"

struct sigaction;

/* jemalloc's and libc's own functions, where we have one of the same name. */
struct crn_real {
    void *(*je_malloc)(size_t);
    void *(*je_calloc)(size_t, size_t);
    void (*je_free)(void *);
    void *(*je_mallocx)(size_t, int);
    void *(*je_rallocx)(void *, size_t, int);
    size_t (*je_xallocx)(void *, size_t, size_t, int);
    size_t (*je_nallocx)(size_t, int);
    void (*je_dallocx)(void *, int);
    void (*je_sdallocx)(void *, size_t, int);
    void (*libc_free)(void *);
    void *(*libc_realloc)(void *, size_t);
};

/* Fills in jemalloc's functions.  No libc calls: it comes before anything else. */
void crn_jemalloc_find(struct crn_real *real);

/* Whether `caller` is code of jemalloc's. */
bool crn_is_jemalloc(const void *caller);

/* The next definition of a libc function, behind ours; aborts the process when there is none. */
void *crn_shim_next(const char *name);

/* libc's sigaction, past ours: what is really installed. */
int crn_sigaction_real(int signal, const struct sigaction *action, struct sigaction *old);

#endif
