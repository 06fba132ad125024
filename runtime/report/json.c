/*
 * The JSON report, version 1: one object, every key always there, null for what is unknown.
 *
 * A report can hold a hundred thousand leaks, and each of them the same frames.  So only a leak
 * without its stacks, chain and blocks is ever whole in memory; those are written piece by piece,
 * and the text of a frame is made once.
 */
#include "report/render.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "report/clean.h"
#include "report/escape.h"
#include "report/json_values.h"
#include "report/judge.h"
#include "report/sampled.h"
#include "report/since.h"
#include "report/words.h"

enum {
    FLAGS = JSON_REAL_PRECISION(9),
    FRAME_FLAGS = FLAGS | JSON_COMPACT, /* they are most of a report */
    TEXTS_BYTES_MAX = 32 << 20,         /* of frames, kept for the next time */
};

/* The text of a frame; NULL: not made yet. */
struct frame_text {
    char *bytes;
    size_t count;
};

struct writer {
    const struct crn_report *report;
    FILE *file;
    struct frame_text *texts; /* by index of the frame */
    size_t texts_bytes;       /* of all of them */
    uint32_t frames_max;      /* of a stack; 0: all */
};

static json_t *number_or_null(uint64_t value, uint64_t unknown)
{
    return value == unknown ? json_null() : crn_json_number(value);
}

static json_t *address(uint64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%#llx", (unsigned long long)value);
    return json_string(value == 0 ? "0x0" : digits);
}

/* Writes a value and lets go of it; with JSON_EMBED, without its outer brackets. */
static void emit(const struct writer *writer, json_t *value, size_t flags)
{
    crn_json_write(value, writer->file, FLAGS | flags);
    json_decref(value);
}

/* Writes the next members of an object, which are those of `members`. */
static void members_write(const struct writer *writer, json_t *members, bool are_first)
{
    fputs(are_first ? "{" : ", ", writer->file);
    emit(writer, members, JSON_EMBED);
}

/* Writes the name of the next member, whose value follows. */
static void member_begin(const struct writer *writer, const char *name)
{
    fprintf(writer->file, ", \"%s\": ", name);
}

static void frame_write(struct writer *writer, const struct crn_named_frame *frame)
{
    struct frame_text made = {0}, *kept = NULL;
    if (frame->is_of_sym)
        kept = &writer->texts[frame->index];
    if (kept != NULL && kept->bytes != NULL) {
        fwrite(kept->bytes, 1, kept->count, writer->file);
        return;
    }
    FILE *file = open_memstream(&made.bytes, &made.count);
    json_t *object = crn_json_frame(writer->report->store, frame);
    if (file == NULL)
        crn_out_of_memory();
    crn_json_write(object, file, FRAME_FLAGS);
    json_decref(object);
    if (fclose(file) != 0)
        crn_out_of_memory();
    fwrite(made.bytes, 1, made.count, writer->file);
    if (kept == NULL || writer->texts_bytes + made.count > TEXTS_BYTES_MAX) {
        free(made.bytes);
        return;
    }
    *kept = made;
    writer->texts_bytes += made.count;
}

static void stack_write(struct writer *writer, const struct crn_stack *stack)
{
    if (stack == NULL) {
        fputs("null", writer->file);
        return;
    }
    uint32_t most = writer->frames_max;
    fputc('[', writer->file);
    for (uint32_t i = 0; i < stack->count && (most == 0 || i < most); i++) {
        fputs(i == 0 ? "" : ",", writer->file);
        frame_write(writer, stack->frames[i]);
    }
    fputc(']', writer->file);
}

/* How old things alike are; null: not known. */
static json_t *age_json(const struct crn_age_range *ages)
{
    if (ages->oldest_s < 0)
        return json_null();
    json_t *object = json_object();
    crn_json_set(object, "oldest", json_real(ages->oldest_s));
    crn_json_set(object, "median", json_real(ages->median_s));
    crn_json_set(object, "youngest", json_real(ages->youngest_s));
    return object;
}

static void coroutine_write(struct writer *writer, const struct crn_coroutine *coroutine,
                            uint64_t count)
{
    if (coroutine == NULL) {
        fputs("null", writer->file);
        return;
    }
    json_t *head = json_object(), *tail = json_object();
    crn_json_set(head, "name", crn_json_text(writer->report->store, coroutine->name));
    crn_json_set(head, "mechanism", json_string(crn_mechanism_words[coroutine->mechanism]));
    crn_json_set(head, "state", json_string(crn_coro_state_words[coroutine->state]));
    crn_json_set(head, "count", crn_json_number(count));
    members_write(writer, head, true);
    member_begin(writer, "created_stack");
    stack_write(writer, coroutine->created);
    member_begin(writer, "suspended_stack");
    stack_write(writer, coroutine->suspended);
    crn_json_set(tail, "stack_bytes", number_or_null(coroutine->stack_bytes, 0));
    crn_json_set(tail, "touched_bytes", number_or_null(coroutine->touched_bytes, UINT64_MAX));
    crn_json_set(tail, "retained_bytes", number_or_null(coroutine->retained_bytes, UINT64_MAX));
    crn_json_set(tail, "age_s", age_json(&coroutine->ages));
    members_write(writer, tail, false);
    fputc('}', writer->file);
}

static json_t *link_json(const struct writer *writer, const struct crn_link *link)
{
    json_t *object = json_object();
    switch (link->kind) {
    case CRN_LINK_ROOT:
        crn_json_set(object, "kind", json_string("root"));
        crn_json_set(object, "root", json_string(crn_root_words[link->root]));
        crn_json_set(object, "name", crn_json_text(writer->report->store, link->name));
        crn_json_set(object, "module", crn_json_text(writer->report->store, link->module));
        crn_json_set(object, "offset", crn_json_number(link->offset));
        break;
    case CRN_LINK_BLOCK:
        crn_json_set(object, "kind", json_string("block"));
        crn_json_set(object, "bytes", crn_json_number(link->bytes));
        crn_json_set(object, "offset", crn_json_number(link->offset));
        crn_json_set(object, "allocated_in",
                     crn_json_text(writer->report->store, link->allocated_in));
        if (link->skipped > 0)
            crn_json_set(object, "skipped", crn_json_number(link->skipped));
        break;
    case CRN_LINK_CORO:
        crn_json_set(object, "kind", json_string("coroutine"));
        crn_json_set(object, "name",
                     crn_json_text(writer->report->store,
                                   link->coroutine != NULL ? link->coroutine->name : NULL));
        crn_json_set(object, "local", crn_json_text(writer->report->store, link->name));
        crn_json_set(object, "offset", crn_json_number(link->offset));
        break;
    case CRN_LINK_LEAK:
        crn_json_set(object, "kind", json_string("leak"));
        crn_json_set(object, "bytes", crn_json_number(link->bytes));
        break;
    }
    return object;
}

/* What a chain to something live ends with: a block of which no word leads on. */
static json_t *last_block_json(const struct writer *writer, const struct crn_link *link)
{
    json_t *object = json_object();
    crn_json_set(object, "kind", json_string("block"));
    crn_json_set(object, "bytes", crn_json_number(link->bytes));
    crn_json_set(object, "offset", json_null());
    crn_json_set(object, "allocated_in", crn_json_text(writer->report->store, link->allocated_in));
    return object;
}

static void chain_write(const struct writer *writer, const struct crn_chain *chain, bool is_live)
{
    if (chain->count == 0) {
        fputs("null", writer->file);
        return;
    }
    fputc('[', writer->file);
    for (uint32_t i = 0; i < chain->count; i++) {
        fputs(i == 0 ? "" : ", ", writer->file);
        const struct crn_link *link = &chain->links[i];
        bool is_end = is_live && link->kind == CRN_LINK_LEAK;
        emit(writer, is_end ? last_block_json(writer, link) : link_json(writer, link), 0);
    }
    fputc(']', writer->file);
}

static void objects_write(const struct writer *writer, const struct crn_object *object)
{
    if (!writer->report->has_objects) {
        fputs("null", writer->file);
        return;
    }
    fputc('[', writer->file);
    for (bool is_first = true; object != NULL; object = object->next, is_first = false) {
        json_t *entry = json_object();
        crn_json_set(entry, "address", address(object->address));
        crn_json_set(entry, "bytes", crn_json_number(object->bytes));
        crn_json_set(entry, "is_indirect", json_boolean(object->is_indirect));
        fputs(is_first ? "" : ", ", writer->file);
        emit(writer, entry, 0);
    }
    fputc(']', writer->file);
}

static json_t *estimate_json(double value)
{
    return crn_json_number(crn_count_of(value + 0.5));
}

/* Where what a leak's blocks hold was allocated, as far as samples tell. */
static void behind_write(struct writer *writer, const struct crn_behind *behind)
{
    fputc('[', writer->file);
    for (bool is_first = true; behind != NULL; behind = behind->next, is_first = false) {
        json_t *entry = json_object();
        fputs(is_first ? "{\"alloc_stack\": " : ", {\"alloc_stack\": ", writer->file);
        stack_write(writer, behind->stack);
        crn_json_set(entry, "sampled_blocks", crn_json_number(behind->estimate.sampled));
        crn_json_set(entry, "estimated_blocks", estimate_json(behind->estimate.blocks));
        crn_json_set(entry, "estimated_bytes", estimate_json(behind->estimate.bytes));
        members_write(writer, entry, false);
        fputc('}', writer->file);
    }
    fputc(']', writer->file);
}

static void leak_write(struct writer *writer, const struct crn_process *process,
                       const struct crn_leak *leak)
{
    json_t *head = json_object(), *samples = json_object(), *hint = json_object();
    crn_json_set(head, "id", crn_json_id(leak->id));
    crn_json_set(head, "class", json_string(crn_verdict_words[leak->verdict]));
    crn_json_set(head, "confidence", json_string(crn_confidence_word(leak->confidence)));
    crn_json_set(head, "why", crn_json_text(writer->report->store, leak->why));
    crn_json_set(head, "blocks", crn_json_number(leak->blocks));
    crn_json_set(head, "bytes", crn_json_number(leak->bytes));
    crn_json_set(head, "indirect_blocks", crn_json_number(leak->indirect_blocks));
    crn_json_set(head, "indirect_bytes", crn_json_number(leak->indirect_bytes));
    crn_json_set(head, "retained_bytes", crn_json_number(leak->retained_bytes));
    crn_json_set(head, "age_s", age_json(&leak->ages));
    members_write(writer, head, true);
    member_begin(writer, "alloc_stack");
    stack_write(writer, leak->allocated);
    crn_json_set(samples, "sampled", json_boolean(leak->is_sampled));
    crn_json_set(samples, "estimated_blocks",
                 leak->is_sampled ? estimate_json(leak->estimate.blocks) : json_null());
    crn_json_set(samples, "estimated_bytes",
                 leak->is_sampled ? estimate_json(leak->estimate.bytes) : json_null());
    members_write(writer, samples, false);
    member_begin(writer, "indirect_stacks");
    if (process->sample_bytes != 0)
        behind_write(writer, leak->behind);
    else
        fputs("null", writer->file);
    member_begin(writer, "coroutine");
    coroutine_write(writer, leak->coroutine, leak->coroutine_count);
    member_begin(writer, "chain");
    chain_write(writer, &leak->chain, false);
    crn_json_set(hint, "hint", json_string(crn_leak_hint(leak)));
    members_write(writer, hint, false);
    member_begin(writer, "objects");
    objects_write(writer, leak->objects);
    fputc('}', writer->file);
}

static json_t *object_json(const struct crn_finding *finding)
{
    if (finding->object == 0)
        return json_null();
    json_t *object = json_object();
    crn_json_set(object, "address", address(finding->object));
    crn_json_set(object, "bytes", number_or_null(finding->object_bytes, 0));
    crn_json_set(object, "retained_bytes", number_or_null(finding->object_retained, 0));
    return object;
}

static void finding_write(struct writer *writer, const struct crn_finding *finding)
{
    json_t *kind = json_object(), *object = json_object(), *tail = json_object();
    crn_json_set(kind, "kind", json_string(crn_finding_words[finding->kind]));
    members_write(writer, kind, true);
    member_begin(writer, "coroutine");
    coroutine_write(writer, finding->coroutine, finding->count);
    crn_json_set(object, "object", object_json(finding));
    crn_json_set(object, "scope", crn_json_text(writer->report->store, finding->scope));
    members_write(writer, object, false);
    member_begin(writer, "stack");
    stack_write(writer, finding->stack);
    member_begin(writer, "chain");
    chain_write(writer, &finding->chain, false);
    crn_json_set(tail, "count", crn_json_number(finding->count));
    crn_json_set(tail, "why", crn_json_text(writer->report->store, finding->why));
    members_write(writer, tail, false);
    fputc('}', writer->file);
}

static json_t *coroutine_counts_json(const struct crn_process *process)
{
    json_t *object = json_object();
    crn_json_set(object, "seen", crn_json_number(process->coroutines_seen));
    for (unsigned state = 0; state < CRN_CORO_STATE_COUNT; state++)
        crn_json_set(object, crn_coro_state_words[state],
                     crn_json_number(process->coroutines_by_state[state]));
    crn_json_set(object, "resurrected", crn_json_number(process->coroutines_resurrected));
    return object;
}

static json_t *summary_json(const struct crn_process *process)
{
    if (!process->is_checked)
        return json_null();
    json_t *object = json_object();
    json_t *classes = json_object();
    for (unsigned verdict = CRN_VERDICT_STALE; verdict < CRN_VERDICT_COUNT; verdict++) {
        json_t *amount = json_object();
        crn_json_set(amount, "blocks", crn_json_number(process->by_verdict[verdict].blocks));
        crn_json_set(amount, "bytes", crn_json_number(process->by_verdict[verdict].bytes));
        crn_json_set(classes, crn_verdict_words[verdict], amount);
    }
    crn_json_set(object, "leaked_blocks", crn_json_number(process->leaked.blocks));
    crn_json_set(object, "leaked_bytes", crn_json_number(process->leaked.bytes));
    crn_json_set(object, "likely_blocks", crn_json_number(process->likely.blocks));
    crn_json_set(object, "likely_bytes", crn_json_number(process->likely.bytes));
    crn_json_set(object, "by_class", classes);
    crn_json_set(object, "suppressed_blocks", crn_json_number(process->suppressed.blocks));
    crn_json_set(object, "suppressed_bytes", crn_json_number(process->suppressed.bytes));
    crn_json_set(object, "live_blocks", crn_json_number(process->live.blocks));
    crn_json_set(object, "live_bytes", crn_json_number(process->live.bytes));
    crn_json_set(object, "allocations", crn_json_number(process->allocations));
    crn_json_set(object, "frees", crn_json_number(process->frees));
    crn_json_set(object, "peak_bytes", crn_json_number(process->peak_bytes));
    crn_json_set(object, "coroutines", coroutine_counts_json(process));
    crn_json_set(object, "double_frees", crn_json_number(process->double_frees));
    crn_json_set(object, "unseen_threads", crn_json_number(process->unseen_threads));
    crn_json_set(object, "check_pause_s", json_real(process->check_pause_s));
    crn_json_set(object, "check_s", json_real(process->check_s));
    crn_json_set(object, "check_bytes", crn_json_number(process->check_bytes));
    return object;
}

static json_t *seconds_or_null(double value)
{
    return value < 0 ? json_null() : json_real(value);
}

static json_t *ages_json(const struct crn_live *live)
{
    json_t *array = json_array();
    for (unsigned age = 0; age < CRN_AGE_COUNT; age++) {
        json_t *object = json_object();
        crn_json_set(object, "up_to_s", number_or_null(crn_age_up_to_s(age), UINT64_MAX));
        crn_json_set(object, "blocks", crn_json_number(live->ages[age].blocks));
        crn_json_set(object, "bytes", crn_json_number(live->ages[age].bytes));
        crn_json_append(array, object);
    }
    return array;
}

static json_t *growth_json(const struct crn_live *live)
{
    json_t *object = json_object();
    crn_json_set(object, "bytes_per_s", seconds_or_null(live->bytes_per_s));
    crn_json_set(object, "since_s", seconds_or_null(live->since_s));
    crn_json_set(object, "shape", json_string(crn_growth_words[live->shape]));
    return object;
}

static void live_write(struct writer *writer, const struct crn_live *live)
{
    json_t *head = json_object(), *tail = json_object();
    crn_json_set(head, "id", crn_json_id(live->id));
    crn_json_set(head, "blocks", crn_json_number(live->blocks));
    crn_json_set(head, "bytes", crn_json_number(live->bytes));
    crn_json_set(head, "sampled", json_boolean(live->is_sampled));
    crn_json_set(head, "estimated_blocks",
                 live->is_sampled ? estimate_json(live->estimate.blocks) : json_null());
    crn_json_set(head, "estimated_bytes",
                 live->is_sampled ? estimate_json(live->estimate.bytes) : json_null());
    members_write(writer, head, true);
    member_begin(writer, "alloc_stack");
    stack_write(writer, live->allocated);
    crn_json_set(tail, "retained_bytes", number_or_null(live->retained_bytes, UINT64_MAX));
    crn_json_set(tail, "ages", ages_json(live));
    crn_json_set(tail, "growth", growth_json(live));
    members_write(writer, tail, false);
    member_begin(writer, "chain");
    chain_write(writer, &live->chain, true);
    fputc('}', writer->file);
}

/* What is resident; null: nobody looked. */
static json_t *memory_json(const struct crn_process *process)
{
    const struct crn_record_memory *memory = &process->memory;
    const struct {
        const char *key;
        uint64_t value;
    } sizes[] = {{"resident_bytes", memory->resident_bytes},
                 {"heap_bytes", memory->heap_bytes},
                 {"stacks_bytes", memory->stacks_bytes},
                 {"idle_stacks_bytes", memory->idle_stacks_bytes},
                 {"thread_stacks_bytes", memory->thread_stacks_bytes},
                 {"mappings_bytes", memory->mappings_bytes},
                 {"own_bytes", memory->own_bytes},
                 {"limit_bytes", memory->limit_bytes},
                 {"left_bytes", memory->left_bytes}};
    if (!process->has_memory)
        return json_null();
    json_t *object = json_object();
    for (unsigned i = 0; i < CRN_COUNT_OF(sizes); i++)
        crn_json_set(object, sizes[i].key, number_or_null(sizes[i].value, UINT64_MAX));
    const char *limit = crn_limit_words[memory->limit_kind];
    crn_json_set(object, "limit", limit != NULL ? json_string(limit) : json_null());
    return object;
}

/* When the check ran, what was foreseen of it and what it took; null: there was none. */
static json_t *check_json(struct crn_store *store, const struct crn_process *process)
{
    if (!process->is_checked)
        return json_null();
    json_t *object = json_object();
    crn_json_set(object, "kind", json_string(crn_check_words[process->check_kind]));
    crn_json_set(object, "number", crn_json_number(process->check_number));
    crn_json_set(object, "uptime_s", json_real(process->duration_s));
    crn_json_set(object, "predicted_pause_s",
                 process->predicted_pause_s < 0 ? json_null()
                                                : json_real(process->predicted_pause_s));
    crn_json_set(object, "copied_bytes", crn_json_number(process->copied_bytes));
    crn_json_set(object, "last", crn_since_json(store, process->since));
    return object;
}

/* How the process ended; null: it had not. */
static json_t *exit_json(const struct crn_process *process)
{
    if (process->goes_on)
        return json_null();
    json_t *object = json_object();
    crn_json_set(object, "code",
                 process->exit_code < 0 ? json_null() : json_integer(process->exit_code));
    crn_json_set(object, "signal",
                 process->exit_signal == 0 ? json_null() : json_integer(process->exit_signal));
    return object;
}

static json_t *process_head_json(const struct writer *writer, const struct crn_process *process)
{
    json_t *object = json_object();
    json_t *argv = json_array();
    for (uint32_t i = 0; i < process->argc; i++)
        crn_json_append(argv, crn_json_text(writer->report->store, process->argv[i]));
    crn_json_set(object, "pid", crn_json_number(process->pid));
    crn_json_set(object, "parent_pid", crn_json_number(process->parent_pid));
    crn_json_set(object, "exe", crn_json_text(writer->report->store, process->exe));
    crn_json_set(object, "argv", argv);
    crn_json_set(object, "exit", exit_json(process));
    crn_json_set(object, "duration_s", json_real(process->duration_s));
    crn_json_set(object, "check", check_json(writer->report->store, process));
    crn_json_set(object, "sample_bytes", number_or_null(process->sample_bytes, 0));
    crn_json_set(object, "summary", summary_json(process));
    crn_json_set(object, "memory", memory_json(process));
    crn_json_set(object, "leaks_left_out", crn_json_number(process->leaks_left_out));
    return object;
}

static void item_begin(const struct writer *writer, size_t index)
{
    fputs(index == 0 ? "\n      " : ",\n      ", writer->file);
}

/* The same from run to run: what it is called, its state and where it waits. */
static uint64_t task_id(const struct crn_coroutine *coroutine)
{
    uint64_t id = crn_hash64((uint64_t)coroutine->state + 1);
    for (const char *at = coroutine->name; at != NULL && *at != 0; at++)
        id = (id ^ (unsigned char)*at) * 0x100000001b3u;
    const struct crn_stack *stacks[] = {coroutine->suspended, coroutine->created};
    for (unsigned which = 0; which < CRN_COUNT_OF(stacks); which++)
        for (uint32_t i = 0; stacks[which] != NULL && i < stacks[which]->count; i++)
            id = crn_hash64(id * 0x9e3779b97f4a7c15u + stacks[which]->frames[i]->identity + 1);
    return id;
}

/* Coroutines alike are a task, as long as nobody knows which of them await each other. */
static void task_write(struct writer *writer, const struct crn_coroutine *coroutine)
{
    json_t *head = json_object(), *tail = json_object(), *one = json_object();
    json_t *coroutines = json_array();
    crn_json_set(head, "id", crn_json_id(task_id(coroutine)));
    crn_json_set(head, "name", crn_json_text(writer->report->store, coroutine->name));
    crn_json_set(head, "count", crn_json_number(coroutine->count));
    crn_json_set(head, "state", json_string(crn_coro_state_words[coroutine->state]));
    members_write(writer, head, true);
    member_begin(writer, "waits_in");
    if (coroutine->suspended != NULL)
        frame_write(writer, coroutine->suspended->frames[0]);
    else
        fputs("null", writer->file);
    crn_json_set(tail, "retained_bytes", number_or_null(coroutine->retained_bytes, UINT64_MAX));
    crn_json_set(tail, "age_s", age_json(&coroutine->ages));
    crn_json_set(one, "name", crn_json_text(writer->report->store, coroutine->name));
    crn_json_set(one, "mechanism", json_string(crn_mechanism_words[coroutine->mechanism]));
    crn_json_set(one, "state", json_string(crn_coro_state_words[coroutine->state]));
    crn_json_set(one, "count", crn_json_number(coroutine->count));
    crn_json_append(coroutines, one);
    crn_json_set(tail, "coroutines", coroutines);
    members_write(writer, tail, false);
    fputc('}', writer->file);
}

static void process_write(struct writer *writer, const struct crn_process *process)
{
    fputs("\n  { ", writer->file);
    emit(writer, process_head_json(writer, process), JSON_EMBED);
    fputs(",\n    \"leaks\": [", writer->file);
    for (size_t i = 0; i < process->leaks_count; i++) {
        item_begin(writer, i);
        leak_write(writer, process, &process->leaks[i]);
        crn_report_step(writer->report, CRN_WORK_WRITING, i + 1,
                        process->leaks_count + process->coroutines_count);
    }
    fputs("],\n    \"findings\": [", writer->file);
    for (size_t i = 0; i < process->findings_count; i++) {
        item_begin(writer, i);
        finding_write(writer, &process->findings[i]);
    }
    fputs("],\n    \"coroutines\": [", writer->file);
    for (size_t i = 0; i < process->coroutines_count; i++) {
        item_begin(writer, i);
        const struct crn_coroutine *coroutine = &process->coroutines[i];
        coroutine_write(writer, coroutine, coroutine->count);
        crn_report_step(writer->report, CRN_WORK_WRITING, process->leaks_count + i + 1,
                        process->leaks_count + process->coroutines_count);
    }
    fputs("]", writer->file);
    if (process->is_checked &&
        (writer->report->has_coroutines || process->check_kind == CRN_CHECK_LIVE)) {
        fputs(",\n    \"tasks\": [", writer->file);
        for (size_t i = 0; i < process->coroutines_count; i++) {
            item_begin(writer, i);
            task_write(writer, &process->coroutines[i]);
        }
        fputs("]", writer->file);
    }
    if (process->has_live) {
        fputs(",\n    \"live\": [", writer->file);
        for (size_t i = 0; i < process->live_rows_count; i++) {
            item_begin(writer, i);
            live_write(writer, &process->live_rows[i]);
        }
        fputs("]", writer->file);
    }
    fputs(" }", writer->file);
}

struct suppressions_list {
    const struct writer *writer;
    json_t *array;
};

static void suppression_append(const struct crn_suppression *suppression, void *user)
{
    const struct suppressions_list *list = user;
    const char *prefix = crn_suppression_prefix(suppression->kind);
    if (suppression->blocks == 0)
        return;
    json_t *object = json_object();
    crn_json_set(object, "suppression",
                 crn_json_text(list->writer->report->store,
                               crn_store_print(list->writer->report->store, "%s%s", prefix,
                                               suppression->pattern)));
    crn_json_set(object, "blocks", crn_json_number(suppression->blocks));
    crn_json_set(object, "bytes", crn_json_number(suppression->bytes));
    crn_json_append(list->array, object);
}

/* Those that matched, if that was asked for. */
static json_t *suppressions_json(const struct writer *writer)
{
    struct suppressions_list list = {writer, json_array()};
    if (!writer->report->has_suppressions) {
        json_decref(list.array);
        return json_null();
    }
    crn_judge_visit(writer->report->judge, suppression_append, &list);
    return list.array;
}

static json_t *head_json(const struct writer *writer)
{
    const struct crn_report *report = writer->report;
    json_t *object = json_object();
    json_t *warnings = json_array();
    json_t *unnamed = json_array();
    for (size_t i = 0; i < report->warnings_count; i++)
        crn_json_append(warnings, crn_json_text(writer->report->store, report->warnings[i]));
    for (size_t i = 0; i < report->unnamed_count; i++)
        crn_json_append(unnamed, crn_json_text(writer->report->store, report->unnamed[i].path));
    crn_json_set(object, "schema", json_string("coroner-report/1"));
    crn_json_set(object, "coroner", json_string(CORONER_VERSION));
    crn_json_set(object, "warnings", warnings);
    crn_json_set(object, "modules_without_symbols", unnamed);
    crn_json_set(object, "suppressions", suppressions_json(writer));
    return object;
}

void crn_report_write_json(const struct crn_report *report, FILE *file)
{
    size_t frames_count = crn_sym_frames_count(report->sym);
    struct writer writer = {.report = report, .file = file, .frames_max = report->frames_max};
    if (report->frames_written_max != 0 &&
        (writer.frames_max == 0 || writer.frames_max > report->frames_written_max))
        writer.frames_max = report->frames_written_max;
    writer.texts = calloc(frames_count + 1, sizeof *writer.texts);
    if (writer.texts == NULL)
        crn_out_of_memory();
    fputs("{ ", file);
    emit(&writer, head_json(&writer), JSON_EMBED);
    fputs(",\n  \"processes\": [", file);
    for (size_t i = 0; i < report->processes_count; i++) {
        fputs(i == 0 ? "" : ",", file);
        process_write(&writer, &report->processes[i]);
    }
    fputs("] }\n", file);
    for (size_t i = 0; i < frames_count; i++)
        free(writer.texts[i].bytes);
    free(writer.texts);
}
