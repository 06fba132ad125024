/*
 * Chains: the shortest way from a root to what a dead coroutine left.
 *
 * The live flood keeps no parents; leaks are few.  When one needs a chain, this walks live memory
 * again, breadth first, with a parent for each block it meets, until every stack that is asked
 * for was met.  A live coroutine on the way is a step of its own.
 */
#include "mark/flood.h"

#include <string.h>

enum { ROWS_AHEAD = 12 }; /* how long before its turn a block is asked for from memory */

/* One thing that was reached: a block, a coroutine's body, or a root. */
struct visited {
    uintptr_t start; /* of the block; 0: a root or a body */
    uintptr_t word;  /* the address of the word that led here */
    uint32_t parent; /* row of what that word lies in */
    uint32_t root;   /* index + 1 */
    uint32_t coro;   /* index + 1, of a body */
};

struct trace {
    struct crn_scan scan; /* first */
    struct crn_mark *mark;
    struct crn_span rows;
    size_t count, done;
    uint32_t current;      /* row being scanned */
    uint8_t *coro_visited; /* by number of a coroutine */
    uint32_t *row_of_coro; /* dead ones: the row whose word hit it, + 1 */
    uintptr_t *word_of_coro;
    uintptr_t region, region_bytes;
    size_t wanted_left;
    size_t rows_max;
    uint64_t wanted_filter; /* a bit for each block that is asked for, by a hash of its start */
    size_t block_count;
    struct wanted_block {
        uintptr_t start;
        uint32_t row; /* whose word hit it, + 1 */
        uintptr_t word;
    } blocks[CRN_TRACE_BLOCKS_MAX];
};

static uint64_t filter_bit(uintptr_t start)
{
    return (uint64_t)1 << (start >> 4) % 61;
}

/* A block was met for the first time, by the word at `address`. */
static void block_meet(struct trace *trace, uintptr_t start, uintptr_t address)
{
    for (size_t i = 0; i < trace->block_count; i++) {
        struct wanted_block *block = &trace->blocks[i];
        if (block->start != start || block->row != 0)
            continue;
        block->row = trace->current + 1;
        block->word = address;
        trace->wanted_left--;
    }
}

static struct visited *row_at(const struct trace *trace, size_t row)
{
    return (struct visited *)trace->rows.base + row;
}

static void row_add(struct trace *trace, struct visited row)
{
    if (trace->count < trace->rows_max &&
        crn_span_ensure(&trace->rows, (trace->count + 1) * sizeof row))
        *row_at(trace, trace->count++) = row;
}

static void coro_meet(struct trace *trace, uint32_t index, uintptr_t address)
{
    const struct crn_snap *snap = trace->mark->snap;
    if (trace->coro_visited[index] == 1)
        return;
    if (index >= snap->coro_count || snap->coros[index].state == CRN_CORO_COMPLETED ||
        snap->coros[index].state == CRN_CORO_CANCELLED) {
        trace->wanted_left -= trace->coro_visited[index] == 2;
        trace->row_of_coro[index] = trace->current + 1;
        trace->word_of_coro[index] = address;
    }
    if (index < snap->coro_count && trace->mark->coro_reached[index] &&
        !snap->coros[index].never_goes_on) {
        row_add(trace, (struct visited){0, address, trace->current, 0, index + 1});
    }
    trace->coro_visited[index] = 1;
}

static void trace_reach(struct crn_scan *scan, uint32_t coro, uintptr_t address)
{
    coro_meet((struct trace *)scan, coro, address);
}

static void trace_visit(struct crn_scan *scan, uintptr_t word, uintptr_t address)
{
    struct trace *trace = (struct trace *)scan;
    struct crn_mark *mark = trace->mark;
    struct crn_target target;
    if (word - trace->region >= trace->region_bytes && mark->snap->opaque_count == 0 &&
        mark->snap->outside_count == 0)
        return;
    /* A coroutine's stack lies in a block that is special, or in none. */
    bool is_found = crn_target_find(mark, word, &target);
    uint32_t coro = !is_found || (mark->colours[target.slot] & CRN_COLOUR_SPECIAL) != 0
                        ? crn_word_coro(mark, word)
                        : 0;
    if (coro != 0)
        coro_meet(trace, coro - 1, address);
    if (!is_found)
        return;
    uint32_t frame = (mark->colours[target.slot] & CRN_COLOUR_FRAME) != 0
                         ? crn_frame_find(mark->snap, target.start)
                         : 0;
    if (frame != 0)
        coro_meet(trace, (uint32_t)mark->snap->coro_count + frame - 1, address);
    if ((mark->colours[target.slot] & CRN_COLOUR_TRACED) != 0 ||
        (mark->colours[target.slot] & CRN_COLOUR_MASK) != CRN_COLOUR_VERDICT + CRN_VERDICT_LIVE)
        return;
    mark->colours[target.slot] |= CRN_COLOUR_TRACED;
    if ((trace->wanted_filter & filter_bit(target.start)) != 0)
        block_meet(trace, target.start, address);
    row_add(trace, (struct visited){target.start, address, trace->current, 0, 0});
}

static void row_scan(struct trace *trace, size_t row)
{
    struct visited visited = *row_at(trace, row);
    struct crn_target target;
    trace->current = (uint32_t)row;
    if (visited.root != 0)
        crn_scan_root(&trace->scan, &trace->mark->snap->roots[visited.root - 1]);
    else if (visited.coro != 0)
        crn_scan_body(&trace->scan, visited.coro - 1);
    else if (crn_target_find(trace->mark, visited.start, &target))
        crn_scan_block(&trace->scan, target.start, target.bytes);
}

/*
 * The steps from a root to a word that lies in what `row` - 1 is.  Of a long list the steps in the
 * middle are left out.
 */
static unsigned steps_collect(const struct trace *trace, uint32_t last_row, uintptr_t word,
                              struct crn_chain_step *steps)
{
    enum { END_STEPS = CRN_CHAIN_STEPS_MAX / 2, BEGIN_STEPS = CRN_CHAIN_STEPS_MAX - END_STEPS };
    struct crn_chain_step end[END_STEPS], begin[BEGIN_STEPS]; /* both backwards; begin: a ring */
    uint32_t count = 0;
    if (last_row == 0)
        return 0;
    for (size_t row = last_row - 1;;) {
        const struct visited *visited = row_at(trace, row);
        const struct crn_chain_step step = {word, visited->start, visited->root, visited->coro, 0};
        if (count < END_STEPS)
            end[count] = step;
        else
            begin[(count - END_STEPS) % BEGIN_STEPS] = step;
        count++;
        if (visited->root != 0)
            break;
        word = visited->word;
        if (visited->word == 0)
            break; /* a running coroutine: a root by itself */
        row = visited->parent;
    }
    uint32_t kept = count < CRN_CHAIN_STEPS_MAX ? count : CRN_CHAIN_STEPS_MAX;
    for (uint32_t i = 0; i < kept; i++) {
        uint32_t from_end = i < BEGIN_STEPS && count > END_STEPS ? count - 1 - i : kept - 1 - i;
        bool is_begin = from_end >= END_STEPS;
        steps[i] = is_begin ? begin[(from_end - END_STEPS) % BEGIN_STEPS] : end[from_end];
    }
    if (count > kept)
        steps[BEGIN_STEPS].skipped = count - kept;
    return kept;
}

/* Prepares a walk that starts from all roots; false: no memory. */
static bool trace_begin(struct trace *trace)
{
    struct crn_mark *mark = trace->mark;
    const struct crn_snap *snap = mark->snap;
    trace->region = snap->heap->index.base;
    trace->region_bytes = mark->pages << CRN_PAGE_SHIFT;
    size_t coro_room = snap->coro_count + snap->frame_count + 1;
    trace->coro_visited = crn_arena_alloc(&mark->arena, coro_room);
    trace->row_of_coro = crn_arena_alloc(&mark->arena, coro_room * sizeof *trace->row_of_coro);
    trace->word_of_coro = crn_arena_alloc(&mark->arena, coro_room * sizeof *trace->word_of_coro);
    size_t rows = snap->root_count + mark->slot_count + snap->coro_count + 1;
    if (trace->rows_max == 0 || trace->rows_max > rows)
        trace->rows_max = rows;
    if (mark->arena.exhausted || !crn_span_init_passing(&trace->rows, rows * sizeof(struct visited)))
        return false;
    /* Variables before stacks and stacks before other memory: the chain people understand. */
    static const uint8_t order[] = {CRN_ROOT_GLOBAL,  CRN_ROOT_TLS,    CRN_ROOT_STACK,
                                    CRN_ROOT_REGION,  CRN_ROOT_KERNEL, CRN_ROOT_MAPPING,
                                    CRN_ROOT_REGISTER};
    for (unsigned kind = 0; kind < CRN_COUNT_OF(order); kind++)
        for (size_t i = 0; i < snap->root_count; i++)
            if (snap->roots[i].kind == order[kind])
                row_add(trace, (struct visited){0, 0, 0, (uint32_t)i + 1, 0});
    return true;
}

/* Walks until everything that was asked for is found. */
static void trace_run(struct trace *trace)
{
    const struct crn_snap *snap = trace->mark->snap;
    for (uint32_t i = 0; i < snap->coro_count; i++) {
        if (snap->coros[i].is_root && trace->coro_visited[i] == 0) {
            row_add(trace, (struct visited){0, 0, 0, 0, i + 1});
            trace->coro_visited[i] = 1;
        }
    }
    for (; trace->done < trace->count && trace->wanted_left > 0; trace->done++) {
        if (trace->done + ROWS_AHEAD < trace->count) {
            const char *ahead = (const char *)row_at(trace, trace->done + ROWS_AHEAD)->start;
            __builtin_prefetch(ahead);
            __builtin_prefetch(ahead + 64);
        }
        row_scan(trace, trace->done);
    }
}

/* So that another walk finds it all again. */
static void trace_end(struct trace *trace)
{
    for (size_t i = 0; i < trace->mark->slot_count; i++)
        trace->mark->colours[i] &= (uint8_t)~CRN_COLOUR_TRACED;
    crn_span_fini(&trace->rows);
}

void crn_mark_trace(struct crn_mark *mark, const uint32_t *coros, size_t count,
                    struct crn_chain_step (*steps)[CRN_CHAIN_STEPS_MAX], unsigned *step_counts)
{
    struct trace trace = {.scan = {.mark = mark, .visit = trace_visit, .reach = trace_reach},
                          .mark = mark};
    memset(step_counts, 0, count * sizeof *step_counts);
    if (!trace_begin(&trace))
        return;
    for (size_t i = 0; i < count; i++) {
        trace.wanted_left += trace.coro_visited[coros[i]] == 0;
        trace.coro_visited[coros[i]] = 2; /* asked for, not met */
    }
    trace_run(&trace);
    for (size_t i = 0; i < count; i++)
        step_counts[i] = steps_collect(&trace, trace.row_of_coro[coros[i]],
                                       trace.word_of_coro[coros[i]], steps[i]);
    trace_end(&trace);
}

void crn_mark_trace_blocks(struct crn_mark *mark, const uintptr_t *addresses, size_t count,
                           size_t rows_max, struct crn_chain_step (*steps)[CRN_CHAIN_STEPS_MAX],
                           unsigned *step_counts)
{
    struct trace trace = {.scan = {.mark = mark, .visit = trace_visit, .reach = trace_reach},
                          .mark = mark,
                          .rows_max = rows_max,
                          .block_count = count};
    struct crn_target target;
    memset(step_counts, 0, count * sizeof *step_counts);
    for (size_t i = 0; i < count; i++) {
        if (!crn_target_cover(mark, addresses[i], &target))
            continue;
        trace.blocks[i].start = target.start;
        trace.wanted_filter |= filter_bit(target.start);
        trace.wanted_left++;
    }
    if (trace.wanted_left == 0 || !trace_begin(&trace))
        return;
    trace_run(&trace);
    for (size_t i = 0; i < count; i++)
        step_counts[i] = steps_collect(&trace, trace.blocks[i].row, trace.blocks[i].word, steps[i]);
    trace_end(&trace);
}

unsigned crn_mark_trace_block(struct crn_mark *mark, uintptr_t address,
                              struct crn_chain_step steps[CRN_CHAIN_STEPS_MAX])
{
    unsigned count;
    crn_mark_trace_blocks(mark, &address, 1, 0,
                          (struct crn_chain_step(*)[CRN_CHAIN_STEPS_MAX])steps, &count);
    return count;
}
