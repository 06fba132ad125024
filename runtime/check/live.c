/*
 * The heap that is not leaked.  See live.h.
 *
 *     index --pass 1--> sums by node --the most bytes--> rows --pass 2--> ages, cells --> growth
 */
#include "check/live.h"
#include "check/chains.h"
#include "check/growth.h"
#include "check/host.h"
#include "base/sort.h"
#include "base/sys.h"
#include "mark/flood.h"
#include "stack/sample.h"
#include "stack/tree.h"

/* Of all blocks of a stack. */
struct sum {
    uint64_t blocks, bytes;
    uint32_t node;
    uint32_t row; /* in `rows` + 1; 0: it is one of the rest */
};

/* What is known of the blocks of a stack, beside its sum. */
struct row {
    struct crn_record_live record;
    uint32_t node;
    double squares;     /* of sizes */
    double *bytes;      /* by cell, as far as samples stand for it */
    uint32_t *blocks;   /* by cell */
    uintptr_t *example; /* by cell: one of the blocks; 0: there is none */
    uint64_t freed;     /* blocks of the stack that are gone, and nobody's since */
};

struct live {
    struct crn_mark *mark;
    struct crn_arena arena;
    struct crn_growth_scale *scale;
    uint16_t *cell_of_stamp; /* cell << 4 | age of the printed histogram */
    struct crn_span sums;    /* struct sum; the first is of no stack */
    size_t sum_count;
    uint32_t *sum_of_node; /* + 1 */
    size_t nodes;
    struct row *rows; /* the first is of no stack, and takes what is left */
    uint32_t row_count;
    uint64_t now_ns;
    uint64_t weight_size; /* see weight_of */
    double weight;
    bool is_out_of_memory;
};

typedef void visit_block(struct live *live, const struct crn_record *record, uintptr_t start,
                         size_t size);

struct visiting {
    struct live *live;
    visit_block *visit;
};

static bool is_counted(const struct crn_mark *mark, crn_slot slot)
{
    return (mark->colours[slot] & (CRN_COLOUR_MASK | CRN_COLOUR_FOREIGN)) ==
           CRN_COLOUR_VERDICT + CRN_VERDICT_LIVE;
}

static bool inside_visit(const struct crn_block *block, void *user)
{
    struct visiting *visiting = user;
    const struct crn_mark *mark = visiting->live->mark;
    if (is_counted(mark, (crn_slot)(block->record - mark->snap->heap->index.records)))
        visiting->visit(visiting->live, block->record, block->start, block->size);
    return true;
}

static void blocks_visit(struct live *live, visit_block *visit)
{
    struct visiting visiting = {live, visit};
    const struct crn_mark *mark = live->mark;
    const struct crn_snap *snap = mark->snap;
    crn_index_for_each(&snap->heap->index, snap->heap_end, inside_visit, &visiting);
    for (size_t i = 0; i < snap->outside_count; i++)
        if (is_counted(mark, (crn_slot)(mark->record_count + i)))
            visit(live, &snap->outside[i].record, snap->outside[i].start, snap->outside[i].size);
}

/*
 * First pass.
 */

static struct sum *sum_at(const struct live *live, size_t index)
{
    return (struct sum *)live->sums.base + index;
}

static void sum_add(struct live *live, const struct crn_record *record, uintptr_t start,
                    size_t size)
{
    uint32_t node = record->stack < live->nodes ? record->stack : 0;
    (void)start;
    if (live->sum_of_node[node] == 0) {
        if (!crn_span_ensure(&live->sums, (live->sum_count + 1) * sizeof(struct sum))) {
            live->is_out_of_memory = true;
            return;
        }
        sum_at(live, live->sum_count)->node = node;
        live->sum_of_node[node] = (uint32_t)++live->sum_count;
    }
    struct sum *sum = sum_at(live, live->sum_of_node[node] - 1);
    sum->blocks++;
    sum->bytes += size;
}

/*
 * Ages.
 */

static double seconds_of(uint64_t ns)
{
    return (double)ns / 1e9;
}

static unsigned age_of(double seconds)
{
    unsigned age = 0;
    while (age < CRN_AGE_COUNT - 1 && seconds > (double)crn_age_up_to_s(age))
        age++;
    return age;
}

static void birth_enter(void *user, uint64_t birth, uint32_t stamp)
{
    struct live *live = user;
    struct crn_heap *heap = live->mark->snap->heap;
    struct crn_birth_span span = crn_birth_time(heap, birth);
    if (span.to_ns > live->now_ns)
        span.to_ns = live->now_ns;
    if (span.from_ns > span.to_ns)
        span.from_ns = span.to_ns;
    double young_s = seconds_of(live->now_ns - span.to_ns);
    double old_s = seconds_of(live->now_ns - span.from_ns);
    unsigned cell =
        crn_growth_scale_add(live->scale, young_s, old_s, (double)crn_birth_level(heap, birth));
    live->cell_of_stamp[stamp] = (uint16_t)(cell << 4 | age_of((young_s + old_s) / 2));
}

/*
 * Second pass.
 */

/* e to the power of -x, for x >= 0: by the square of its square's root. */
static double fall_of(double x)
{
    unsigned halvings = 0;
    if (x > 40)
        return 0;
    for (; x > 0.01; x /= 2)
        halvings++;
    double fall = 1 - x * (1 - x / 2 * (1 - x / 3));
    for (; halvings > 0; halvings--)
        fall *= fall;
    return fall;
}

/* What a sampled block of this size stands for (stack/sample.h). */
static double weight_of(struct live *live, size_t size)
{
    uint64_t mean = crn_host.options->sample_bytes;
    if (crn_host.options->stacks != CRN_STACKS_SAMPLED || mean <= 1)
        return 1;
    if (size != live->weight_size || live->weight == 0) {
        live->weight_size = size;
        double x = (double)crn_sample_span(size) / (double)mean;
        live->weight = x < 1e-6 ? 1 / x : 1 / (1 - fall_of(x));
    }
    return live->weight;
}

static void row_add(struct live *live, const struct crn_record *record, uintptr_t start,
                    size_t size)
{
    uint32_t node = record->stack < live->nodes ? record->stack : 0;
    uint32_t index = sum_at(live, live->sum_of_node[node] - 1)->row;
    struct row *row = &live->rows[index > 0 ? index - 1 : 0];
    uint16_t cell_age = live->cell_of_stamp[crn_meta_stamp(record->meta)];
    unsigned cell = cell_age >> 4;
    double weight = index > 1 ? weight_of(live, size) : 1;
    struct crn_record_age *age = &row->record.ages[cell_age & 15];
    row->record.blocks++;
    row->record.bytes += size;
    age->blocks++;
    age->bytes += size;
    row->squares += (double)size * (double)size;
    row->bytes[cell] += weight * (double)size;
    row->blocks[cell]++;
    if (index > 1 && crn_host.options->stacks == CRN_STACKS_SAMPLED) {
        /* Sums of what is no whole number: in 1/256, until they are rounded. */
        row->record.estimated_blocks += (uint64_t)(weight * 256);
        row->record.estimated_bytes += (uint64_t)(weight * (double)size);
    }
    if (row->example[cell] == 0)
        row->example[cell] = start;
}

/*
 * Rows.
 */

static bool has_more_bytes(const void *a, const void *b)
{
    return ((const struct sum *)a)->bytes > ((const struct sum *)b)->bytes;
}

static bool row_make(struct live *live, uint32_t node)
{
    struct row *row = &live->rows[live->row_count++];
    unsigned cells = live->scale->count;
    row->node = node;
    row->bytes = crn_arena_alloc(&live->arena, cells * sizeof *row->bytes);
    row->blocks = crn_arena_alloc(&live->arena, cells * sizeof *row->blocks);
    row->example = crn_arena_alloc(&live->arena, cells * sizeof *row->example);
    return !live->arena.exhausted;
}

/* Chooses the stacks that get a row; false: no memory. */
static bool rows_choose(struct live *live)
{
    size_t room = live->sum_count < CRN_LIVE_ROWS_MAX ? live->sum_count : CRN_LIVE_ROWS_MAX;
    live->rows = crn_arena_alloc(&live->arena, (room + 1) * sizeof *live->rows);
    if (live->rows == NULL || !row_make(live, 0))
        return false;
    crn_sort(live->sums.base, live->sum_count, sizeof(struct sum), has_more_bytes);
    for (size_t i = 0; i < live->sum_count; i++) {
        struct sum *sum = sum_at(live, i);
        live->sum_of_node[sum->node] = (uint32_t)i + 1;
        if (sum->node == 0 || live->row_count > CRN_LIVE_ROWS_MAX)
            continue;
        if (!row_make(live, sum->node))
            return false;
        sum->row = live->row_count;
    }
    return true;
}

static struct crn_growth row_judge(const struct live *live, const struct row *row)
{
    double bytes = (double)row->record.bytes;
    struct crn_growth_rows rows = {
        row->bytes, row->blocks,
        row->squares > 0 ? bytes * bytes / (row->squares * (double)row->record.blocks) : 1};
    return crn_growth_judge(live->scale, &rows);
}

static void row_fill(struct row *row, const struct crn_growth *growth)
{
    row->record.shape = growth->shape;
    row->record.bytes_per_hour =
        growth->bytes_per_s >= 0 ? (uint64_t)(growth->bytes_per_s * 3600) : UINT64_MAX;
    row->record.since_ns = growth->since_s >= 0 ? (uint64_t)(growth->since_s * 1e9) : UINT64_MAX;
    row->record.retained_bytes = UINT64_MAX;
    row->record.estimated_blocks = (row->record.estimated_blocks + 128) / 256;
}

/* A record says of a freed block what it was, until another block takes its place. */
static void freed_count(struct live *live)
{
    const struct crn_index *index = &live->mark->snap->heap->index;
    for (uint32_t i = 1; i < index->records_made; i++) {
        const struct crn_record *record = &index->records[i];
        if (record->meta == 0 || crn_record_is_live(record) || record->stack >= live->nodes ||
            live->sum_of_node[record->stack] == 0)
            continue;
        uint32_t row = sum_at(live, live->sum_of_node[record->stack] - 1)->row;
        if (row > 1)
            live->rows[row - 1].freed++;
    }
}

/* Judges each, then all together; false: no memory. */
static bool rows_judge(struct live *live)
{
    struct crn_growth *growths = crn_arena_alloc(&live->arena, live->row_count * sizeof *growths);
    double *freed = crn_arena_alloc(&live->arena, live->row_count * sizeof *freed);
    if (live->arena.exhausted)
        return false;
    freed_count(live);
    for (uint32_t i = 0; i < live->row_count; i++) {
        const struct row *row = &live->rows[i];
        bool is_told_by_samples = i == 0 && crn_host.options->stacks == CRN_STACKS_SAMPLED;
        growths[i] = (struct crn_growth){CRN_GROWTH_UNKNOWN, -1, -1};
        if (row->record.blocks > 0 && !is_told_by_samples)
            growths[i] = row_judge(live, row);
        freed[i] = row->record.blocks > 0 ? (double)row->freed / (double)row->record.blocks : 0;
    }
    crn_growth_settle(live->scale, growths, freed, live->row_count);
    for (uint32_t i = 0; i < live->row_count; i++)
        row_fill(&live->rows[i], &growths[i]);
    return true;
}

static bool comes_first(const void *a, const void *b)
{
    const struct crn_record_live *left = &(*(const struct row *const *)a)->record;
    const struct crn_record_live *right = &(*(const struct row *const *)b)->record;
    uint64_t left_rate = left->shape == CRN_GROWTH_STEADY ? left->bytes_per_hour : 0;
    uint64_t right_rate = right->shape == CRN_GROWTH_STEADY ? right->bytes_per_hour : 0;
    return left_rate != right_rate ? left_rate > right_rate : left->bytes > right->bytes;
}

/* One of the older blocks: from the middle of its growth on, or else of all ages. */
static uintptr_t example_of(const struct live *live, const struct row *row)
{
    double wanted_s = row->record.shape == CRN_GROWTH_STEADY
                          ? seconds_of(row->record.since_ns) * 0.75
                          : live->scale->uptime_s * 0.75;
    uintptr_t found = 0;
    for (unsigned i = 0; i < live->scale->count; i++) {
        if (row->example[i] != 0 && (found == 0 || live->scale->cells[i].young_s <= wanted_s))
            found = row->example[i];
    }
    return found;
}

static uint32_t chain_add(struct crn_draft *draft, const struct live *live, const struct row *row,
                          const struct crn_chain_step *steps, unsigned count, uintptr_t example)
{
    struct crn_block block = {.size = 0};
    uint32_t first = 0;
    for (unsigned i = 0; i < count; i++) {
        struct crn_record_link link = crn_step_link(draft, live->mark, &steps[i]);
        uint32_t at = crn_draft_link(draft, &link);
        first = i == 0 ? at : first;
    }
    crn_index_find(&live->mark->snap->heap->index, example, &block);
    crn_draft_link(draft,
                   &(struct crn_record_link){.kind = CRN_LINK_LEAK,
                                             .address = example,
                                             .bytes = block.size,
                                             .alloc_node = crn_draft_node(draft, row->node)});
    return first;
}

/* Who holds those that grow, and the largest of the others. */
static void chains_find(const struct live *live, struct row **order, uint32_t count,
                        struct crn_draft *draft)
{
    enum { BLOCKS_MET_MAX = 2 << 20 };
    uint32_t asked = count < CRN_LIVE_CHAINS_MAX ? count : CRN_LIVE_CHAINS_MAX;
    struct crn_chain_step(*steps)[CRN_CHAIN_STEPS_MAX] =
        crn_arena_alloc(&live->mark->arena, CRN_LIVE_CHAINS_MAX * sizeof *steps);
    uintptr_t examples[CRN_LIVE_CHAINS_MAX];
    unsigned counts[CRN_LIVE_CHAINS_MAX];
    for (uint32_t i = 0; i < asked; i++)
        examples[i] = example_of(live, order[i]);
    if (steps == NULL || asked == 0)
        return;
    crn_mark_trace_blocks(live->mark, examples, asked, BLOCKS_MET_MAX, steps, counts);
    for (uint32_t i = 0; i < asked; i++) {
        if (counts[i] == 0)
            continue;
        order[i]->record.first_link =
            chain_add(draft, live, order[i], steps[i], counts[i], examples[i]);
        order[i]->record.link_count = counts[i] + 1;
    }
}

static void rows_draft(struct live *live, struct crn_draft *draft)
{
    struct row **order = crn_arena_alloc(&live->arena, live->row_count * sizeof *order);
    uint32_t count = 0;
    for (uint32_t i = 0; i < live->row_count && order != NULL; i++) {
        if (live->rows[i].record.blocks > 0)
            order[count++] = &live->rows[i];
    }
    crn_sort(order, count, sizeof *order, comes_first);
    chains_find(live, order, count, draft);
    for (uint32_t i = 0; i < count; i++) {
        order[i]->record.alloc_node = crn_draft_node(draft, order[i]->node);
        crn_draft_rows(draft, CRN_SECTION_LIVE, &order[i]->record, 1);
    }
    draft->process.flags |= CRN_PROCESS_LIVE;
}

static bool tables_make(struct live *live)
{
    struct crn_arena *arena = &live->arena;
    live->nodes = crn_tree.node_count > 0 ? crn_tree.node_count : 1;
    live->scale = crn_arena_alloc(arena, sizeof *live->scale);
    uint64_t births = live->mark->snap->heap->birth_now + 1;
    size_t stamps = births < CRN_BIRTH_KEPT ? CRN_BIRTH_KEPT : births;
    if (stamps > (size_t)1 << CRN_BIRTH_STAMP_BITS)
        stamps = (size_t)1 << CRN_BIRTH_STAMP_BITS;
    live->cell_of_stamp = crn_arena_alloc(arena, stamps * sizeof *live->cell_of_stamp);
    live->sum_of_node = crn_arena_alloc(arena, live->nodes * sizeof *live->sum_of_node);
    return !arena->exhausted &&
           crn_span_init_passing(&live->sums, (live->nodes + 1) * sizeof(struct sum));
}

void crn_live_add(struct crn_mark *mark, struct crn_draft *draft)
{
    struct crn_heap *heap = mark->snap->heap;
    struct live live = {.mark = mark, .now_ns = mark->snap->taken_ns - heap->started_ns};
    bool is_done = tables_make(&live);
    if (is_done) {
        crn_births_visit(heap, mark->snap->birth_from, birth_enter, &live);
        blocks_visit(&live, sum_add);
        is_done = !live.is_out_of_memory && rows_choose(&live);
    }
    if (is_done) {
        blocks_visit(&live, row_add);
        is_done = rows_judge(&live);
    }
    if (is_done) {
        rows_draft(&live, draft);
    } else {
        crn_draft_warning(draft, "there was no memory to sum the heap that is not leaked");
    }
    crn_span_fini(&live.sums);
    crn_arena_free_all(&live.arena);
}
