#ifndef CRN_CHECK_FINDINGS_H
#define CRN_CHECK_FINDINGS_H
/*
 * Findings: what a check has to say of coroutines and objects, rather than of blocks.
 */
#include "mark/mark.h"
#include "record/draft.h"

struct crn_check_finding {
    uint32_t kind;  /* enum crn_finding_kind */
    uint32_t coro;  /* number in the snapshot + 1 of one of them; 0: none, or gone */
    uint32_t probe; /* row of that one; 0: none */
    uint32_t count;
    uint32_t node;            /* its stack; 0: not known */
    const char *name, *scope; /* of the coroutine and of its scope; NULL: none */
    const char *why;
    uintptr_t object; /* 0: none */
    size_t object_bytes;
    uint64_t object_retained; /* with what of its scope it leads to; 0: not asked */
    unsigned step_count;      /* the chain to the object */
    struct crn_chain_step steps[CRN_CHAIN_STEPS_MAX];
};

struct crn_check_findings {
    struct crn_check_finding *rows; /* in the mark's arena */
    size_t count;
};

/*
 * Finds them, while the picture is fresh.  `only_new`: what an earlier check said is left out.
 * Looks at what belongs to the occasion's scope, or at everything.
 */
void crn_findings_find(struct crn_check_findings *findings, struct crn_mark *mark, bool only_new);

/* Drafts one, with its coroutine and chain. */
void crn_finding_draft(struct crn_draft *draft, struct crn_mark *mark,
                       const struct crn_check_finding *finding);

#endif
