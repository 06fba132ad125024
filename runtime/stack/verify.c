/*
 * Compares captured stacks with those of witnesses.  See verify.h.
 */
#include "stack/verify.h"
#include "base/sys.h"
#include "stack/witness.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { DISTINCT_MAX = 256, SHOWN_BEFORE = 3, SHOWN_AFTER = 9, SHOWN = SHOWN_BEFORE + SHOWN_AFTER };

static const char *const reason_names[CRN_VERIFY_REASONS] = {
    [CRN_VERIFY_EQUAL] = "equal",
    [CRN_VERIFY_ENDS_IN_UNKNOWN_CODE] = "ends_in_unknown_code",
    [CRN_VERIFY_ENDS_IN_REGISTERED] = "ends_in_registered_code",
    [CRN_VERIFY_ENDS_BY_REGISTER] = "ends_by_register",
    [CRN_VERIFY_LEFT_THE_STACK] = "left_the_stack",
    [CRN_VERIFY_TOO_DEEP] = "too_deep",
    [CRN_VERIFY_FOLDED] = "folded",
    [CRN_VERIFY_UNKNOWN_TO_LIBUNWIND] = "unknown_to_libunwind",
    [CRN_VERIFY_LIBGCC_AGREES] = "libgcc_agrees",
    [CRN_VERIFY_UNEXPLAINED] = "unexplained",
    [CRN_VERIFY_MEMO_WRONG] = "memo_wrong",
    [CRN_VERIFY_NOT_CAPTURED] = "not_captured",
    [CRN_VERIFY_NO_WITNESS] = "no_witness",
};

/* Return addresses as a witness has them, from `first` on, of a stack of `count` frames. */
struct excerpt {
    uint32_t count;
    uintptr_t pcs[SHOWN];
    char names[SHOWN][48]; /* module+offset, taken at once: modules go away */
};

/* A kind of difference, by where two stacks part. */
struct difference {
    uintptr_t before, ours_pc, theirs_pc;
    enum crn_verify_reason reason;
    uint64_t times;
    uint32_t at; /* the frame where they part, counted from the innermost one */
    int status;  /* libunwind's last word */
    struct excerpt ours, theirs, fresh, libgcc;
};

static uint32_t compare_every; /* 0: off */

/* All guarded by the loader's lock: see verify.h. */
static uint64_t reason_counts[CRN_VERIFY_REASONS];
static uint64_t frame_count, forgotten_count;
static struct difference *differences; /* DISTINCT_MAX of them */
static uint32_t difference_count;
static struct crn_witness_walk ours, theirs, fresh, libgcc;
static uintptr_t fresh_end; /* by what address the rule of the last frame of `fresh` is found */
static unsigned long long unloads_seen;

static _Atomic uint32_t captured_count, under_way;

static bool walk_make(struct crn_witness_walk *walk)
{
    walk->pcs = crn_vm_map(2 * CRN_WITNESS_FRAMES_MAX * sizeof *walk->pcs);
    walk->sps = walk->pcs + CRN_WITNESS_FRAMES_MAX;
    return walk->pcs != NULL;
}

bool crn_verify_start(uint32_t every)
{
    differences = crn_vm_map(DISTINCT_MAX * sizeof *differences);
    if (differences == NULL || !walk_make(&ours) || !walk_make(&theirs) || !walk_make(&fresh) ||
        !walk_make(&libgcc) || !crn_witness_start())
        return false;
    compare_every = every;
    return true;
}

static void ours_fill(const struct crn_verify_case *stack)
{
    ours.count = 0;
    for (uint32_t at = stack->node; at != 0 && ours.count < CRN_WITNESS_FRAMES_MAX;) {
        const struct crn_node *node = crn_tree_node(stack->tree, at);
        ours.pcs[ours.count++] = node->pc;
        at = node->parent;
    }
}

/* By our rules, without a memo. */
static void fresh_fill(const struct crn_verify_case *stack)
{
    struct crn_frame frame = {stack->frame[1], (uintptr_t)(stack->frame + 2), stack->frame[0],
                              false};
    uintptr_t slot, bp_slot;
    fresh.count = 0;
    do {
        fresh.pcs[fresh.count] = frame.pc;
        fresh.sps[fresh.count++] = frame.sp;
    } while (fresh.count < CRN_WITNESS_FRAMES_MAX &&
             crn_frame_step(&frame, stack->bounds, true, &slot, &bp_slot));
    fresh_end = frame.is_exact ? frame.pc : frame.pc - 1;
}

/* `a` is all of `b`, or its inner part. */
static bool is_inner_part_of(const struct crn_witness_walk *a, const struct crn_witness_walk *b)
{
    return a->count <= b->count && memcmp(a->pcs, b->pcs, a->count * sizeof *a->pcs) == 0;
}

static bool is_equal(const struct crn_witness_walk *a, const struct crn_witness_walk *b)
{
    return a->count == b->count && is_inner_part_of(a, b);
}

/* The loader has no unwind information for an address; see rules.h. */
static bool is_unknown_code(uintptr_t address)
{
    uint8_t kind = crn_rule_compile(address).kind;
    return kind == CRN_RULE_NONE || kind == CRN_RULE_FRAME;
}

/*
 * Is `ours` what is left of `theirs` once some parts are taken out, each of which comes after a
 * call and ends with the same one?  Goes from the outermost frames inwards.
 */
static bool is_folded(void)
{
    uint32_t left = ours.count, theirs_left = theirs.count;
    while (left > 0 && theirs_left > 0) {
        uintptr_t pc = ours.pcs[--left];
        if (theirs.pcs[--theirs_left] != pc)
            return false;
        uint32_t last = theirs_left; /* of the frames that were folded into this one */
        while (left > 0 ? last > 0 && theirs.pcs[last - 1] != ours.pcs[left - 1] : last > 0)
            do
                last--;
            while (last > 0 && theirs.pcs[last] != pc);
        if (theirs.pcs[last] != pc)
            return false;
        theirs_left = last;
    }
    return left == 0 && theirs_left == 0;
}

/* A reason that needs no further witness, or UNEXPLAINED. */
static enum crn_verify_reason explain(const struct crn_verify_case *stack, uint32_t at)
{
    bool is_inner_part = at == ours.count, theirs_is_inner_part = at == theirs.count;
    if (is_inner_part && ours.count >= CRN_STACK_DEPTH_MAX / 2)
        return CRN_VERIFY_TOO_DEEP;
    if (is_inner_part &&
        (theirs.sps[at] < stack->bounds.start || theirs.sps[at] > stack->bounds.end))
        return CRN_VERIFY_LEFT_THE_STACK;
    if (is_inner_part && is_unknown_code(fresh_end))
        return crn_witness_knows(fresh_end) ? CRN_VERIFY_UNEXPLAINED
                                            : CRN_VERIFY_ENDS_IN_UNKNOWN_CODE;
    if (is_inner_part && crn_rule_compile(fresh_end).kind == CRN_RULE_ELSEWHERE)
        return CRN_VERIFY_ENDS_BY_REGISTER;
    if (theirs_is_inner_part && is_unknown_code(theirs.pcs[at - 1] - 1) &&
        !crn_witness_knows(theirs.pcs[at - 1] - 1))
        return CRN_VERIFY_UNKNOWN_TO_LIBUNWIND;
    return CRN_VERIFY_UNEXPLAINED;
}

/* The same with what libgcc says. */
static enum crn_verify_reason judge_by_libgcc(uint32_t at)
{
    if (is_equal(&ours, &libgcc))
        return CRN_VERIFY_LIBGCC_AGREES;
    return at == ours.count && is_unknown_code(fresh_end) && is_inner_part_of(&ours, &libgcc)
               ? CRN_VERIFY_ENDS_IN_REGISTERED
               : CRN_VERIFY_UNEXPLAINED;
}

static void place_name(uintptr_t pc, char *name, size_t name_bytes)
{
    struct dl_find_object object;
    if (_dl_find_object((void *)(pc - 1), &object) != 0) {
        snprintf(name, name_bytes, "?+0x%lx", (unsigned long)pc);
        return;
    }
    const char *path = object.dlfo_link_map->l_name;
    const char *slash = strrchr(path, '/');
    snprintf(name, name_bytes, "%.28s+0x%lx",
             *path == 0      ? "exe"
             : slash != NULL ? slash + 1
                             : path,
             (unsigned long)(pc - object.dlfo_link_map->l_addr));
}

static void excerpt_take(struct excerpt *excerpt, const struct crn_witness_walk *walk, uint32_t at)
{
    uint32_t first = at > SHOWN_BEFORE ? at - SHOWN_BEFORE : 0;
    for (uint32_t i = first; i < walk->count && excerpt->count < SHOWN; i++) {
        excerpt->pcs[excerpt->count] = walk->pcs[i];
        place_name(walk->pcs[i], excerpt->names[excerpt->count++], sizeof excerpt->names[0]);
    }
}

static void difference_note(enum crn_verify_reason reason, uint32_t at)
{
    struct difference key = {.before = at > 0 ? ours.pcs[at - 1] : 0,
                             .ours_pc = at < ours.count ? ours.pcs[at] : 0,
                             .theirs_pc = at < theirs.count ? theirs.pcs[at] : 0,
                             .reason = reason};
    for (uint32_t i = 0; i < difference_count; i++) {
        struct difference *known = &differences[i];
        if (known->before == key.before && known->ours_pc == key.ours_pc &&
            known->theirs_pc == key.theirs_pc && known->reason == reason) {
            known->times++;
            return;
        }
    }
    uint32_t index = difference_count;
    if (index == DISTINCT_MAX) {
        /* What is explained makes room for what is not. */
        forgotten_count++;
        while (index > 0 && differences[index - 1].reason >= CRN_VERIFY_LIBGCC_AGREES)
            index--;
        if (index == 0 || reason < CRN_VERIFY_LIBGCC_AGREES)
            return;
        index--;
    } else {
        difference_count++;
    }
    struct difference *difference = &differences[index];
    *difference = key;
    difference->times = 1;
    difference->at = at;
    difference->status = theirs.status;
    excerpt_take(&difference->ours, &ours, at);
    excerpt_take(&difference->theirs, &theirs, at);
    excerpt_take(&difference->fresh, &fresh, at);
    excerpt_take(&difference->libgcc, &libgcc, at);
}

static int compare(struct dl_phdr_info *info, size_t info_bytes, void *argument)
{
    const struct crn_verify_case *stack = argument;
    uint32_t at = 0;
    (void)info_bytes;
    if (info->dlpi_subs != unloads_seen) {
        crn_witness_flush();
        unloads_seen = info->dlpi_subs;
    }
    crn_witness_libunwind(&stack->registers, stack->frame, &theirs);
    ours_fill(stack);
    frame_count += theirs.count;
    if (theirs.count == 0 || ours.count == 0) {
        reason_counts[theirs.count == 0 ? CRN_VERIFY_NO_WITNESS : CRN_VERIFY_NOT_CAPTURED]++;
        return 1;
    }
    while (at < ours.count && at < theirs.count && ours.pcs[at] == theirs.pcs[at])
        at++;
    enum crn_verify_reason reason = CRN_VERIFY_EQUAL;
    if (at < ours.count || at < theirs.count) {
        fresh_fill(stack);
        if (stack->tree->is_folded && is_equal(&fresh, &theirs) && is_folded())
            reason = CRN_VERIFY_FOLDED;
        else
            reason = explain(stack, at);
        if (reason != CRN_VERIFY_TOO_DEEP && reason != CRN_VERIFY_FOLDED &&
            !is_equal(&ours, &fresh))
            reason = CRN_VERIFY_MEMO_WRONG;
        libgcc.count = 0;
        if (reason >= CRN_VERIFY_UNEXPLAINED) {
            crn_witness_libgcc(stack->frame, &libgcc);
            if (reason == CRN_VERIFY_UNEXPLAINED)
                reason = judge_by_libgcc(at);
        }
        difference_note(reason, at);
    }
    reason_counts[reason]++;
    return 1;
}

void crn_verify_stack(const struct crn_verify_case *stack)
{
    uint32_t every = compare_every; /* the end may come meanwhile */
    if (every == 0 || captured_count++ % every != 0)
        return;
    under_way++;
    dl_iterate_phdr(compare, (void *)stack);
    under_way--;
}

void crn_verify_after_fork(void)
{
    if (under_way != 0)
        compare_every = 0; /* who held libunwind's lock is not here */
    memset(reason_counts, 0, sizeof reason_counts);
    frame_count = forgotten_count = 0;
    difference_count = 0;
    captured_count = under_way = 0;
}

struct text {
    char *start;
    size_t used, room;
};

static CRN_PRINTF(2, 3) void text_add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(text->start + text->used, text->room - text->used, format, arguments);
    va_end(arguments);
    text->used += count < 0 ? 0 : (size_t)count;
    if (text->used >= text->room)
        text->used = text->room - 1;
}

static void excerpt_print(struct text *text, const char *name, const struct excerpt *excerpt)
{
    text_add(text, ", \"%s\": [", name);
    for (uint32_t i = 0; i < excerpt->count; i++)
        text_add(text, "%s\"%s\"", i > 0 ? ", " : "", excerpt->names[i]);
    text_add(text, "]");
}

static void object_print(struct text *text)
{
    char exe[256];
    long length = crn_syscall3(SYS_readlink, "/proc/self/exe", exe, sizeof exe - 1);
    exe[length > 0 ? length : 0] = 0;
    text_add(text, "{\"pid\": %d, \"exe\": \"%s\", \"frames\": %lu, \"forgotten\": %lu",
             crn_sys_getpid(), exe, (unsigned long)frame_count, (unsigned long)forgotten_count);
    for (unsigned i = 0; i < CRN_VERIFY_REASONS; i++)
        text_add(text, ", \"%s\": %lu", reason_names[i], (unsigned long)reason_counts[i]);
    text_add(text, ", \"differences\": [");
    for (uint32_t i = 0; i < difference_count; i++) {
        const struct difference *difference = &differences[i];
        text_add(text, "%s{\"reason\": \"%s\", \"times\": %lu, \"at\": %u, \"status\": %d",
                 i > 0 ? ", " : "", reason_names[difference->reason],
                 (unsigned long)difference->times, difference->at, difference->status);
        excerpt_print(text, "ours", &difference->ours);
        excerpt_print(text, "libunwind", &difference->theirs);
        excerpt_print(text, "fresh", &difference->fresh);
        excerpt_print(text, "libgcc", &difference->libgcc);
        text_add(text, "}");
    }
    text_add(text, "]}\n");
}

void crn_verify_end(const char *output)
{
    if (compare_every == 0)
        return;
    compare_every = 0;
    struct text text = {crn_vm_map((size_t)1 << 20), 0, (size_t)1 << 20};
    if (text.start == NULL)
        return;
    object_print(&text);
    int fd = 2;
    if (*output != 0)
        fd = (int)crn_syscall4(SYS_openat, AT_FDCWD, output,
                               O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    crn_sys_write_all(fd, text.start, text.used);
    if (fd > 2)
        crn_syscall1(SYS_close, fd);
}
