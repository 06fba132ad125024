/*
 * Decides which leaks and findings the suppressions silence.
 *
 * The same frames stand in most stacks of a report, so what the patterns say about a frame is
 * kept beside it, by its index.
 */
#include "report/judge.h"

#include <stdlib.h>
#include <string.h>

enum memo { MEMO_UNKNOWN, MEMO_NO, MEMO_YES };

struct crn_judge {
    const struct crn_suppressions *suppressions;
    unsigned char *memos[CRN_SUPPRESS_KIND_COUNT]; /* enum memo, by frame index */
    size_t memos_room;
};

struct crn_judge *crn_judge_create(const struct crn_suppressions *suppressions)
{
    struct crn_judge *judge = calloc(1, sizeof *judge);
    if (judge == NULL)
        crn_out_of_memory();
    judge->suppressions = suppressions;
    return judge;
}

void crn_judge_destroy(struct crn_judge *judge)
{
    if (judge == NULL)
        return;
    for (unsigned kind = 0; kind < CRN_SUPPRESS_KIND_COUNT; kind++)
        free(judge->memos[kind]);
    free(judge);
}

static void memos_reserve(struct crn_judge *judge, size_t index)
{
    if (index < judge->memos_room)
        return;
    size_t room = index * 2 + 1024;
    for (unsigned kind = 0; kind < CRN_SUPPRESS_KIND_COUNT; kind++) {
        unsigned char *memos = realloc(judge->memos[kind], room);
        if (memos == NULL)
            crn_out_of_memory();
        memset(memos + judge->memos_room, MEMO_UNKNOWN, room - judge->memos_room);
        judge->memos[kind] = memos;
    }
    judge->memos_room = room;
}

static bool matches(const struct crn_judge *judge, enum crn_suppression_kind kind, const char *text)
{
    return crn_suppressions_match(judge->suppressions, kind, text);
}

static bool frame_matches(struct crn_judge *judge, enum crn_suppression_kind kind,
                          const struct crn_frame *frame)
{
    memos_reserve(judge, frame->index);
    unsigned char *memo = &judge->memos[kind][frame->index];
    if (*memo == MEMO_UNKNOWN) {
        bool is_match = matches(judge, kind, frame->function) ||
                        matches(judge, kind, frame->signature) || matches(judge, kind, frame->raw);
        if (kind == CRN_SUPPRESS_LEAK)
            is_match = is_match || matches(judge, kind, frame->module) ||
                       matches(judge, kind, frame->file);
        *memo = is_match ? MEMO_YES : MEMO_NO;
    }
    return *memo == MEMO_YES;
}

static bool stack_matches(struct crn_judge *judge, enum crn_suppression_kind kind,
                          const struct crn_stack *stack)
{
    if (stack == NULL || !crn_suppressions_has(judge->suppressions, kind))
        return false;
    for (uint32_t i = 0; i < stack->count; i++)
        if (frame_matches(judge, kind, stack->frames[i]))
            return true;
    return false;
}

static bool coroutine_matches(struct crn_judge *judge, const struct crn_coroutine *coroutine)
{
    return coroutine != NULL &&
           (matches(judge, CRN_SUPPRESS_COROUTINE, coroutine->name) ||
            stack_matches(judge, CRN_SUPPRESS_COROUTINE, coroutine->created) ||
            stack_matches(judge, CRN_SUPPRESS_COROUTINE, coroutine->suspended));
}

static bool chain_matches(const struct crn_judge *judge, const struct crn_chain *chain)
{
    if (!crn_suppressions_has(judge->suppressions, CRN_SUPPRESS_CHAIN))
        return false;
    for (uint32_t i = 0; i < chain->count; i++) {
        const struct crn_link *link = &chain->links[i];
        if (matches(judge, CRN_SUPPRESS_CHAIN, link->name) ||
            matches(judge, CRN_SUPPRESS_CHAIN, link->module) ||
            matches(judge, CRN_SUPPRESS_CHAIN, link->allocated_in) ||
            (link->coroutine != NULL && matches(judge, CRN_SUPPRESS_CHAIN, link->coroutine->name)))
            return true;
    }
    return false;
}

/* Whether a frame is the own code of a runtime: C's, C++'s or PHP's. */
static bool is_runtime(const struct crn_frame *frame)
{
    static const char *const names[] = {"libc.so.", "ld-linux", "libstdc++.so.", "libgcc_s.so.",
                                        "php",      "libphp"};
    const char *slash = frame->module != NULL ? strrchr(frame->module, '/') : NULL;
    for (unsigned i = 0; slash != NULL && i < CRN_COUNT_OF(names); i++)
        if (strncmp(slash + 1, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/*
 * Whether the runtime lost the block by its own doing.  Only its innermost frames count: below
 * dlopen, say, runs the program's code as well.
 */
static bool runtime_lost(struct crn_judge *judge, const struct crn_stack *stack)
{
    for (uint32_t i = 0; stack != NULL && i < stack->count && is_runtime(stack->frames[i]); i++)
        if (frame_matches(judge, CRN_SUPPRESS_BUILTIN, stack->frames[i]))
            return true;
    return false;
}

bool crn_judge_silences_leak(struct crn_judge *judge, const struct crn_leak *leak)
{
    return stack_matches(judge, CRN_SUPPRESS_LEAK, leak->allocated) ||
           (leak->verdict == CRN_VERDICT_LOST && runtime_lost(judge, leak->allocated)) ||
           chain_matches(judge, &leak->chain) || coroutine_matches(judge, leak->coroutine);
}

bool crn_judge_silences_finding(struct crn_judge *judge, const struct crn_finding *finding)
{
    return chain_matches(judge, &finding->chain) || coroutine_matches(judge, finding->coroutine);
}
