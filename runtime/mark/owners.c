/*
 * Which frame a candidate belongs to, and what its code says.  See stale.h.
 */
#include "mark/stale.h"
#include "snap/readable.h"
#include "base/sort.h"
#include "code/decode.h"
#include "liveness/liveness.h"

enum {
    FRAMES_MAX = 512,     /* of a stack that are walked */
    FACTS = 1 << 11,      /* rows */
    MEMOS = 1 << 13,      /* rows */
    PLACES_MAX = 1 << 14, /* different places that are dead */
    KEPT = CRN_KEPT_REGISTERS
};

/* In the order in which pictures have them. */
static const uint8_t kept_registers[KEPT] = {CRN_RBX, CRN_RBP, CRN_R12, CRN_R13, CRN_R14, CRN_R15};

/* What unwind information says of a frame that goes on at `pc`. */
struct crn_frame_facts {
    uintptr_t pc; /* 0: none */
    struct crn_rule rule;
    uint8_t saved[KEPT]; /* enum crn_saved */
    bool is_exact;
    int64_t offsets[KEPT]; /* from the CFA, of those that are saved */
};

struct crn_place_memo {
    struct crn_liveness_question question;
    struct crn_liveness_answer answer;
};

/* The frames of one stack, from the innermost outwards. */
struct walk {
    struct crn_asker *asker;
    struct crn_candidate *candidates; /* ascending by address */
    size_t count, left;               /* left: so many have not been asked about */
    struct crn_frame frame;
    struct crn_stack_bounds bounds;
    uintptr_t cfa;
    uintptr_t locations[KEPT]; /* where the frame's value of each register is; 0: not known */
    bool is_innermost_asked;
};

static const struct crn_frame_facts *facts_get(struct crn_asker *asker,
                                               const struct crn_frame *frame)
{
    struct crn_frame_facts *facts = &asker->frames[crn_hash64(frame->pc) % FACTS];
    if (facts->pc == frame->pc && facts->is_exact == frame->is_exact)
        return facts;
    *facts = (struct crn_frame_facts){
        .pc = frame->pc,
        .rule = crn_rule_get(frame->is_exact ? frame->pc : frame->pc - 1),
        .is_exact = frame->is_exact,
    };
    for (unsigned i = 0; i < KEPT; i++)
        facts->saved[i] = (uint8_t)crn_liveness_saves(frame->pc, !frame->is_exact,
                                                      kept_registers[i], &facts->offsets[i]);
    return facts;
}

static bool questions_are_equal(const struct crn_liveness_question *a,
                                const struct crn_liveness_question *b)
{
    return a->pc == b->pc && a->is_return_address == b->is_return_address && a->place == b->place &&
           a->reg == b->reg && a->offset == b->offset;
}

static struct crn_liveness_answer answer_get(struct crn_asker *asker,
                                             const struct crn_liveness_question *question)
{
    uint64_t hash = crn_hash64(question->pc ^ crn_hash64((uint64_t)question->offset * 32 +
                                                         question->place * 16 + question->reg));
    struct crn_place_memo *memo = &asker->memos[hash % MEMOS];
    if (!questions_are_equal(&memo->question, question)) {
        memo->question = *question;
        memo->answer = crn_liveness_ask(asker->engine, question);
    }
    return memo->answer;
}

/* The row of a dead place, as index + 1; 0: there is no room. */
static uint32_t place_intern(struct crn_mark *mark, const struct crn_stale_place *key)
{
    for (size_t i = 0; i < mark->place_count; i++) {
        const struct crn_stale_place *row = &mark->places[i];
        if (row->pc == key->pc && row->is_register == key->is_register && row->reg == key->reg &&
            row->offset == key->offset && row->is_certain == key->is_certain)
            return (uint32_t)i + 1;
    }
    if (mark->places == NULL)
        mark->places = crn_arena_alloc(&mark->arena, PLACES_MAX * sizeof *mark->places);
    if (mark->places == NULL || mark->place_count == PLACES_MAX)
        return 0;
    mark->places[mark->place_count++] = *key;
    return (uint32_t)mark->place_count;
}

static void candidate_ask(struct walk *walk, struct crn_candidate *candidate,
                          struct crn_liveness_question question)
{
    candidate->is_asked = true;
    walk->left--;
    question.pc = walk->frame.pc;
    question.is_return_address = !walk->frame.is_exact;
    struct crn_liveness_answer answer = answer_get(walk->asker, &question);
    if (answer.liveness != CRN_LIVENESS_DEAD)
        return;
    candidate->place =
        place_intern(walk->asker->mark,
                     &(struct crn_stale_place){
                         .pc = walk->frame.pc,
                         .offset = question.offset,
                         .bp_offset = (int64_t)(walk->frame.bp - walk->cfa),
                         .written_at = answer.reason == CRN_REASON_WRITTEN ? answer.written_at : 0,
                         .reg = (uint8_t)question.reg,
                         .is_register = question.place == CRN_PLACE_REGISTER,
                         .is_return_address = question.is_return_address,
                         .is_certain = answer.is_certain,
                     });
}

/* The first candidate at or above an address. */
static size_t candidate_above(const struct walk *walk, uintptr_t address)
{
    size_t low = 0, high = walk->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (walk->candidates[middle].address < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct crn_candidate *candidate_find(const struct walk *walk, uintptr_t address)
{
    size_t at = candidate_above(walk, address);
    return at < walk->count && walk->candidates[at].address == address ? &walk->candidates[at]
                                                                       : NULL;
}

/*
 * Registers that the frame saved are its own from there on, and what it saved is its caller's.
 * Answers whether all slots that it saved to are known.
 */
static bool registers_pass(struct walk *walk, const struct crn_frame_facts *facts)
{
    bool is_known = true;
    for (unsigned i = 0; i < KEPT; i++) {
        struct crn_candidate *held = candidate_find(walk, walk->locations[i]);
        if (facts->saved[i] == CRN_SAVED_NOT) {
            /* Some use a register all the same: it is set aside for a global variable. */
            if (held != NULL && !crn_liveness_passes_on(walk->asker->engine, walk->frame.pc,
                                                        !walk->frame.is_exact, kept_registers[i]))
                walk->locations[i] = 0;
            continue;
        }
        walk->locations[i] = 0;
        if (facts->saved[i] != CRN_SAVED_AT) {
            is_known = false;
            continue;
        }
        if (held != NULL && !held->is_asked)
            candidate_ask(walk, held,
                          (struct crn_liveness_question){.place = CRN_PLACE_REGISTER,
                                                         .reg = kept_registers[i]});
        walk->locations[i] = walk->cfa + (uintptr_t)facts->offsets[i];
        struct crn_candidate *slot = candidate_find(walk, walk->locations[i]);
        if (slot != NULL)
            slot->is_register = true;
    }
    return is_known;
}

static void slots_ask(struct walk *walk)
{
    for (size_t at = candidate_above(walk, walk->frame.sp);
         at < walk->count && walk->candidates[at].address < walk->cfa - sizeof(uintptr_t); at++) {
        struct crn_candidate *candidate = &walk->candidates[at];
        if (!candidate->is_register && !candidate->is_asked && candidate->address % 8 == 0)
            candidate_ask(
                walk, candidate,
                (struct crn_liveness_question){
                    .place = CRN_PLACE_SLOT, .offset = (int64_t)(candidate->address - walk->cfa)});
    }
}

/* Finds the frame's CFA; false: it is not known exactly. */
static bool cfa_find(struct walk *walk, const struct crn_rule *rule)
{
    const struct crn_frame *frame = &walk->frame;
    if (rule->kind != CRN_RULE_RSP && rule->kind != CRN_RULE_RBP)
        return false;
    walk->cfa = (rule->kind == CRN_RULE_RSP ? frame->sp : frame->bp) +
                (uintptr_t)(intptr_t)rule->cfa_offset;
    return walk->cfa > frame->sp && walk->cfa <= walk->bounds.end && walk->cfa % 8 == 0;
}

static bool candidate_less(const void *a, const void *b)
{
    return ((const struct crn_candidate *)a)->address < ((const struct crn_candidate *)b)->address;
}

static void walk_ask(struct walk *walk)
{
    for (unsigned i = 0; i < FRAMES_MAX && walk->left > 0; i++) {
        const struct crn_frame_facts *facts = facts_get(walk->asker, &walk->frame);
        struct crn_stride stride;
        if (!cfa_find(walk, &facts->rule))
            return;
        if (registers_pass(walk, facts) && (i > 0 || walk->is_innermost_asked))
            slots_ask(walk);
        if (!crn_frame_stride(&walk->frame, walk->bounds, false, &stride) || !stride.is_proven)
            return;
    }
}

/* The part of a stack around `sp` that can be read to its end; empty: none. */
static struct crn_stack_bounds bounds_find(const struct crn_snap *snap, uintptr_t sp,
                                           struct crn_stack_bounds bounds)
{
    bounds.end = crn_readable_end(snap, sp, bounds.end);
    return bounds;
}

static bool is_exactly_stopped(const struct crn_snap_coro *coro)
{
    return coro->state == CRN_CORO_SUSPENDED && coro->is_exact && coro->is_sure &&
           !coro->is_root &&
           coro->probe == 0 && coro->stopped.pc != 0 &&
           coro->stopped.sp - coro->stack_start < coro->stack_end - coro->stack_start &&
           (coro->mechanism == CRN_MECHANISM_UCONTEXT || coro->mechanism == CRN_MECHANISM_SETJMP ||
            coro->mechanism == CRN_MECHANISM_FCONTEXT || coro->mechanism == CRN_MECHANISM_SWITCH);
}

/* The candidates in the body of a suspended coroutine. */
static void coro_ask(struct crn_asker *asker, struct crn_candidate *candidates, size_t count)
{
    const struct crn_snap *snap = asker->mark->snap;
    const struct crn_snap_coro *coro = &snap->coros[candidates->coro - 1];
    if (!is_exactly_stopped(coro))
        return;
    struct walk walk = {
        .asker = asker,
        .candidates = candidates,
        .count = count,
        .left = count,
        .frame = coro->stopped,
        .bounds = bounds_find(snap, coro->stopped.sp,
                              (struct crn_stack_bounds){coro->stack_start, coro->stack_end}),
        .is_innermost_asked = true,
    };
    for (unsigned i = 0; i < KEPT && coro->word_count == KEPT; i++)
        walk.locations[i] = (uintptr_t)&snap->words[coro->first_word + i];
    walk_ask(&walk);
}

/* Where the stack ends that a thread stands on. */
static struct crn_stack_bounds thread_bounds(const struct crn_snap *snap, uintptr_t sp)
{
    for (size_t i = 0; i < snap->root_count; i++)
        if (snap->roots[i].kind == CRN_ROOT_STACK && sp >= snap->roots[i].start &&
            sp < snap->roots[i].end)
            return (struct crn_stack_bounds){snap->roots[i].start, snap->roots[i].end};
    for (size_t i = 0; i < snap->coro_count; i++)
        if (snap->coros[i].state == CRN_CORO_RUNNING &&
            sp - snap->coros[i].stack_start < snap->coros[i].stack_end - snap->coros[i].stack_start)
            return (struct crn_stack_bounds){snap->coros[i].stack_start, snap->coros[i].stack_end};
    return (struct crn_stack_bounds){0, 0};
}

/* Candidates of threads: on their stacks, on coroutines that run, and in registers. */
static void threads_ask(struct crn_asker *asker, struct crn_candidate *candidates, size_t count)
{
    const struct crn_snap *snap = asker->mark->snap;
    for (size_t i = 0; i < snap->walk_count; i++) {
        const struct crn_snap_walk *thread = &snap->walks[i];
        struct walk walk = {
            .asker = asker,
            .candidates = candidates,
            .count = count,
            .left = count,
            .frame = thread->frame,
            .bounds = bounds_find(snap, thread->frame.sp, thread_bounds(snap, thread->frame.sp)),
            .is_innermost_asked = thread->registers != NULL,
        };
        size_t on_stack =
            candidate_above(&walk, walk.bounds.end) - candidate_above(&walk, walk.bounds.start);
        uintptr_t registers = (uintptr_t)thread->registers;
        size_t in_registers = candidate_above(&walk, registers + KEPT * sizeof(uintptr_t)) -
                              candidate_above(&walk, registers);
        walk.left = on_stack + (registers != 0 ? in_registers : 0);
        if (walk.bounds.end == 0 || walk.left == 0)
            continue;
        for (unsigned at = 0; at < KEPT && registers != 0; at++)
            walk.locations[at] = (uintptr_t)&thread->registers[at];
        walk_ask(&walk);
    }
}

void crn_asker_ask(struct crn_asker *asker, struct crn_candidate *candidates, size_t count)
{
    const struct crn_snap *snap = asker->mark->snap;
    if (asker->engine == NULL) {
        struct crn_arena *arena = &asker->mark->arena;
        asker->frames = crn_arena_alloc(arena, FACTS * sizeof *asker->frames);
        asker->memos = crn_arena_alloc(arena, MEMOS * sizeof *asker->memos);
        asker->engine = crn_liveness_create(&snap->code);
    }
    if (asker->engine == NULL || asker->frames == NULL || asker->memos == NULL)
        return;
    for (size_t first = 0, end; first < count; first = end) {
        uint32_t coro = candidates[first].coro;
        for (end = first + 1; end < count && candidates[end].coro == coro; end++)
            ;
        crn_sort(candidates + first, end - first, sizeof *candidates, candidate_less);
        if (coro == 0 || snap->coros[coro - 1].state == CRN_CORO_RUNNING)
            threads_ask(asker, candidates + first, end - first);
        else
            coro_ask(asker, candidates + first, end - first);
    }
}

void crn_asker_fini(struct crn_asker *asker)
{
    if (asker->engine != NULL)
        crn_liveness_destroy(asker->engine);
}

bool crn_stale_is_asked(const struct crn_mark *mark)
{
    return mark->snap->asks_stale && mark->earlier == NULL && crn_decoder_is_there() &&
           (mark->snap->walk_count > 0 || mark->snap->coro_count > 0);
}
