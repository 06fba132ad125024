#ifndef CRN_ANNOUNCED_KIND_H
#define CRN_ANNOUNCED_KIND_H
/*
 * What a recogniser must offer whose coroutines announce themselves.  One file each; README.md has a
 * row for each.  Those that are only found in memory are in the table of finder.h.
 *
 * It enters coroutines in the registry as it sees them, by interposed calls or by what
 * it finds in memory, and answers three questions when a check asks, all threads standing still.
 */
#include "coro/coro.h"

/* What the check wants to know of one coroutine that is not running. */
struct crn_coro_body {
    uintptr_t start, end;    /* what it would read on its stack if resumed: [saved sp, base) */
    uintptr_t words[16];     /* what it would find in registers, arguments included */
    unsigned word_count;
    bool is_exact;           /* false: sp was not recovered, the whole touched stack counts */
};

/* Memory of a context that must not be read like other memory: it holds saved registers. */
struct crn_coro_context {
    uintptr_t start, end;  /* the register area */
    bool is_handle;        /* reaching it is reaching the coroutine */
};

struct crn_announced_kind {
    enum crn_mechanism mechanism;

    /* Fills the body of a created or suspended coroutine. */
    void (*body_get)(const struct crn_coro *coro, struct crn_coro_body *body);

    /* The register areas that belong to it, still intact; answers how many (at most 4). */
    unsigned (*contexts_get)(const struct crn_coro *coro, struct crn_coro_context contexts[4]);

    /* The function it is named after, and the frame it stopped in; false: not known. */
    bool (*frame_get)(const struct crn_coro *coro, struct crn_frame *frame);

    /* Whether the end of a completed one was seen for certain. */
    bool is_completion_exact;
};

extern const struct crn_announced_kind crn_announced_ucontext;
extern const struct crn_announced_kind crn_announced_stack;
extern const struct crn_announced_kind crn_announced_annotated;

/*
 * The register area of the ucontext_t in which `saved` says registers lie, if it still holds
 * them.  Answers how many areas: 0 or 1.
 */
unsigned crn_ucontext_area_get(const struct crn_saved_context *saved, bool is_handle,
                               struct crn_coro_context *area);

#endif
