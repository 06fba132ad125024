/*
 * Decides which leaks and findings the suppressions silence.
 *
 * The same frames stand in most stacks of a report, so what the patterns say about a frame is
 * kept beside it, by its index.  The same texts stand in many frames, their modules' paths above
 * all, so what they say about a text is kept as well: a recording brings both its texts and, as
 * what the program answered, patterns, and must not make each of one meet each of the other again
 * and again.
 */
#include "report/judge.h"

#include <stdlib.h>
#include <string.h>

/* What a frame or text is known to match: NULL, not looked at yet; `nothing`; or a suppression. */
typedef struct crn_suppression *memo;
static struct crn_suppression nothing;

/* Open addressing by the address of a text, at most half full. */
struct text_memo {
    const char *text; /* NULL: free */
    memo known;
};

/* What the patterns of one kind say. */
struct memos {
    memo *frames; /* by index */
    size_t frames_room;
    struct text_memo *texts;
    size_t texts_count, texts_used; /* the first a power of 2, or 0 */
};

struct crn_judge {
    const struct crn_suppressions *suppressions;
    struct crn_suppressions **programs; /* what programs answered themselves */
    char **texts;                       /* what each of those was read from */
    size_t programs_count, programs_room, texts_room;
    const struct crn_suppressions *own;   /* of the process that is judged now; NULL: none */
    struct memos memos[CRN_SUPPRESS_KIND_COUNT];
};

struct crn_judge *crn_judge_create(const struct crn_suppressions *suppressions)
{
    struct crn_judge *judge = calloc(1, sizeof *judge);
    if (judge == NULL)
        crn_out_of_memory();
    judge->suppressions = suppressions;
    return judge;
}

static void memos_forget(struct crn_judge *judge)
{
    for (unsigned kind = 0; kind < CRN_SUPPRESS_KIND_COUNT; kind++) {
        free(judge->memos[kind].frames);
        free(judge->memos[kind].texts);
        judge->memos[kind] = (struct memos){0};
    }
}

void crn_judge_destroy(struct crn_judge *judge)
{
    if (judge == NULL)
        return;
    memos_forget(judge);
    for (size_t i = 0; i < judge->programs_count; i++) {
        crn_suppressions_destroy(judge->programs[i]);
        free(judge->texts[i]);
    }
    free(judge->programs);
    free(judge->texts);
    free(judge);
}

static void program_add(struct crn_judge *judge, const char *text, char *message,
                        size_t message_bytes)
{
    size_t count = judge->programs_count++;
    judge->programs =
        crn_grow(judge->programs, count, &judge->programs_room, sizeof *judge->programs);
    judge->texts = crn_grow(judge->texts, count, &judge->texts_room, sizeof *judge->texts);
    if ((judge->texts[count] = strdup(text)) == NULL)
        crn_out_of_memory();
    judge->programs[count] = crn_suppressions_of_text(text, message, message_bytes);
    judge->own = judge->programs[count];
}

void crn_judge_begin(struct crn_judge *judge, const char *text, char *message, size_t message_bytes)
{
    const struct crn_suppressions *before = judge->own;
    judge->own = NULL;
    *message = 0;
    for (size_t i = 0; *text != 0 && i < judge->programs_count; i++)
        if (strcmp(judge->texts[i], text) == 0)
            judge->own = judge->programs[i];
    if (*text != 0 && judge->own == NULL)
        program_add(judge, text, message, message_bytes);
    if (judge->own != before)
        memos_forget(judge);
}

void crn_judge_visit(const struct crn_judge *judge,
                     void (*visit)(const struct crn_suppression *, void *user), void *user)
{
    crn_suppressions_visit(judge->suppressions, visit, user);
    for (size_t i = 0; i < judge->programs_count; i++)
        crn_suppressions_visit(judge->programs[i], visit, user);
}

/* What is known of the frame with that index. */
static memo *frame_memo(struct memos *memos, size_t index)
{
    if (index >= memos->frames_room) {
        size_t room = index * 2 + 1024;
        memos->frames = realloc(memos->frames, room * sizeof *memos->frames);
        if (memos->frames == NULL)
            crn_out_of_memory();
        for (size_t i = memos->frames_room; i < room; i++)
            memos->frames[i] = NULL;
        memos->frames_room = room;
    }
    return &memos->frames[index];
}

static struct text_memo *text_slot(struct text_memo *slots, size_t count, const char *text)
{
    size_t i = crn_hash64((uintptr_t)text) & (count - 1);
    while (slots[i].text != NULL && slots[i].text != text)
        i = (i + 1) & (count - 1);
    return &slots[i];
}

/* What is known of a text. */
static memo *text_memo(struct memos *memos, const char *text)
{
    if (memos->texts_used * 2 >= memos->texts_count) {
        size_t larger = memos->texts_count == 0 ? 256 : memos->texts_count * 2;
        struct text_memo *slots = calloc(larger, sizeof *slots);
        if (slots == NULL)
            crn_out_of_memory();
        for (size_t i = 0; i < memos->texts_count; i++)
            if (memos->texts[i].text != NULL)
                *text_slot(slots, larger, memos->texts[i].text) = memos->texts[i];
        free(memos->texts);
        memos->texts = slots;
        memos->texts_count = larger;
    }
    struct text_memo *slot = text_slot(memos->texts, memos->texts_count, text);
    memos->texts_used += slot->text == NULL;
    slot->text = text;
    return &slot->known;
}

static bool has_any(const struct crn_judge *judge, enum crn_suppression_kind kind)
{
    return crn_suppressions_has(judge->suppressions, kind) ||
           (judge->own != NULL && crn_suppressions_has(judge->own, kind));
}

/* The first pattern that matches a text of the report's store. */
static struct crn_suppression *find(struct crn_judge *judge, enum crn_suppression_kind kind,
                                    const char *text)
{
    if (text == NULL || !has_any(judge, kind))
        return NULL;
    memo *known = text_memo(&judge->memos[kind], text);
    if (*known == NULL) {
        struct crn_suppression *found = crn_suppressions_find(judge->suppressions, kind, text);
        if (found == NULL && judge->own != NULL)
            found = crn_suppressions_find(judge->own, kind, text);
        *known = found != NULL ? found : &nothing;
    }
    return *known != &nothing ? *known : NULL;
}

static struct crn_suppression *find_any(struct crn_judge *judge, enum crn_suppression_kind kind,
                                        const char *const *texts, size_t count)
{
    struct crn_suppression *found = NULL;
    for (size_t i = 0; i < count && found == NULL; i++)
        found = find(judge, kind, texts[i]);
    return found;
}

static struct crn_suppression *frame_find(struct crn_judge *judge, enum crn_suppression_kind kind,
                                          const struct crn_named_frame *frame)
{
    memo *known = frame_memo(&judge->memos[kind], frame->index);
    if (*known == NULL) {
        const char *const texts[] = {frame->function, frame->signature, frame->raw, frame->module,
                                     frame->file};
        size_t count = kind == CRN_SUPPRESS_LEAK ? CRN_COUNT_OF(texts) : 3;
        struct crn_suppression *found = find_any(judge, kind, texts, count);
        *known = found != NULL ? found : &nothing;
    }
    return *known != &nothing ? *known : NULL;
}

static struct crn_suppression *stack_find(struct crn_judge *judge, enum crn_suppression_kind kind,
                                          const struct crn_stack *stack)
{
    struct crn_suppression *found = NULL;
    if (stack == NULL || !has_any(judge, kind))
        return NULL;
    for (uint32_t i = 0; i < stack->count && found == NULL; i++)
        found = frame_find(judge, kind, stack->frames[i]);
    return found;
}

static struct crn_suppression *coroutine_find(struct crn_judge *judge,
                                              const struct crn_coroutine *coroutine)
{
    if (coroutine == NULL)
        return NULL;
    struct crn_suppression *found = find(judge, CRN_SUPPRESS_COROUTINE, coroutine->name);
    if (found == NULL)
        found = stack_find(judge, CRN_SUPPRESS_COROUTINE, coroutine->created);
    return found != NULL ? found : stack_find(judge, CRN_SUPPRESS_COROUTINE, coroutine->suspended);
}

static struct crn_suppression *chain_find(struct crn_judge *judge, const struct crn_chain *chain)
{
    struct crn_suppression *found = NULL;
    if (!has_any(judge, CRN_SUPPRESS_CHAIN))
        return NULL;
    for (uint32_t i = 0; i < chain->count && found == NULL; i++) {
        const struct crn_link *link = &chain->links[i];
        const char *const texts[] = {link->name, link->module, link->allocated_in,
                                     link->coroutine != NULL ? link->coroutine->name : NULL};
        found = find_any(judge, CRN_SUPPRESS_CHAIN, texts, CRN_COUNT_OF(texts));
    }
    return found;
}

/* Whether a frame is the own code of a runtime: C's, C++'s or PHP's. */
static bool is_runtime(const struct crn_named_frame *frame)
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
 * What says that the runtime lost the block by its own doing.  Only its innermost frames count:
 * below dlopen, say, runs the program's code as well.
 */
static struct crn_suppression *runtime_find(struct crn_judge *judge, const struct crn_stack *stack)
{
    struct crn_suppression *found = NULL;
    for (uint32_t i = 0;
         stack != NULL && found == NULL && i < stack->count && is_runtime(stack->frames[i]); i++)
        found = frame_find(judge, CRN_SUPPRESS_BUILTIN, stack->frames[i]);
    return found;
}

struct crn_suppression *crn_judge_find(struct crn_judge *judge, const struct crn_leak *leak)
{
    struct crn_suppression *found = stack_find(judge, CRN_SUPPRESS_LEAK, leak->allocated);
    if (found == NULL && leak->verdict == CRN_VERDICT_LOST)
        found = runtime_find(judge, leak->allocated);
    if (found == NULL)
        found = chain_find(judge, &leak->chain);
    return found != NULL ? found : coroutine_find(judge, leak->coroutine);
}

bool crn_judge_needs_stacks(const struct crn_judge *judge)
{
    return has_any(judge, CRN_SUPPRESS_LEAK);
}

bool crn_judge_silences_finding(struct crn_judge *judge, const struct crn_finding *finding)
{
    return chain_find(judge, &finding->chain) != NULL ||
           coroutine_find(judge, finding->coroutine) != NULL;
}
