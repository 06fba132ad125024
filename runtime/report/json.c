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

static json_t *text(const struct writer *writer, const char *value)
{
    return value == NULL ? json_null() : json_string(crn_clean_utf8(writer->report->store, value));
}

static json_t *number(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static json_t *number_or_null(uint64_t value, uint64_t unknown)
{
    return value == unknown ? json_null() : number(value);
}

static json_t *address(uint64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%#llx", (unsigned long long)value);
    return json_string(value == 0 ? "0x0" : digits);
}

static void set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0)
        crn_out_of_memory();
}

static void append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        crn_out_of_memory();
}

static json_t *frame_json(const struct writer *writer, const struct crn_named_frame *frame)
{
    json_t *object = json_object();
    set(object, "function", text(writer, frame->function));
    set(object, "file", text(writer, frame->file));
    set(object, "line", number_or_null(frame->line, 0));
    set(object, "module", text(writer, frame->module));
    set(object, "build_id", text(writer, frame->build_id));
    set(object, "offset", address(frame->offset));
    set(object, "inlined", json_boolean(frame->inlined));
    return object;
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
    json_t *object = frame_json(writer, frame);
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

static void coroutine_write(struct writer *writer, const struct crn_coroutine *coroutine,
                            uint64_t count)
{
    if (coroutine == NULL) {
        fputs("null", writer->file);
        return;
    }
    json_t *head = json_object(), *tail = json_object();
    set(head, "name", text(writer, coroutine->name));
    set(head, "mechanism", json_string(crn_mechanism_words[coroutine->mechanism]));
    set(head, "state", json_string(crn_coro_state_words[coroutine->state]));
    set(head, "count", number(count));
    members_write(writer, head, true);
    member_begin(writer, "created_stack");
    stack_write(writer, coroutine->created);
    member_begin(writer, "suspended_stack");
    stack_write(writer, coroutine->suspended);
    set(tail, "stack_bytes", number_or_null(coroutine->stack_bytes, 0));
    set(tail, "touched_bytes", number_or_null(coroutine->touched_bytes, UINT64_MAX));
    set(tail, "retained_bytes", number_or_null(coroutine->retained_bytes, UINT64_MAX));
    members_write(writer, tail, false);
    fputc('}', writer->file);
}

static json_t *link_json(const struct writer *writer, const struct crn_link *link)
{
    json_t *object = json_object();
    switch (link->kind) {
    case CRN_LINK_ROOT:
        set(object, "kind", json_string("root"));
        set(object, "root", json_string(crn_root_words[link->root]));
        set(object, "name", text(writer, link->name));
        set(object, "module", text(writer, link->module));
        set(object, "offset", number(link->offset));
        break;
    case CRN_LINK_BLOCK:
        set(object, "kind", json_string("block"));
        set(object, "bytes", number(link->bytes));
        set(object, "offset", number(link->offset));
        set(object, "allocated_in", text(writer, link->allocated_in));
        if (link->skipped > 0)
            set(object, "skipped", number(link->skipped));
        break;
    case CRN_LINK_CORO:
        set(object, "kind", json_string("coroutine"));
        set(object, "name", text(writer, link->coroutine != NULL ? link->coroutine->name : NULL));
        set(object, "local", text(writer, link->name));
        set(object, "offset", number(link->offset));
        break;
    case CRN_LINK_LEAK:
        set(object, "kind", json_string("leak"));
        set(object, "bytes", number(link->bytes));
        break;
    }
    return object;
}

/* What a chain to something live ends with: a block of which no word leads on. */
static json_t *last_block_json(const struct writer *writer, const struct crn_link *link)
{
    json_t *object = json_object();
    set(object, "kind", json_string("block"));
    set(object, "bytes", number(link->bytes));
    set(object, "offset", json_null());
    set(object, "allocated_in", text(writer, link->allocated_in));
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
        set(entry, "address", address(object->address));
        set(entry, "bytes", number(object->bytes));
        set(entry, "is_indirect", json_boolean(object->is_indirect));
        fputs(is_first ? "" : ", ", writer->file);
        emit(writer, entry, 0);
    }
    fputc(']', writer->file);
}

static json_t *estimate_json(double value)
{
    return number(crn_count_of(value + 0.5));
}

/* Where what a leak's blocks hold was allocated, as far as samples tell. */
static void behind_write(struct writer *writer, const struct crn_behind *behind)
{
    fputc('[', writer->file);
    for (bool is_first = true; behind != NULL; behind = behind->next, is_first = false) {
        json_t *entry = json_object();
        fputs(is_first ? "{\"alloc_stack\": " : ", {\"alloc_stack\": ", writer->file);
        stack_write(writer, behind->stack);
        set(entry, "sampled_blocks", number(behind->estimate.sampled));
        set(entry, "estimated_blocks", estimate_json(behind->estimate.blocks));
        set(entry, "estimated_bytes", estimate_json(behind->estimate.bytes));
        members_write(writer, entry, false);
        fputc('}', writer->file);
    }
    fputc(']', writer->file);
}

static void leak_write(struct writer *writer, const struct crn_process *process,
                       const struct crn_leak *leak)
{
    char id[20];
    json_t *head = json_object(), *samples = json_object(), *hint = json_object();
    snprintf(id, sizeof id, "%016llx", (unsigned long long)leak->id);
    set(head, "id", json_string(id));
    set(head, "class", json_string(crn_verdict_words[leak->verdict]));
    set(head, "confidence", json_string(crn_confidence_word(leak->confidence)));
    set(head, "why", text(writer, leak->why));
    set(head, "blocks", number(leak->blocks));
    set(head, "bytes", number(leak->bytes));
    set(head, "indirect_blocks", number(leak->indirect_blocks));
    set(head, "indirect_bytes", number(leak->indirect_bytes));
    set(head, "retained_bytes", number(leak->retained_bytes));
    members_write(writer, head, true);
    member_begin(writer, "alloc_stack");
    stack_write(writer, leak->allocated);
    set(samples, "sampled", json_boolean(leak->is_sampled));
    set(samples, "estimated_blocks",
        leak->is_sampled ? estimate_json(leak->estimate.blocks) : json_null());
    set(samples, "estimated_bytes",
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
    set(hint, "hint", json_string(crn_leak_hint(leak)));
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
    set(object, "address", address(finding->object));
    set(object, "bytes", number_or_null(finding->object_bytes, 0));
    set(object, "retained_bytes", number_or_null(finding->object_retained, 0));
    return object;
}

static void finding_write(struct writer *writer, const struct crn_finding *finding)
{
    json_t *kind = json_object(), *object = json_object(), *tail = json_object();
    set(kind, "kind", json_string(crn_finding_words[finding->kind]));
    members_write(writer, kind, true);
    member_begin(writer, "coroutine");
    coroutine_write(writer, finding->coroutine, finding->count);
    set(object, "object", object_json(finding));
    set(object, "scope", text(writer, finding->scope));
    members_write(writer, object, false);
    member_begin(writer, "stack");
    stack_write(writer, finding->stack);
    member_begin(writer, "chain");
    chain_write(writer, &finding->chain, false);
    set(tail, "count", number(finding->count));
    set(tail, "why", text(writer, finding->why));
    members_write(writer, tail, false);
    fputc('}', writer->file);
}

static json_t *coroutine_counts_json(const struct crn_process *process)
{
    json_t *object = json_object();
    set(object, "seen", number(process->coroutines_seen));
    for (unsigned state = 0; state < CRN_CORO_STATE_COUNT; state++)
        set(object, crn_coro_state_words[state], number(process->coroutines_by_state[state]));
    set(object, "resurrected", number(process->coroutines_resurrected));
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
        set(amount, "blocks", number(process->by_verdict[verdict].blocks));
        set(amount, "bytes", number(process->by_verdict[verdict].bytes));
        set(classes, crn_verdict_words[verdict], amount);
    }
    set(object, "leaked_blocks", number(process->leaked.blocks));
    set(object, "leaked_bytes", number(process->leaked.bytes));
    set(object, "likely_blocks", number(process->likely.blocks));
    set(object, "likely_bytes", number(process->likely.bytes));
    set(object, "by_class", classes);
    set(object, "suppressed_blocks", number(process->suppressed.blocks));
    set(object, "suppressed_bytes", number(process->suppressed.bytes));
    set(object, "live_blocks", number(process->live.blocks));
    set(object, "live_bytes", number(process->live.bytes));
    set(object, "allocations", number(process->allocations));
    set(object, "frees", number(process->frees));
    set(object, "peak_bytes", number(process->peak_bytes));
    set(object, "coroutines", coroutine_counts_json(process));
    set(object, "double_frees", number(process->double_frees));
    set(object, "unseen_threads", number(process->unseen_threads));
    set(object, "check_pause_s", json_real(process->check_pause_s));
    set(object, "check_s", json_real(process->check_s));
    set(object, "check_bytes", number(process->check_bytes));
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
        set(object, "up_to_s", number_or_null(crn_age_up_to_s(age), UINT64_MAX));
        set(object, "blocks", number(live->ages[age].blocks));
        set(object, "bytes", number(live->ages[age].bytes));
        append(array, object);
    }
    return array;
}

static json_t *growth_json(const struct crn_live *live)
{
    json_t *object = json_object();
    set(object, "bytes_per_s", seconds_or_null(live->bytes_per_s));
    set(object, "since_s", seconds_or_null(live->since_s));
    set(object, "shape", json_string(crn_growth_words[live->shape]));
    return object;
}

static void live_write(struct writer *writer, const struct crn_live *live)
{
    char id[20];
    json_t *head = json_object(), *tail = json_object();
    snprintf(id, sizeof id, "%016llx", (unsigned long long)live->id);
    set(head, "id", json_string(id));
    set(head, "blocks", number(live->blocks));
    set(head, "bytes", number(live->bytes));
    set(head, "sampled", json_boolean(live->is_sampled));
    set(head, "estimated_blocks",
        live->is_sampled ? estimate_json(live->estimate.blocks) : json_null());
    set(head, "estimated_bytes",
        live->is_sampled ? estimate_json(live->estimate.bytes) : json_null());
    members_write(writer, head, true);
    member_begin(writer, "alloc_stack");
    stack_write(writer, live->allocated);
    set(tail, "retained_bytes", number_or_null(live->retained_bytes, UINT64_MAX));
    set(tail, "ages", ages_json(live));
    set(tail, "growth", growth_json(live));
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
        set(object, sizes[i].key, number_or_null(sizes[i].value, UINT64_MAX));
    const char *limit = crn_limit_words[memory->limit_kind];
    set(object, "limit", limit != NULL ? json_string(limit) : json_null());
    return object;
}

/* When the check ran, what was foreseen of it and what it took; null: there was none. */
static json_t *check_json(struct crn_store *store, const struct crn_process *process)
{
    if (!process->is_checked)
        return json_null();
    json_t *object = json_object();
    set(object, "kind", json_string(crn_check_words[process->check_kind]));
    set(object, "number", number(process->check_number));
    set(object, "uptime_s", json_real(process->duration_s));
    set(object, "predicted_pause_s",
        process->predicted_pause_s < 0 ? json_null() : json_real(process->predicted_pause_s));
    set(object, "copied_bytes", number(process->copied_bytes));
    set(object, "last", crn_since_json(store, process->since));
    return object;
}

/* How the process ended; null: it had not. */
static json_t *exit_json(const struct crn_process *process)
{
    if (process->goes_on)
        return json_null();
    json_t *object = json_object();
    set(object, "code", process->exit_code < 0 ? json_null() : json_integer(process->exit_code));
    set(object, "signal",
        process->exit_signal == 0 ? json_null() : json_integer(process->exit_signal));
    return object;
}

static json_t *process_head_json(const struct writer *writer, const struct crn_process *process)
{
    json_t *object = json_object();
    json_t *argv = json_array();
    for (uint32_t i = 0; i < process->argc; i++)
        append(argv, text(writer, process->argv[i]));
    set(object, "pid", number(process->pid));
    set(object, "parent_pid", number(process->parent_pid));
    set(object, "exe", text(writer, process->exe));
    set(object, "argv", argv);
    set(object, "exit", exit_json(process));
    set(object, "duration_s", json_real(process->duration_s));
    set(object, "check", check_json(writer->report->store, process));
    set(object, "sample_bytes", number_or_null(process->sample_bytes, 0));
    set(object, "summary", summary_json(process));
    set(object, "memory", memory_json(process));
    set(object, "leaks_left_out", number(process->leaks_left_out));
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
    char id[20];
    json_t *head = json_object(), *tail = json_object(), *one = json_object();
    json_t *coroutines = json_array();
    snprintf(id, sizeof id, "%016llx", (unsigned long long)task_id(coroutine));
    set(head, "id", json_string(id));
    set(head, "name", text(writer, coroutine->name));
    set(head, "count", number(coroutine->count));
    set(head, "state", json_string(crn_coro_state_words[coroutine->state]));
    members_write(writer, head, true);
    member_begin(writer, "waits_in");
    if (coroutine->suspended != NULL)
        frame_write(writer, coroutine->suspended->frames[0]);
    else
        fputs("null", writer->file);
    set(tail, "retained_bytes", number_or_null(coroutine->retained_bytes, UINT64_MAX));
    set(tail, "age_s", json_null());
    set(one, "name", text(writer, coroutine->name));
    set(one, "mechanism", json_string(crn_mechanism_words[coroutine->mechanism]));
    set(one, "state", json_string(crn_coro_state_words[coroutine->state]));
    set(one, "count", number(coroutine->count));
    append(coroutines, one);
    set(tail, "coroutines", coroutines);
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
    set(object, "suppression",
        text(list->writer,
             crn_store_print(list->writer->report->store, "%s%s", prefix, suppression->pattern)));
    set(object, "blocks", number(suppression->blocks));
    set(object, "bytes", number(suppression->bytes));
    append(list->array, object);
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
        append(warnings, text(writer, report->warnings[i]));
    for (size_t i = 0; i < report->unnamed_count; i++)
        append(unnamed, text(writer, report->unnamed[i].path));
    set(object, "schema", json_string("coroner-report/1"));
    set(object, "coroner", json_string(CORONER_VERSION));
    set(object, "warnings", warnings);
    set(object, "modules_without_symbols", unnamed);
    set(object, "suppressions", suppressions_json(writer));
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
