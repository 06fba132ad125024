/*
 * Makes a process of a report from its recording.
 *
 * Stacks and coroutines are made once per row of the recording and shared by all who name them,
 * so the cost follows the size of the recording, not the number of times a stack is shown.  Nor
 * may it follow the depth of its tree of nodes: a forged one is as deep as it has rows, and each
 * row a stack.  So the middle of a deep stack is stepped over, not walked through, and when all
 * stacks together have become many times the recording, the rest of them are short.
 */
#include "report/model.h"

#include <stdlib.h>
#include <string.h>

#include "report/group.h"
#include "report/judge.h"
#include "report/names.h"
#include "report/sampled.h"
#include "report/words.h"

/*
 * A stack deeper than both together is runaway recursion; its middle is left out.  `frames` also
 * counts what was inlined: that many frames of either part are kept.
 */
struct depths {
    uint32_t inner, outer, frames;
};
static const struct depths whole_depths = {384, 128, 1024}, short_depths = {8, 4, 12};

enum {
    FRAMES_LEAST =
        1 << 20, /* so many, and one for each byte of the recording, before stacks are short */
    ARGUMENTS_MAX = 1 << 16,
};

/* Where a node stands in its tree. */
struct place {
    uint32_t depth; /* of its stack; 0: the root */
    uint32_t outer; /* the node where the outer part of its stack begins; itself in a short stack */
};

struct builder {
    struct crn_report *report;
    const struct crn_recording *recording;
    struct crn_process *process;
    const struct crn_stack **stacks;  /* by node row; NULL: not made yet */
    struct place *places;             /* by node row */
    uint64_t *frames_left;            /* until stacks are made short */
    struct crn_coroutine *coroutines; /* by row */
};

/* Frames gathered for one stack. */
struct frames {
    const struct crn_named_frame **rows;
    size_t count, room;
};

static const char *text_of(const struct builder *builder, uint32_t string)
{
    const char *text = crn_record_text(builder->recording, string);
    return *text == 0 ? NULL : crn_store_name(builder->report->store, text);
}

static uint64_t hash_add(uint64_t hash, uint64_t value)
{
    return crn_hash64(hash * 0x9e3779b97f4a7c15u + value + 1);
}

static uint64_t hash_add_text(uint64_t hash, const char *text)
{
    for (; text != NULL && *text != 0; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash_add(hash, 0);
}

static void frame_append(struct frames *frames, const struct crn_named_frame *frame)
{
    frames->rows = crn_grow(frames->rows, frames->count, &frames->room, sizeof *frames->rows);
    frames->rows[frames->count++] = frame;
}

/* The inline functions of the probe API's header are ours as well. */
static bool is_of_header(const struct crn_named_frame *frame)
{
    static const char header[] = "coroner/coroner.h"; /* and .hpp */
    const char *found = frame->file != NULL ? strstr(frame->file, header) : NULL;
    const char *rest = found != NULL ? found + sizeof header - 1 : "?";
    return *rest == 0 || strcmp(rest, "pp") == 0;
}

static void node_append(const struct builder *builder, struct frames *frames, size_t frames_max,
                        uint32_t row)
{
    const struct crn_record_node *node = &builder->recording->nodes[row];
    uint64_t address = node->pc - (node->flags & CRN_NODE_EXACT ? 0 : 1);
    const struct crn_frames *named =
        crn_sym_name_code(builder->report->sym, builder->recording, address);
    for (uint32_t i = 0; i < named->count && frames->count < frames_max; i++)
        if (!named->rows[i]->is_ours && !is_of_header(named->rows[i]))
            frame_append(frames, named->rows[i]);
}

/* A stand-in for the frames that a stack too deep to show leaves out. */
static void gap_append(const struct builder *builder, struct frames *frames, uint64_t count)
{
    struct crn_store *store = builder->report->store;
    struct crn_named_frame *gap = crn_store_bytes(store, sizeof *gap);
    gap->function = crn_store_print(store, "[%llu frames left out]", (unsigned long long)count);
    gap->alike = gap->function;
    frame_append(frames, gap);
}

/* Finds the place of every node; parents stand before their children. */
static void places_make(const struct builder *builder)
{
    const struct crn_record_node *nodes = builder->recording->nodes;
    for (uint64_t i = 1; i < builder->recording->counts[CRN_SECTION_NODES]; i++) {
        const struct place *parent = &builder->places[nodes[i].parent];
        struct place *place = &builder->places[i];
        place->depth = parent->depth + 1;
        place->outer = place->depth <= whole_depths.outer ? (uint32_t)i : parent->outer;
    }
}

/* Gathers the frames of the stack that ends at a node. */
static void frames_gather(const struct builder *builder, struct frames *frames, uint32_t row)
{
    const struct crn_record_node *nodes = builder->recording->nodes;
    const struct depths *depths = *builder->frames_left > 0 ? &whole_depths : &short_depths;
    uint32_t depth = builder->places[row].depth, kept = depth, at = row;
    if (depth > depths->inner + depths->outer)
        kept = depths->inner;
    for (uint32_t i = 0; i < kept; i++, at = nodes[at].parent)
        node_append(builder, frames, depths->frames, at);
    if (kept == depth)
        return;
    gap_append(builder, frames, depth - depths->inner - depths->outer);
    at = builder->places[row].outer;
    for (uint32_t i = builder->places[at].depth; i > depths->outer; i--)
        at = nodes[at].parent;
    for (; at != 0; at = nodes[at].parent)
        node_append(builder, frames, 2 * depths->frames, at);
}

static const struct crn_stack *stack_make(const struct builder *builder, uint32_t row)
{
    struct crn_stack *stack = crn_store_bytes(builder->report->store, sizeof *stack);
    struct frames frames = {0};
    frames_gather(builder, &frames, row);
    size_t bytes = frames.count * sizeof *frames.rows;
    stack->count = (uint32_t)frames.count;
    if (bytes > 0)
        stack->frames = memcpy(crn_store_bytes(builder->report->store, bytes), frames.rows, bytes);
    for (size_t i = 0; i < frames.count; i++)
        stack->key = hash_add(stack->key, (uintptr_t)frames.rows[i]->alike);
    *builder->frames_left -=
        frames.count < *builder->frames_left ? frames.count : *builder->frames_left;
    free(frames.rows);
    return stack;
}

/* The stack that ends at a node, or NULL when it is unknown or all of it is Coroner's own. */
static const struct crn_stack *stack_get(const struct builder *builder, uint32_t row)
{
    if (row == 0)
        return NULL;
    if (builder->stacks[row] == NULL)
        builder->stacks[row] = stack_make(builder, row);
    return builder->stacks[row]->count > 0 ? builder->stacks[row] : NULL;
}

static uint64_t stack_key(const struct crn_stack *stack)
{
    return stack != NULL ? stack->key : 0;
}

static const char *coroutine_name(const struct builder *builder, const struct crn_record_coro *row)
{
    if (row->name != 0)
        return text_of(builder, row->name);
    if (row->entry == 0)
        return NULL;
    const struct crn_frames *frames =
        crn_sym_name_code(builder->report->sym, builder->recording, row->entry);
    return crn_name_of_coroutine(builder->report->store, frames->rows[frames->count - 1],
                                 stack_get(builder, row->suspended_node));
}

static double age_of(uint64_t ns)
{
    return ns == UINT64_MAX ? -1 : (double)ns / 1e9;
}

static struct crn_age_range ages_make(const struct crn_record_ages *row)
{
    return (struct crn_age_range){age_of(row->oldest_ns), age_of(row->median_ns),
                                  age_of(row->youngest_ns)};
}

static void coroutine_make(const struct builder *builder, const struct crn_record_coro *row,
                           struct crn_coroutine *coroutine)
{
    *coroutine = (struct crn_coroutine){
        .name = coroutine_name(builder, row),
        .mechanism = row->mechanism,
        .state = row->state,
        .count = row->count,
        .created = stack_get(builder, row->created_node),
        .suspended = stack_get(builder, row->suspended_node),
        .stack_bytes = row->stack_bytes,
        .touched_bytes = row->touched_bytes,
        .retained_bytes = row->retained_bytes,
        .ages = ages_make(&row->ages),
    };
    uint64_t key = hash_add(row->mechanism, row->state);
    key = hash_add(key, (uintptr_t)coroutine->name);
    key = hash_add(key, stack_key(coroutine->created));
    coroutine->key = hash_add(key, stack_key(coroutine->suspended));
}

static const struct crn_coroutine *coroutine_get(const struct builder *builder,
                                                 uint32_t row_plus_one)
{
    return row_plus_one == 0 ? NULL : &builder->coroutines[row_plus_one - 1];
}

static const char *allocated_in(const struct builder *builder, uint32_t node)
{
    const struct crn_stack *stack = stack_get(builder, node);
    return stack != NULL ? crn_name_of_frame(builder->report->store, stack->frames[0]) : NULL;
}

static void link_make(const struct builder *builder, const struct crn_record_link *row,
                      struct crn_link *link)
{
    *link = (struct crn_link){
        .kind = row->kind,
        .root = row->root,
        .name = text_of(builder, row->name),
        .coroutine = coroutine_get(builder, row->coro),
        .is_own = row->kind == CRN_LINK_CORO && row->address == 0,
        .offset = row->offset,
        .bytes = row->bytes,
        .skipped = row->skipped,
    };
    if (row->kind == CRN_LINK_BLOCK || row->kind == CRN_LINK_LEAK)
        link->allocated_in = allocated_in(builder, row->alloc_node);
    if (row->kind == CRN_LINK_ROOT && row->root == CRN_ROOT_GLOBAL) {
        struct crn_variable variable =
            crn_sym_name_data(builder->report->sym, builder->recording, row->address);
        link->module = variable.module;
        link->offset = variable.offset;
        if (link->name == NULL)
            link->name = variable.name;
    }
}

static struct crn_chain chain_make(const struct builder *builder, uint32_t first, uint32_t count)
{
    if (count == 0)
        return (struct crn_chain){0};
    struct crn_link *links =
        crn_store_bytes(builder->report->store, count * sizeof(struct crn_link));
    for (uint32_t i = 0; i < count; i++)
        link_make(builder, &builder->recording->links[first + i], &links[i]);
    return (struct crn_chain){links, count};
}

/* What holds a leak when no coroutine does: the name its chain starts with. */
static const char *holder_name(const struct crn_leak *leak)
{
    return leak->coroutine == NULL && leak->chain.count > 0 ? leak->chain.links[0].name : NULL;
}

/*
 * The identity of a leak across runs and builds: its verdict, the functions that allocated it
 * (without a name: their place in the module) and its coroutine; no address, line or pid.
 */
static uint64_t leak_id(const struct crn_leak *leak)
{
    uint64_t id = hash_add_text(0xcbf29ce484222325u, crn_verdict_words[leak->verdict]);
    for (uint32_t i = 0; leak->allocated != NULL && i < leak->allocated->count; i++)
        id = hash_add(id, leak->allocated->frames[i]->identity);
    return hash_add_text(id, leak->coroutine != NULL ? leak->coroutine->name : NULL);
}

/* What lost its last holder while the program ended: the links tell of that, and are no chain. */
static const char *former_why(const struct builder *builder, const struct crn_record_leak *row)
{
    struct crn_store *store = builder->report->store;
    const struct crn_chain former = chain_make(builder, row->first_link, row->link_count);
    const struct crn_link *first = &former.links[0], *last = &former.links[former.count - 1];
    const char *whose = crn_store_print(store, "a container");
    if (first->kind == CRN_LINK_ROOT && first->root == CRN_ROOT_TLS)
        whose = crn_store_print(store, "a thread_local container");
    else if (first->kind == CRN_LINK_ROOT && first->name != NULL)
        whose = crn_store_print(store, "the container %s", first->name);
    else if (first->kind == CRN_LINK_ROOT && first->root == CRN_ROOT_GLOBAL &&
             first->module != NULL)
        whose = crn_store_print(store, "a container in %s", first->module);
    return crn_store_print(
        store,
        "when the program's end began, only erased elements of %s pointed to it; their memory "
        "(%llu bytes%s%s) has been freed since",
        whose, (unsigned long long)last->bytes, last->allocated_in != NULL ? " from " : "",
        last->allocated_in != NULL ? last->allocated_in : "");
}

static const char *register_name(unsigned reg)
{
    static const char *const names[CRN_PLACE_REGISTERS] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                                           "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                                           "r12", "r13", "r14", "r15"};
    return names[reg];
}

/* Where a dead word lies, in words. */
struct place_words {
    const struct crn_named_frame *frame; /* of its function */
    const char *local;                   /* the variable's name; NULL: not known */
    const char *function;                /* never NULL */
    const char *what;                    /* "\"message\"", or "register rbx" */
};

static struct place_words place_words_get(const struct builder *builder,
                                          const struct crn_record_place *place)
{
    struct crn_store *store = builder->report->store;
    uint64_t address = place->pc - (place->flags & CRN_PLACE_IS_EXACT ? 0 : 1);
    const struct crn_frames *frames =
        crn_sym_name_code(builder->report->sym, builder->recording, address);
    struct place_words words = {
        .frame = frames->rows[frames->count - 1],
        .local = crn_sym_name_local(builder->report->sym, builder->recording, place)};
    words.function = crn_name_of_frame(store, words.frame);
    if (words.function == NULL)
        words.function = "a function without a name";
    if (words.local != NULL)
        words.what = crn_store_print(store, "\"%s\"", words.local);
    else if (place->flags & CRN_PLACE_IS_REGISTER)
        words.what = crn_store_print(store, "register %s", register_name(place->reg));
    else
        words.what = crn_store_print(store, "a slot");
    return words;
}

/* What holds a leak that is stale, and why that is nobody. */
static const char *stale_why(const struct builder *builder, const struct crn_record_place *place,
                             const struct place_words *words)
{
    struct crn_store *store = builder->report->store;
    const char *where = "";
    const char *lies = "";
    if (words->local != NULL)
        lies = place->flags & CRN_PLACE_IS_REGISTER
                   ? crn_store_print(store, ", in register %s,", register_name(place->reg))
                   : ", in a stack slot,";
    if (place->written_at != 0) {
        const struct crn_frames *frames =
            crn_sym_name_code(builder->report->sym, builder->recording, place->written_at);
        const struct crn_named_frame *frame = frames->rows[0];
        const char *slash = frame->file != NULL ? strrchr(frame->file, '/') : NULL;
        if (frame->file != NULL && frame->line != 0)
            where = crn_store_print(store, " (%s:%u)", slash != NULL ? slash + 1 : frame->file,
                                    frame->line);
    }
    return crn_store_print(store, "only %s of %s%s points to it, and %s%s", words->what,
                           words->function, lies,
                           place->written_at != 0 ? "that is written before it is read again"
                                                  : "nothing reads that again",
                           where);
}

/* Its chain begins where the dead word lies: the local's name goes with the root or coroutine. */
static void stale_chain_name(const struct builder *builder, struct crn_chain *chain,
                             const struct place_words *words)
{
    struct crn_store *store = builder->report->store;
    struct crn_link *first = chain->count > 0 ? (struct crn_link *)(uintptr_t)chain->links : NULL;
    if (first == NULL)
        return;
    if (first->kind == CRN_LINK_ROOT)
        first->name =
            crn_store_print(store, "%s, %s of %s", first->name != NULL ? first->name : "a thread",
                            words->what, words->function);
    else if (first->kind == CRN_LINK_CORO && first->name == NULL)
        first->name = words->local;
}

/* Tells what is stale by its dead word; answers what its id is to know of that. */
static uint64_t stale_tell(const struct builder *builder, const struct crn_record_leak *row,
                           struct crn_leak *leak)
{
    if (row->place == 0)
        return 0;
    const struct crn_record_place *place = &builder->recording->places[row->place - 1];
    const struct place_words words = place_words_get(builder, place);
    leak->why = stale_why(builder, place, &words);
    stale_chain_name(builder, &leak->chain, &words);
    return words.frame->identity;
}

static void leak_make(const struct builder *builder, const struct crn_record_leak *row,
                      struct crn_leak *leak)
{
    *leak = (struct crn_leak){
        .verdict = row->verdict,
        .confidence = row->confidence,
        .why = text_of(builder, row->why),
        .blocks = row->blocks,
        .bytes = row->bytes,
        .indirect_blocks = row->indirect_blocks,
        .indirect_bytes = row->indirect_bytes,
        .retained_bytes = row->retained_bytes,
        .ages = ages_make(&row->ages),
        .allocated = stack_get(builder, row->alloc_node),
        .coroutine = coroutine_get(builder, row->coro),
        .coroutine_count = row->coro_count,
    };
    if (row->verdict == CRN_VERDICT_LOST && row->link_count > 0)
        leak->why = former_why(builder, row);
    else
        leak->chain = chain_make(builder, row->first_link, row->link_count);
    uint64_t whose = stale_tell(builder, row, leak);
    leak->is_missed = builder->process->sample_bytes != 0 && leak->allocated == NULL;
    uint64_t key = hash_add(row->verdict, row->confidence);
    key = hash_add(key, leak->coroutine != NULL ? leak->coroutine->key : 0);
    key =
        hash_add_text(key, row->verdict == CRN_VERDICT_LOST || row->place != 0 ? leak->why : NULL);
    leak->family = hash_add(key, (uintptr_t)holder_name(leak));
    leak->key = hash_add(leak->family, stack_key(leak->allocated));
    leak->id = whose != 0 ? hash_add(leak_id(leak), whose) : leak_id(leak);
}

static void amount_add(struct crn_amount *amount, const struct crn_leak *leak)
{
    amount->blocks += leak->blocks + leak->indirect_blocks;
    amount->bytes += leak->bytes + leak->indirect_bytes;
}

/* Hands the blocks that the recording lists to their leaks, which still stand as it has them. */
static void objects_take(const struct builder *builder, struct crn_leak *leaks)
{
    for (uint64_t i = 0; i < builder->recording->counts[CRN_SECTION_OBJECTS]; i++) {
        const struct crn_record_object *row = &builder->recording->objects[i];
        struct crn_leak *leak = &leaks[row->leak];
        struct crn_object *object = crn_store_bytes(builder->report->store, sizeof *object);
        *object = (struct crn_object){row->address, row->bytes, row->is_indirect != 0, NULL};
        if (leak->objects == NULL)
            leak->objects = object;
        else
            leak->last_object->next = object;
        leak->last_object = object;
    }
}

/* Coroutines and leaks are what has stacks to name. */
static void rows_step(const struct builder *builder, uint64_t done)
{
    const uint64_t *counts = builder->recording->counts;
    crn_report_step(builder->report, CRN_WORK_NAMING, done,
                    counts[CRN_SECTION_COROS] + counts[CRN_SECTION_LEAKS]);
}

static const struct crn_stack *sampled_stack_get(const void *user, uint32_t node_row)
{
    return stack_get(user, node_row);
}

/* What silences each of the leaks, in memory of the caller's; NULL: nothing. */
static struct crn_suppression **silencers_find(const struct builder *builder,
                                               struct crn_leak *leaks, size_t count)
{
    struct crn_judge *judge = builder->report->judge;
    struct crn_suppression **silencers = calloc(count + 1, sizeof(struct crn_suppression *));
    if (silencers == NULL)
        crn_out_of_memory();
    for (size_t i = 0; i < count; i++)
        silencers[i] = crn_judge_find(judge, &leaks[i]);
    if (builder->process->sample_bytes != 0)
        crn_samples_judge(leaks, count, silencers, crn_judge_needs_stacks(judge));
    return silencers;
}

static void unjudged_tell(const struct builder *builder)
{
    const struct crn_amount *unjudged = builder->process->unjudged;
    uint64_t blocks = unjudged[CRN_LIKELY].blocks + unjudged[CRN_PROVEN].blocks;
    if (blocks > 0)
        crn_report_warn(builder->report,
                        "%llu leaked %s no stack that a leak: suppression could match, since "
                        "stacks were sampled; they do not count for the exit code",
                        (unsigned long long)blocks, blocks == 1 ? "block has" : "blocks have");
}

static void leaks_make(const struct builder *builder)
{
    struct crn_process *process = builder->process;
    uint64_t count = builder->recording->counts[CRN_SECTION_LEAKS];
    struct crn_leak *leaks =
        crn_store_bytes(builder->report->store, count * sizeof(struct crn_leak));
    size_t kept = 0, shown;
    for (uint64_t i = 0; i < count; i++) {
        leak_make(builder, &builder->recording->leaks[i], &leaks[i]);
        leaks[i].row = i;
        rows_step(builder, builder->recording->counts[CRN_SECTION_COROS] + i + 1);
    }
    if (builder->report->has_objects)
        objects_take(builder, leaks);
    crn_samples_take(builder->report->store, builder->recording,
                     (struct crn_builder_stacks){sampled_stack_get, builder}, leaks);
    struct crn_suppression **silencers = silencers_find(builder, leaks, count);
    for (uint64_t i = 0; i < count; i++) {
        struct crn_leak *leak = &leaks[kept];
        *leak = leaks[i];
        if (silencers[i] != NULL) {
            struct crn_amount amount = {silencers[i]->blocks, silencers[i]->bytes};
            amount_add(&amount, leak);
            silencers[i]->blocks = amount.blocks;
            silencers[i]->bytes = amount.bytes;
            amount_add(&process->suppressed, leak);
            continue;
        }
        if (leak->is_unjudged)
            amount_add(&process->unjudged[leak->confidence], leak);
        amount_add(&process->leaked, leak);
        amount_add(&process->by_verdict[leak->verdict], leak);
        if (leak->confidence == CRN_LIKELY)
            amount_add(&process->likely, leak);
        kept++;
    }
    free(silencers);
    unjudged_tell(builder);
    process->leaks = leaks;
    shown = kept = crn_leaks_group(leaks, kept, process->sample_bytes != 0);
    if (builder->report->leaks_max != 0 && shown > builder->report->leaks_max)
        shown = builder->report->leaks_max;
    process->leaks_count = shown;
    process->leaks_left_out = kept - shown;
}

static void findings_make(const struct builder *builder)
{
    uint64_t count = builder->recording->counts[CRN_SECTION_FINDINGS];
    struct crn_finding *findings =
        crn_store_bytes(builder->report->store, count * sizeof(struct crn_finding));
    size_t kept = 0;
    for (uint64_t i = 0; i < count; i++) {
        const struct crn_record_finding *row = &builder->recording->findings[i];
        findings[kept] = (struct crn_finding){
            .kind = row->kind,
            .coroutine = coroutine_get(builder, row->coro),
            .object = row->object,
            .object_bytes = row->object_bytes,
            .object_retained = row->object_retained,
            .scope = text_of(builder, row->scope),
            .why = text_of(builder, row->why),
            .stack = stack_get(builder, row->node),
            .chain = chain_make(builder, row->first_link, row->link_count),
            .count = row->count,
        };
        if (!crn_judge_silences_finding(builder->report->judge, &findings[kept]))
            kept++;
    }
    builder->process->findings = findings;
    builder->process->findings_count = kept;
}

/* Makes every coroutine; the leaks and findings keep these, the list gets copies to merge. */
static void coroutines_make(struct builder *builder)
{
    struct crn_store *store = builder->report->store;
    uint64_t count = builder->recording->counts[CRN_SECTION_COROS];
    size_t bytes = count * sizeof(struct crn_coroutine), listed = 0;
    builder->coroutines = crn_store_bytes(store, bytes);
    for (uint64_t i = 0; i < count; i++) {
        coroutine_make(builder, &builder->recording->coros[i], &builder->coroutines[i]);
        rows_step(builder, i + 1);
    }
    if (!builder->report->has_coroutines && builder->process->check_kind != CRN_CHECK_LIVE)
        return;
    struct crn_coroutine *list = crn_store_bytes(store, bytes);
    for (uint64_t i = 0; i < count; i++)
        if (builder->coroutines[i].count > 0)
            list[listed++] = builder->coroutines[i];
    builder->process->coroutines = list;
    builder->process->coroutines_count = crn_coroutines_group(list, listed);
}

/* What is alive is known by the functions that allocated it. */
static uint64_t live_id(const struct crn_stack *allocated)
{
    uint64_t id = hash_add_text(0xcbf29ce484222325u, crn_verdict_words[CRN_VERDICT_LIVE]);
    for (uint32_t i = 0; allocated != NULL && i < allocated->count; i++)
        id = hash_add(id, allocated->frames[i]->identity);
    return id;
}

static void live_make(const struct builder *builder, const struct crn_record_live *row,
                      struct crn_live *live)
{
    const struct crn_stack *allocated = stack_get(builder, row->alloc_node);
    *live = (struct crn_live){
        .id = live_id(allocated),
        .allocated = allocated,
        .blocks = row->blocks,
        .bytes = row->bytes,
        .is_sampled = row->estimated_blocks != 0,
        .estimate = {(double)row->estimated_blocks, (double)row->estimated_bytes,
                     row->estimated_blocks != 0 ? row->blocks : 0},
        .retained_bytes = row->retained_bytes,
        .shape = row->shape,
        .bytes_per_s = row->bytes_per_hour == UINT64_MAX ? -1 : (double)row->bytes_per_hour / 3600,
        .since_s = row->since_ns == UINT64_MAX ? -1 : (double)row->since_ns / 1e9,
        .chain = chain_make(builder, row->first_link, row->link_count),
        .key = stack_key(allocated),
    };
    memcpy(live->ages, row->ages, sizeof live->ages);
}

static void live_rows_make(const struct builder *builder)
{
    struct crn_process *process = builder->process;
    uint64_t count = builder->recording->counts[CRN_SECTION_LIVE];
    struct crn_live *rows = crn_store_bytes(builder->report->store, count * sizeof *rows);
    for (uint64_t i = 0; i < count; i++)
        live_make(builder, &builder->recording->live[i], &rows[i]);
    process->has_live = builder->recording->process->flags & CRN_PROCESS_LIVE;
    process->live_rows = rows;
    process->live_rows_count = crn_live_group(rows, count);
    process->has_memory = builder->recording->counts[CRN_SECTION_MEMORY] > 0;
    if (process->has_memory)
        process->memory = *builder->recording->memory;
}

static void facts_take(const struct builder *builder)
{
    const struct crn_recording *recording = builder->recording;
    const struct crn_record_process *row = recording->process;
    struct crn_process *process = builder->process;
    uint64_t argc = recording->counts[CRN_SECTION_ARGV];
    if (argc > ARGUMENTS_MAX)
        argc = ARGUMENTS_MAX;
    const char **argv = crn_store_bytes(builder->report->store, (argc + 1) * sizeof *argv);
    for (uint64_t i = 0; i < argc; i++)
        argv[i] =
            crn_store_text(builder->report->store, crn_record_text(recording, recording->argv[i]));
    process->argv = argv;
    process->argc = (uint32_t)argc;
    process->pid = row->pid;
    process->parent_pid = row->parent_pid;
    process->exe = text_of(builder, row->exe);
    process->exit_code = row->exit_code;
    process->exit_signal = row->exit_signal;
    process->duration_s = (double)row->duration_ns / 1e9;
    process->check_kind = row->check_kind;
    process->goes_on = row->check_kind != CRN_CHECK_END;
    process->is_checked = row->flags & CRN_PROCESS_CHECKED;
}

static void summary_take(const struct builder *builder)
{
    const struct crn_record_process *row = builder->recording->process;
    struct crn_process *process = builder->process;
    process->live = (struct crn_amount){row->live_blocks, row->live_bytes};
    process->allocations = row->allocations;
    process->frees = row->frees;
    process->peak_bytes = row->peak_bytes;
    process->coroutines_seen = row->coroutines_seen;
    process->coroutines_resurrected = row->coroutines_resurrected;
    memcpy(process->coroutines_by_state, row->coroutines, sizeof process->coroutines_by_state);
    process->unseen_threads = row->unseen_threads;
    process->double_frees = row->double_frees;
    process->sample_bytes = row->sample_bytes;
    process->check_pause_s = (double)row->check_pause_ns / 1e9;
    process->check_s = (double)row->check_ns / 1e9;
    process->check_number = row->check_number;
    process->predicted_pause_s =
        row->predicted_pause_ns != UINT64_MAX ? (double)row->predicted_pause_ns / 1e9 : -1;
    process->copied_bytes = row->copied_bytes;
    process->check_bytes = row->check_bytes;
}

static void warnings_take(const struct builder *builder)
{
    const struct crn_recording *recording = builder->recording;
    const struct crn_process *process = builder->process;
    const char *exe = process->exe != NULL ? process->exe : "a process";
    for (uint64_t i = 0; i < recording->counts[CRN_SECTION_WARNINGS]; i++)
        crn_report_warn(builder->report, "%s (pid %llu): %s", exe, (unsigned long long)process->pid,
                        crn_record_text(recording, recording->warnings[i]));
    if (!process->is_checked && recording->counts[CRN_SECTION_WARNINGS] == 0)
        crn_report_warn(builder->report,
                        process->goes_on ? "%s (pid %llu): it could not be checked"
                                         : "%s (pid %llu): it ended before it could be checked",
                        exe, (unsigned long long)process->pid);
}

/* The suppressions that the program answers itself. */
static void suppressions_take(const struct builder *builder)
{
    const struct crn_recording *recording = builder->recording;
    char message[256];
    crn_judge_begin(builder->report->judge,
                    crn_record_text(recording, recording->process->suppressions), message,
                    sizeof message);
    if (*message != 0)
        crn_report_warn(builder->report, "__lsan_default_suppressions: %s", message);
}

void crn_report_add(struct crn_report *report, const struct crn_recording *recording)
{
    uint64_t frames_left = FRAMES_LEAST + recording->total_bytes;
    report->recorded_bytes += recording->total_bytes;
    struct builder builder = {
        .report = report, .recording = recording, .frames_left = &frames_left};
    report->processes = crn_grow(report->processes, report->processes_count,
                                 &report->processes_room, sizeof *report->processes);
    builder.process = &report->processes[report->processes_count++];
    *builder.process = (struct crn_process){0};
    builder.stacks = calloc(recording->counts[CRN_SECTION_NODES] + 1, sizeof *builder.stacks);
    builder.places = calloc(recording->counts[CRN_SECTION_NODES] + 1, sizeof *builder.places);
    if (builder.stacks == NULL || builder.places == NULL)
        crn_out_of_memory();
    places_make(&builder);
    facts_take(&builder);
    warnings_take(&builder);
    if (builder.process->is_checked) {
        summary_take(&builder);
        suppressions_take(&builder);
        coroutines_make(&builder);
        leaks_make(&builder);
        findings_make(&builder);
        live_rows_make(&builder);
    }
    free(builder.stacks);
    free(builder.places);
}
