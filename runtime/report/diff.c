/*
 * Compares two reports.  See diff.h.
 *
 * Every list is made in the same way: entries of both sides become rows with an id, sorting brings
 * those of one id together, they are added up, and what either side says decides the change.
 */
#include "report/diff.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/sampled.h"
#include "report/words.h"

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

const char *const crn_change_words[CRN_CHANGE_COUNT] = {
    [CRN_CHANGE_NEW] = "new",       [CRN_CHANGE_GONE] = "gone",      [CRN_CHANGE_GROWN] = "grown",
    [CRN_CHANGE_SHRUNK] = "shrunk", [CRN_CHANGE_NONE] = "unchanged",
};

static uint64_t sum(uint64_t a, uint64_t b)
{
    uint64_t both;
    return __builtin_add_overflow(a, b, &both) ? UINT64_MAX : both;
}

static void amount_add(struct crn_amount *to, const struct crn_amount *from)
{
    to->blocks = sum(to->blocks, from->blocks);
    to->bytes = sum(to->bytes, from->bytes);
}

static void amounts_add(struct crn_diff_amounts *to, const struct crn_diff_amounts *from)
{
    to->blocks = sum(to->blocks, from->blocks);
    to->bytes = sum(to->bytes, from->bytes);
    to->indirect_blocks = sum(to->indirect_blocks, from->indirect_blocks);
    to->indirect_bytes = sum(to->indirect_bytes, from->indirect_bytes);
    to->proven_blocks = sum(to->proven_blocks, from->proven_blocks);
    to->entries += from->entries;
    to->variance += from->variance;
}

static uint64_t bytes_of(const struct crn_diff_amounts *amounts)
{
    return sum(amounts->bytes, amounts->indirect_bytes);
}

static uint64_t blocks_of(const struct crn_diff_amounts *amounts)
{
    return sum(amounts->blocks, amounts->indirect_blocks);
}

/* Rows as they are gathered, with room for those of both sides. */
struct gathered {
    struct crn_diff_row *rows;
    size_t count;
};

static void estimate_take(struct crn_diff_amounts *amounts, const struct crn_estimate *estimate)
{
    double samples = estimate->sampled > 0 ? (double)estimate->sampled : 1;
    amounts->blocks = crn_count_of(estimate->blocks + 0.5);
    amounts->bytes = crn_count_of(estimate->bytes + 0.5);
    amounts->variance = estimate->bytes * estimate->bytes / samples;
}

static void leak_gather(struct gathered *gathered, const struct crn_leak *leak, bool is_new)
{
    struct crn_diff_amounts amounts = {.blocks = leak->blocks,
                                       .bytes = leak->bytes,
                                       .indirect_blocks = leak->indirect_blocks,
                                       .indirect_bytes = leak->indirect_bytes,
                                       .entries = 1};
    if (leak->is_sampled && leak->estimate.bytes > (double)leak->bytes)
        estimate_take(&amounts, &leak->estimate);
    if (leak->confidence == CRN_PROVEN)
        amounts.proven_blocks = sum(leak->blocks, leak->indirect_blocks);
    struct crn_diff_row *row = &gathered->rows[gathered->count++];
    *row = (struct crn_diff_row){.id = leak->id, .leak = leak};
    *(is_new ? &row->new : &row->old) = amounts;
}

static uint64_t hash_add(uint64_t hash, const char *text)
{
    for (; text != NULL && *text != 0; text++) /* FNV-1a */
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return (hash ^ 0xff) * 0x100000001b3u;
}

static const char *base_of(const char *path)
{
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    return slash != NULL ? slash + 1 : path;
}

uint64_t crn_coroutine_kind(const struct crn_coroutine *coroutine)
{
    uint64_t hash = hash_add(0xcbf29ce484222325u, coroutine->name);
    hash = hash_add(hash, crn_mechanism_words[coroutine->mechanism]);
    hash = hash_add(hash, crn_coro_state_words[coroutine->state]);
    for (uint32_t i = 0; coroutine->suspended != NULL && i < coroutine->suspended->count; i++) {
        const struct crn_named_frame *frame = coroutine->suspended->frames[i];
        hash = hash_add(hash, frame->function);
        if (frame->function == NULL)
            hash = hash_add(hash, base_of(frame->module)) ^ crn_hash64(frame->offset);
    }
    return hash;
}

static void coroutine_gather(struct gathered *gathered, const struct crn_coroutine *coroutine,
                             bool is_new)
{
    struct crn_diff_row *row = &gathered->rows[gathered->count++];
    *row = (struct crn_diff_row){.id = crn_coroutine_kind(coroutine), .coroutine = coroutine};
    *(is_new ? &row->new : &row->old) = (struct crn_diff_amounts){
        .blocks = coroutine->count, .bytes = coroutine->stack_bytes, .entries = 1};
}

static void live_gather(struct gathered *gathered, const struct crn_live *live, bool is_new)
{
    struct crn_diff_amounts amounts = {.blocks = live->blocks, .bytes = live->bytes, .entries = 1};
    if (live->is_sampled)
        estimate_take(&amounts, &live->estimate);
    struct crn_diff_row *row = &gathered->rows[gathered->count++];
    *row = (struct crn_diff_row){.id = live->id, .live = live};
    *(is_new ? &row->new : &row->old) = amounts;
}

/* Of one id the new ones first, then the biggest: the first row lends its names to all. */
static int row_compare_id(const void *a, const void *b)
{
    const struct crn_diff_row *left = a, *right = b;
    int order = COMPARE(left->id, right->id);
    if (order == 0)
        order = COMPARE(right->new.entries, left->new.entries);
    if (order == 0)
        order = COMPARE(bytes_of(&right->new), bytes_of(&left->new));
    return order != 0 ? order : COMPARE(bytes_of(&right->old), bytes_of(&left->old));
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* By how much a row changed, in what its list is about. */
static uint64_t step_of(const struct crn_diff_row *row)
{
    return row->coroutine != NULL ? distance(row->new.blocks, row->old.blocks)
                                  : distance(bytes_of(&row->new), bytes_of(&row->old));
}

static int row_compare_change(const void *a, const void *b)
{
    const struct crn_diff_row *left = a, *right = b;
    int order = COMPARE(left->change, right->change);
    if (order == 0)
        order = COMPARE(step_of(right), step_of(left));
    if (order == 0)
        order = COMPARE(blocks_of(&right->new), blocks_of(&left->new));
    return order != 0 ? order : COMPARE(left->id, right->id);
}

static enum crn_change change_of(const struct crn_diff_row *row)
{
    uint64_t old = bytes_of(&row->old), new = bytes_of(&row->new);
    if (row->old.entries == 0)
        return CRN_CHANGE_NEW;
    if (row->new.entries == 0)
        return CRN_CHANGE_GONE;
    double variance = row->old.variance + row->new.variance;
    if (variance > 0 && (double)distance(old, new) <= 2 * sqrt(variance))
        return CRN_CHANGE_NONE;
    if (row->coroutine != NULL || old == new) {
        old = blocks_of(&row->old);
        new = blocks_of(&row->new);
    }
    return new > old ? CRN_CHANGE_GROWN : new < old ? CRN_CHANGE_SHRUNK : CRN_CHANGE_NONE;
}

static struct crn_diff_list list_make(struct gathered *gathered)
{
    struct crn_diff_list list = {.rows = gathered->rows};
    if (gathered->count == 0)
        return list;
    qsort(list.rows, gathered->count, sizeof *list.rows, row_compare_id);
    for (size_t i = 0; i < gathered->count; i++) {
        struct crn_diff_row *last = list.count > 0 ? &list.rows[list.count - 1] : NULL;
        if (last == NULL || last->id != gathered->rows[i].id) {
            list.rows[list.count++] = gathered->rows[i];
            continue;
        }
        amounts_add(&last->old, &gathered->rows[i].old);
        amounts_add(&last->new, &gathered->rows[i].new);
    }
    for (size_t i = 0; i < list.count; i++) {
        struct crn_diff_row *row = &list.rows[i];
        row->change = change_of(row);
        row->is_proven = row->new.proven_blocks > 0 && row->old.proven_blocks == 0;
        row->is_likely =
            row->leak != NULL && row->change == CRN_CHANGE_NEW && row->new.proven_blocks == 0;
        list.counts[row->change]++;
    }
    qsort(list.rows, list.count, sizeof *list.rows, row_compare_change);
    return list;
}

const struct crn_diff_row *crn_diff_rows(const struct crn_diff_list *list, enum crn_change change)
{
    size_t at = 0;
    for (unsigned i = 0; i < change; i++)
        at += list->counts[i];
    return list->rows != NULL ? list->rows + at : NULL;
}

/* The lists of a program, as they are gathered. */
struct lists {
    struct gathered leaks, coroutines, live;
};

static void rows_gather(const struct crn_diff_side *side, struct lists *lists, bool is_new)
{
    for (size_t i = 0; i < side->count; i++) {
        const struct crn_process *process = side->processes[i];
        if (!process->is_checked)
            continue;
        for (size_t j = 0; j < process->leaks_count; j++)
            leak_gather(&lists->leaks, &process->leaks[j], is_new);
        for (size_t j = 0; j < process->coroutines_count; j++)
            coroutine_gather(&lists->coroutines, &process->coroutines[j], is_new);
        for (size_t j = 0; j < process->live_rows_count; j++)
            live_gather(&lists->live, &process->live_rows[j], is_new);
    }
}

/* Sums a side up, and counts its rows in `lists`. */
static void side_sum(struct crn_diff_side *side, struct lists *lists)
{
    side->has_coroutines = side->has_live = true;
    for (size_t i = 0; i < side->count; i++) {
        const struct crn_process *process = side->processes[i];
        if (!process->is_checked)
            continue;
        uint64_t listed = 0;
        lists->leaks.count += process->leaks_count;
        lists->coroutines.count += process->coroutines_count;
        lists->live.count += process->live_rows_count;
        side->checked_count++;
        amount_add(&side->leaked, &process->leaked);
        amount_add(&side->likely, &process->likely);
        amount_add(&side->live, &process->live);
        for (unsigned state = 0; state < CRN_CORO_STATE_COUNT; state++)
            if (state != CRN_CORO_DESTROYED)
                listed = sum(listed, process->coroutines_by_state[state]);
        side->coroutines = sum(side->coroutines, listed);
        side->resurrected = sum(side->resurrected, process->coroutines_resurrected);
        side->has_coroutines &= listed == 0 || process->coroutines_count > 0;
        side->has_live &= process->has_live;
        side->is_partial |= process->sample_bytes != 0 || process->leaks_left_out > 0;
    }
}

static void room_make(struct crn_store *store, struct gathered *gathered)
{
    gathered->rows = crn_store_bytes(store, gathered->count * sizeof *gathered->rows);
    gathered->count = 0;
}

/* Fills in what two sides, whose processes are known, come to. */
static void program_compare(struct crn_store *store, struct crn_diff_program *program)
{
    struct lists lists = {0};
    side_sum(&program->old, &lists);
    side_sum(&program->new, &lists);
    program->is_compared = (program->old.checked_count > 0 || program->old.count == 0) &&
                           (program->new.checked_count > 0 || program->new.count == 0);
    if (!program->is_compared)
        return;
    program->has_coroutines = program->old.has_coroutines && program->new.has_coroutines;
    program->has_live = program->old.has_live && program->new.has_live;
    room_make(store, &lists.leaks);
    room_make(store, &lists.coroutines);
    room_make(store, &lists.live);
    rows_gather(&program->old, &lists, false);
    rows_gather(&program->new, &lists, true);
    program->leaks = list_make(&lists.leaks);
    if (program->has_coroutines)
        program->coroutines = list_make(&lists.coroutines);
    if (program->has_live)
        program->live = list_make(&lists.live);
}

/* A process on its way to a program. */
struct seat {
    const struct crn_process *process;
    uint64_t key; /* of what it is recognised by in this turn */
    bool is_new;
};

struct matcher {
    struct crn_store *store;
    struct crn_diff *diff;
    struct seat *seats;
    size_t count;
};

static int seat_compare(const void *a, const void *b)
{
    const struct seat *left = a, *right = b;
    int order = COMPARE(left->key, right->key);
    if (order == 0)
        order = COMPARE(left->is_new, right->is_new);
    return order != 0 ? order : COMPARE(left->process->pid, right->process->pid);
}

/* What a process is recognised by: everything, then ever less. */
enum turn { BY_ARGUMENTS, BY_NAME_AND_ARGUMENTS, BY_NAME, TURNS_COUNT };

static uint64_t seat_key(const struct crn_process *process, enum turn turn)
{
    uint64_t key =
        hash_add(0xcbf29ce484222325u, turn == BY_ARGUMENTS ? process->exe : base_of(process->exe));
    for (uint32_t i = turn == BY_ARGUMENTS ? 0 : 1; turn != BY_NAME && i < process->argc; i++)
        key = hash_add(key, process->argv[i]);
    return key;
}

static struct crn_diff_side side_make(const struct matcher *matcher, const struct seat *seats,
                                      size_t count)
{
    const struct crn_process **processes =
        crn_store_bytes(matcher->store, (count + 1) * sizeof(struct crn_process *));
    for (size_t i = 0; i < count; i++)
        processes[i] = seats[i].process;
    return (struct crn_diff_side){.processes = processes, .count = count};
}

static void program_add(struct matcher *matcher, const struct seat *old, size_t old_count,
                        const struct seat *new, size_t new_count)
{
    struct crn_diff_program *program = &matcher->diff->programs[matcher->diff->count++];
    program->old = side_make(matcher, old, old_count);
    program->new = side_make(matcher, new, new_count);
    program_compare(matcher->store, program);
    matcher->diff->compared_count +=
        program->is_compared && (program->old.count > 0 || program->new.count > 0);
}

/* Takes the processes of one program that both sides have: old ones, then new ones. */
static void seats_take(struct matcher *matcher, const struct seat *seats, size_t old_count,
                       size_t new_count)
{
    const struct seat *new = seats + old_count;
    bool are_same = old_count == new_count;
    for (size_t i = 0; are_same && i < old_count; i++)
        are_same = seats[i].process->pid == new[i].process->pid;
    if (!are_same) {
        program_add(matcher, seats, old_count, new, new_count);
        return;
    }
    for (size_t i = 0; i < old_count; i++)
        program_add(matcher, seats + i, 1, new + i, 1);
}

/* Takes every program that both sides have, as this turn recognises them; keeps the other seats. */
static void turn_take(struct matcher *matcher, enum turn turn)
{
    size_t kept = 0;
    for (size_t i = 0; i < matcher->count; i++)
        matcher->seats[i].key = seat_key(matcher->seats[i].process, turn);
    qsort(matcher->seats, matcher->count, sizeof *matcher->seats, seat_compare);
    for (size_t from = 0, to; from < matcher->count; from = to) {
        size_t old_count = 0;
        for (to = from; to < matcher->count && matcher->seats[to].key == matcher->seats[from].key;
             to++)
            old_count += !matcher->seats[to].is_new;
        if (old_count > 0 && old_count < to - from) {
            seats_take(matcher, matcher->seats + from, old_count, to - from - old_count);
            continue;
        }
        memmove(matcher->seats + kept, matcher->seats + from, (to - from) * sizeof *matcher->seats);
        kept += to - from;
    }
    matcher->count = kept;
}

/* Two that are left over are compared; otherwise each is new, or gone. */
static void rest_take(struct matcher *matcher)
{
    const struct seat *seats = matcher->seats;
    if (matcher->count == 2 && seats[0].is_new != seats[1].is_new) {
        const struct seat *old = &seats[seats[0].is_new], *new = &seats[!seats[0].is_new];
        program_add(matcher, old, 1, new, 1);
        return;
    }
    for (size_t i = 0; i < matcher->count; i++)
        program_add(matcher, &seats[i], !seats[i].is_new, &seats[i], seats[i].is_new);
}

/* Those of the new report in its order, then what is gone. */
static int program_compare_order(const void *a, const void *b)
{
    const struct crn_diff_program *left = a, *right = b;
    int order = COMPARE(left->new.count == 0, right->new.count == 0);
    if (order == 0 && left->new.count > 0)
        order = COMPARE((uintptr_t)left->new.processes[0], (uintptr_t)right->new.processes[0]);
    if (order == 0 && left->new.count == 0)
        order = COMPARE((uintptr_t)left->old.processes[0], (uintptr_t)right->old.processes[0]);
    return order;
}

struct crn_diff *crn_diff_make(struct crn_store *store, const struct crn_report *old,
                               const struct crn_report *new)
{
    size_t count = old->processes_count + new->processes_count;
    struct crn_diff *diff = crn_store_bytes(store, sizeof *diff);
    struct matcher matcher = {store, diff,
                              crn_store_bytes(store, (count + 1) * sizeof(struct seat)), count};
    diff->store = store;
    diff->programs = crn_store_bytes(store, (count + 1) * sizeof *diff->programs);
    for (size_t i = 0; i < old->processes_count; i++)
        matcher.seats[i] = (struct seat){&old->processes[i], 0, false};
    for (size_t i = 0; i < new->processes_count; i++)
        matcher.seats[old->processes_count + i] = (struct seat){&new->processes[i], 0, true};
    for (unsigned turn = 0; turn < TURNS_COUNT; turn++)
        turn_take(&matcher, turn);
    rest_take(&matcher);
    qsort(diff->programs, diff->count, sizeof *diff->programs, program_compare_order);
    return diff;
}

struct crn_diff_program *crn_diff_processes(struct crn_store *store, const struct crn_process *old,
                                            const struct crn_process *new)
{
    struct crn_diff_program *program = crn_store_bytes(store, sizeof *program);
    const struct crn_process **processes = crn_store_bytes(store, 2 * sizeof *processes);
    processes[0] = old;
    processes[1] = new;
    program->old = (struct crn_diff_side){.processes = processes, .count = 1};
    program->new = (struct crn_diff_side){.processes = processes + 1, .count = 1};
    program_compare(store, program);
    return program;
}

static uint64_t proven_blocks(const struct crn_diff_side *side)
{
    return side->leaked.blocks -
           (side->likely.blocks < side->leaked.blocks ? side->likely.blocks : side->leaked.blocks);
}

static bool program_is_worse(const struct crn_diff_program *program, bool strict)
{
    if (program->old.is_partial && proven_blocks(&program->new) <= proven_blocks(&program->old) &&
        (!strict || program->new.leaked.blocks <= program->old.leaked.blocks))
        return false;
    for (size_t i = 0; i < program->leaks.count; i++) {
        const struct crn_diff_row *row = &program->leaks.rows[i];
        bool counts = !row->leak->is_unjudged;
        if (counts && (row->is_proven || (strict && row->is_likely)))
            return true;
    }
    return false;
}

bool crn_diff_is_worse(const struct crn_diff *diff, bool strict)
{
    for (size_t i = 0; i < diff->count; i++)
        if (program_is_worse(&diff->programs[i], strict))
            return true;
    return false;
}

bool crn_diff_has_doubled(const struct crn_diff_row *row)
{
    return row->coroutine != NULL && row->change <= CRN_CHANGE_GROWN && row->new.entries > 0 &&
           row->new.blocks / 2 >= row->old.blocks && row->new.blocks - row->old.blocks >= 2;
}
