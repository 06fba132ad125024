/*
 * Reads a JSON report back.  See read_json.h.
 *
 * jansson makes a tree of the text, whose smallest value takes thirty times its two or three
 * characters, or more; what that may take is counted while it is made.  Then each object is taken
 * by its keys.  The first thing that is not what README.md says ends it.
 */
#include "report/read_json.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "report/judge.h"
#include "report/words.h"

enum { ARGUMENTS_MAX = 1 << 16, STACK_FRAMES_MAX = 1 << 16 };
#define SCHEMA "coroner-report/1"

struct reader {
    struct crn_report *report;
    const char *name;
    char *message;
    size_t message_bytes;
    bool has_failed;       /* and why stands in the message */
    uint32_t frames_count; /* so far */
};

static void refuse(struct reader *reader, const char *format, ...) CRN_PRINTF(2, 3);

/* The first one counts. */
static void refuse(struct reader *reader, const char *format, ...)
{
    char what[200];
    va_list arguments;
    if (reader->has_failed)
        return;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    snprintf(reader->message, reader->message_bytes, "'%s' %s", reader->name, what);
    reader->has_failed = true;
}

static void refuse_key(struct reader *reader, const char *key)
{
    refuse(reader, "is no JSON report of this version: '%s' is not what it should be", key);
}

static const char *text_of(const struct reader *reader, const json_t *value)
{
    return crn_store_name(reader->report->store, json_string_value(value));
}

/* A text; NULL when it is not known. */
static const char *text_get(struct reader *reader, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL || json_is_null(value))
        return NULL;
    if (!json_is_string(value))
        refuse_key(reader, key);
    return text_of(reader, value);
}

/* A count; `unknown` when it is not known. */
static uint64_t count_get(struct reader *reader, const json_t *object, const char *key,
                          uint64_t unknown)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL || json_is_null(value))
        return unknown;
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        refuse_key(reader, key);
        return unknown;
    }
    return (uint64_t)json_integer_value(value);
}

static double seconds_get(struct reader *reader, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (value != NULL && !json_is_null(value) && !json_is_number(value))
        refuse_key(reader, key);
    return json_number_value(value);
}

/* An address: "0x1f". */
static uint64_t address_get(struct reader *reader, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    char *end = NULL;
    if (text == NULL)
        return 0;
    uint64_t value = strtoull(text, &end, 16);
    if (end == text || *end != 0)
        refuse_key(reader, key);
    return value;
}

/* Which of the words it is; `unknown` for null. */
static unsigned word_get(struct reader *reader, const json_t *object, const char *key,
                         const char *const *words, unsigned count, unsigned unknown)
{
    const char *text = json_string_value(json_object_get(object, key));
    for (unsigned i = 0; text != NULL && i < count; i++)
        if (words[i] != NULL && strcmp(words[i], text) == 0)
            return i;
    if (text != NULL || unknown == count)
        refuse_key(reader, key);
    return unknown;
}

/* An array; NULL when there is none. */
static const json_t *array_get(struct reader *reader, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL || json_is_null(value))
        return NULL;
    if (!json_is_array(value))
        refuse_key(reader, key);
    return json_is_array(value) ? value : NULL;
}

/* An object; NULL when there is none. */
static const json_t *object_get(struct reader *reader, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL || json_is_null(value))
        return NULL;
    if (!json_is_object(value))
        refuse_key(reader, key);
    return json_is_object(value) ? value : NULL;
}

static uint32_t text_bytes(const char *text)
{
    return text != NULL ? (uint32_t)strlen(text) : 0;
}

static const struct crn_named_frame *frame_take(struct reader *reader, const json_t *object)
{
    struct crn_store *store = reader->report->store;
    struct crn_named_frame *frame = crn_store_bytes(store, sizeof *frame);
    if (!json_is_object(object))
        refuse_key(reader, "a frame");
    frame->function = text_get(reader, object, "function");
    frame->file = text_get(reader, object, "file");
    frame->line = (unsigned)count_get(reader, object, "line", 0);
    frame->module = text_get(reader, object, "module");
    frame->build_id = text_get(reader, object, "build_id");
    frame->offset = address_get(reader, object, "offset");
    frame->index = reader->frames_count++;
    frame->inlined = json_is_true(json_object_get(object, "inlined"));
    frame->text_bytes =
        text_bytes(frame->function) + text_bytes(frame->file) + text_bytes(frame->module);
    /* A reader tells frames apart by function and line, or else by their place in the module. */
    frame->alike =
        frame->function != NULL
            ? crn_store_print(store, "%s\n%s:%u", frame->function,
                              frame->file != NULL ? frame->file : "", frame->line)
            : crn_store_print(store, "\n%s+%llx", frame->module != NULL ? frame->module : "",
                              (unsigned long long)frame->offset);
    return frame;
}

static const struct crn_stack *stack_take(struct reader *reader, const json_t *object,
                                          const char *key)
{
    const json_t *array = array_get(reader, object, key);
    size_t count = json_array_size(array);
    if (count == 0)
        return NULL;
    if (count > STACK_FRAMES_MAX) {
        refuse_key(reader, key);
        return NULL;
    }
    const struct crn_named_frame **frames =
        crn_store_bytes(reader->report->store, count * sizeof(struct crn_named_frame *));
    for (size_t i = 0; i < count; i++)
        frames[i] = frame_take(reader, json_array_get(array, i));
    struct crn_stack *stack = crn_store_bytes(reader->report->store, sizeof *stack);
    *stack = (struct crn_stack){.frames = frames, .count = (uint32_t)count};
    return stack;
}

static void coroutine_take(struct reader *reader, const json_t *object,
                           struct crn_coroutine *coroutine)
{
    if (!json_is_object(object))
        refuse_key(reader, "a coroutine");
    *coroutine = (struct crn_coroutine){
        .name = text_get(reader, object, "name"),
        .mechanism = word_get(reader, object, "mechanism", crn_mechanism_words, CRN_MECHANISM_COUNT,
                              CRN_MECHANISM_COUNT),
        .state = word_get(reader, object, "state", crn_coro_state_words, CRN_CORO_STATE_COUNT,
                          CRN_CORO_STATE_COUNT),
        .count = count_get(reader, object, "count", 1),
        .created = stack_take(reader, object, "created_stack"),
        .suspended = stack_take(reader, object, "suspended_stack"),
        .stack_bytes = count_get(reader, object, "stack_bytes", 0),
        .touched_bytes = count_get(reader, object, "touched_bytes", UINT64_MAX),
        .retained_bytes = count_get(reader, object, "retained_bytes", UINT64_MAX),
        .ages = {-1, -1, -1},
    };
}

static void link_take(struct reader *reader, const json_t *object, struct crn_link *link)
{
    static const char *const kinds[] = {[CRN_LINK_ROOT] = "root",
                                        [CRN_LINK_BLOCK] = "block",
                                        [CRN_LINK_CORO] = "coroutine",
                                        [CRN_LINK_LEAK] = "leak"};
    struct crn_store *store = reader->report->store;
    const unsigned count = CRN_COUNT_OF(kinds);
    link->kind = word_get(reader, object, "kind", kinds, count, count);
    link->offset = count_get(reader, object, "offset", 0);
    link->bytes = count_get(reader, object, "bytes", 0);
    if (link->kind == CRN_LINK_ROOT)
        link->root = word_get(reader, object, "root", crn_root_words, CRN_ROOT_KIND_COUNT,
                              CRN_ROOT_KIND_COUNT);
    if (link->kind == CRN_LINK_CORO) {
        struct crn_coroutine *coroutine = crn_store_bytes(store, sizeof *coroutine);
        coroutine->name = text_get(reader, object, "name");
        link->coroutine = coroutine;
        link->name = text_get(reader, object, "local");
    } else {
        link->name = text_get(reader, object, "name");
    }
    link->module = text_get(reader, object, "module");
    link->allocated_in = text_get(reader, object, "allocated_in");
}

static struct crn_chain chain_take(struct reader *reader, const json_t *object, bool is_live)
{
    const json_t *array = array_get(reader, object, "chain");
    size_t count = json_array_size(array);
    struct crn_link *links = crn_store_bytes(reader->report->store, count * sizeof *links);
    for (size_t i = 0; i < count && !reader->has_failed; i++)
        link_take(reader, json_array_get(array, i), &links[i]);
    if (is_live && count > 0 && links[count - 1].kind == CRN_LINK_BLOCK)
        links[count - 1].kind =
            CRN_LINK_LEAK; /* the model has one kind for what a chain ends with */
    return (struct crn_chain){links, (uint32_t)count};
}

/* An id: 16 hexadecimal digits. */
static uint64_t id_get(struct reader *reader, const json_t *object)
{
    const char *text = json_string_value(json_object_get(object, "id"));
    if (text == NULL || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16) {
        refuse_key(reader, "id");
        return 0;
    }
    return strtoull(text, NULL, 16);
}

static void leak_take(struct reader *reader, const json_t *object, struct crn_leak *leak)
{
    static const char *const confidences[] = {[CRN_LIKELY] = "likely", [CRN_PROVEN] = "proven"};
    const unsigned confidences_count = CRN_COUNT_OF(confidences);
    struct crn_store *store = reader->report->store;
    leak->id = id_get(reader, object);
    leak->verdict =
        word_get(reader, object, "class", crn_verdict_words, CRN_VERDICT_COUNT, CRN_VERDICT_COUNT);
    leak->confidence =
        word_get(reader, object, "confidence", confidences, confidences_count, confidences_count);
    if (leak->verdict == CRN_VERDICT_LIVE)
        refuse_key(reader, "class");
    leak->why = text_get(reader, object, "why");
    leak->blocks = count_get(reader, object, "blocks", 0);
    leak->bytes = count_get(reader, object, "bytes", 0);
    leak->indirect_blocks = count_get(reader, object, "indirect_blocks", 0);
    leak->indirect_bytes = count_get(reader, object, "indirect_bytes", 0);
    leak->retained_bytes = count_get(reader, object, "retained_bytes", 0);
    leak->ages = (struct crn_age_range){-1, -1, -1};
    leak->is_sampled = json_is_true(json_object_get(object, "sampled"));
    leak->estimate.blocks = (double)count_get(reader, object, "estimated_blocks", 0);
    leak->estimate.bytes = (double)count_get(reader, object, "estimated_bytes", 0);
    leak->estimate.sampled = leak->is_sampled ? leak->blocks : 0;
    leak->allocated = stack_take(reader, object, "alloc_stack");
    leak->chain = chain_take(reader, object, false);
    const json_t *holder = object_get(reader, object, "coroutine");
    if (holder != NULL && !reader->has_failed) {
        struct crn_coroutine *coroutine = crn_store_bytes(store, sizeof *coroutine);
        coroutine_take(reader, holder, coroutine);
        leak->coroutine = coroutine;
        leak->coroutine_count = coroutine->count;
    }
}

static struct crn_amount amount_get(struct reader *reader, const json_t *object, const char *blocks,
                                    const char *bytes)
{
    return (struct crn_amount){count_get(reader, object, blocks, 0),
                               count_get(reader, object, bytes, 0)};
}

static void summary_take(struct reader *reader, const json_t *summary, struct crn_process *process)
{
    const json_t *classes = object_get(reader, summary, "by_class");
    const json_t *coroutines = object_get(reader, summary, "coroutines");
    process->leaked = amount_get(reader, summary, "leaked_blocks", "leaked_bytes");
    process->likely = amount_get(reader, summary, "likely_blocks", "likely_bytes");
    process->suppressed = amount_get(reader, summary, "suppressed_blocks", "suppressed_bytes");
    process->live = amount_get(reader, summary, "live_blocks", "live_bytes");
    for (unsigned verdict = CRN_VERDICT_STALE; verdict < CRN_VERDICT_COUNT; verdict++)
        process->by_verdict[verdict] = amount_get(
            reader, object_get(reader, classes, crn_verdict_words[verdict]), "blocks", "bytes");
    process->allocations = count_get(reader, summary, "allocations", 0);
    process->frees = count_get(reader, summary, "frees", 0);
    process->peak_bytes = count_get(reader, summary, "peak_bytes", 0);
    process->coroutines_seen = count_get(reader, coroutines, "seen", 0);
    for (unsigned state = 0; state < CRN_CORO_STATE_COUNT; state++)
        process->coroutines_by_state[state] =
            count_get(reader, coroutines, crn_coro_state_words[state], 0);
    process->coroutines_resurrected = count_get(reader, coroutines, "resurrected", 0);
    process->unseen_threads = count_get(reader, summary, "unseen_threads", 0);
    process->double_frees = count_get(reader, summary, "double_frees", 0);
    process->check_pause_s = seconds_get(reader, summary, "check_pause_s");
    process->check_s = seconds_get(reader, summary, "check_s");
    process->check_bytes = count_get(reader, summary, "check_bytes", 0);
}

static uint64_t less(uint64_t from, uint64_t part)
{
    return from > part ? from - part : 0;
}

static void amount_move(struct crn_amount *from, struct crn_amount *to, const struct crn_leak *leak)
{
    uint64_t blocks = leak->blocks + leak->indirect_blocks;
    uint64_t bytes = leak->bytes + leak->indirect_bytes;
    *from = (struct crn_amount){less(from->blocks, blocks), less(from->bytes, bytes)};
    if (to != NULL)
        *to = (struct crn_amount){to->blocks + blocks, to->bytes + bytes};
}

static void leaks_take(struct reader *reader, const json_t *object, struct crn_process *process)
{
    const json_t *array = array_get(reader, object, "leaks");
    size_t count = json_array_size(array), kept = 0;
    struct crn_leak *leaks = crn_store_bytes(reader->report->store, count * sizeof *leaks);
    for (size_t i = 0; i < count && !reader->has_failed; i++) {
        struct crn_leak *leak = &leaks[kept];
        *leak = (struct crn_leak){.row = i};
        leak_take(reader, json_array_get(array, i), leak);
        if (reader->has_failed)
            return;
        if (crn_judge_find(reader->report->judge, leak) == NULL) {
            kept++;
            continue;
        }
        amount_move(&process->leaked, &process->suppressed, leak);
        amount_move(&process->by_verdict[leak->verdict], NULL, leak);
        if (leak->confidence == CRN_LIKELY)
            amount_move(&process->likely, NULL, leak);
    }
    process->leaks = leaks;
    process->leaks_count = kept;
    process->leaks_left_out = count_get(reader, object, "leaks_left_out", 0);
}

static void coroutines_take(struct reader *reader, const json_t *object,
                            struct crn_process *process)
{
    const json_t *array = array_get(reader, object, "coroutines");
    size_t count = json_array_size(array);
    struct crn_coroutine *rows = crn_store_bytes(reader->report->store, count * sizeof *rows);
    for (size_t i = 0; i < count && !reader->has_failed; i++)
        coroutine_take(reader, json_array_get(array, i), &rows[i]);
    process->coroutines = rows;
    process->coroutines_count = count;
}

static double seconds_or_unknown(struct reader *reader, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value == NULL || json_is_null(value) ? -1 : seconds_get(reader, object, key);
}

static void live_take(struct reader *reader, const json_t *object, struct crn_live *live)
{
    live->id = id_get(reader, object);
    live->blocks = count_get(reader, object, "blocks", 0);
    live->bytes = count_get(reader, object, "bytes", 0);
    live->is_sampled = json_is_true(json_object_get(object, "sampled"));
    live->estimate.blocks = (double)count_get(reader, object, "estimated_blocks", 0);
    live->estimate.bytes = (double)count_get(reader, object, "estimated_bytes", 0);
    live->estimate.sampled = live->is_sampled ? live->blocks : 0;
    live->retained_bytes = count_get(reader, object, "retained_bytes", UINT64_MAX);
    live->allocated = stack_take(reader, object, "alloc_stack");
    live->chain = chain_take(reader, object, true);
    const json_t *ages = array_get(reader, object, "ages");
    for (unsigned age = 0; age < CRN_AGE_COUNT; age++) {
        const json_t *of_age = json_array_get(ages, age);
        live->ages[age].blocks = count_get(reader, of_age, "blocks", 0);
        live->ages[age].bytes = count_get(reader, of_age, "bytes", 0);
    }
    const json_t *growth = object_get(reader, object, "growth");
    live->bytes_per_s = seconds_or_unknown(reader, growth, "bytes_per_s");
    live->since_s = seconds_or_unknown(reader, growth, "since_s");
    live->shape = word_get(reader, growth, "shape", crn_growth_words, CRN_GROWTH_SHAPE_COUNT,
                           CRN_GROWTH_UNKNOWN);
}

static void live_rows_take(struct reader *reader, const json_t *object, struct crn_process *process)
{
    const json_t *array = array_get(reader, object, "live");
    size_t count = json_array_size(array);
    struct crn_live *rows = crn_store_bytes(reader->report->store, count * sizeof *rows);
    for (size_t i = 0; i < count && !reader->has_failed; i++)
        live_take(reader, json_array_get(array, i), &rows[i]);
    process->has_live = array != NULL;
    process->live_rows = rows;
    process->live_rows_count = count;
}

static void memory_take(struct reader *reader, const json_t *object, struct crn_process *process)
{
    const json_t *memory = object_get(reader, object, "memory");
    struct crn_record_memory *to = &process->memory;
    const struct {
        const char *key;
        uint64_t *value;
    } sizes[] = {{"resident_bytes", &to->resident_bytes},
                 {"heap_bytes", &to->heap_bytes},
                 {"stacks_bytes", &to->stacks_bytes},
                 {"idle_stacks_bytes", &to->idle_stacks_bytes},
                 {"thread_stacks_bytes", &to->thread_stacks_bytes},
                 {"mappings_bytes", &to->mappings_bytes},
                 {"own_bytes", &to->own_bytes},
                 {"limit_bytes", &to->limit_bytes},
                 {"left_bytes", &to->left_bytes}};
    process->has_memory = memory != NULL;
    for (unsigned i = 0; i < CRN_COUNT_OF(sizes); i++)
        *sizes[i].value = count_get(reader, memory, sizes[i].key, UINT64_MAX);
    to->limit_kind =
        word_get(reader, memory, "limit", crn_limit_words, CRN_LIMIT_KIND_COUNT, CRN_LIMIT_UNKNOWN);
}

/* When the check ran, and what was foreseen of it. */
static void check_take(struct reader *reader, const json_t *object, struct crn_process *process)
{
    const json_t *check = object_get(reader, object, "check");
    process->check_kind =
        word_get(reader, check, "kind", crn_check_words, CRN_CHECK_KIND_COUNT, CRN_CHECK_END);
    process->check_number = count_get(reader, check, "number", 0);
    process->predicted_pause_s = seconds_or_unknown(reader, check, "predicted_pause_s");
    process->copied_bytes = count_get(reader, check, "copied_bytes", 0);
}

static void arguments_take(struct reader *reader, const json_t *object, struct crn_process *process)
{
    const json_t *array = array_get(reader, object, "argv");
    size_t count = json_array_size(array);
    if (count > ARGUMENTS_MAX)
        count = ARGUMENTS_MAX;
    const char **argv = crn_store_bytes(reader->report->store, (count + 1) * sizeof *argv);
    for (size_t i = 0; i < count; i++) {
        const json_t *argument = json_array_get(array, i);
        if (!json_is_string(argument))
            refuse_key(reader, "argv");
        argv[i] = text_of(reader, argument);
    }
    process->argv = argv;
    process->argc = (uint32_t)count;
}

static void process_take(struct reader *reader, const json_t *object)
{
    struct crn_report *report = reader->report;
    struct crn_process process = {.exit_code = -1};
    if (!json_is_object(object))
        refuse_key(reader, "processes");
    process.pid = count_get(reader, object, "pid", 0);
    process.parent_pid = count_get(reader, object, "parent_pid", 0);
    process.exe = text_get(reader, object, "exe");
    process.duration_s = seconds_get(reader, object, "duration_s");
    process.sample_bytes = count_get(reader, object, "sample_bytes", 0);
    arguments_take(reader, object, &process);
    const json_t *summary = object_get(reader, object, "summary");
    process.is_checked = summary != NULL;
    if (summary != NULL)
        summary_take(reader, summary, &process);
    leaks_take(reader, object, &process);
    coroutines_take(reader, object, &process);
    check_take(reader, object, &process);
    live_rows_take(reader, object, &process);
    memory_take(reader, object, &process);
    report->processes = crn_grow(report->processes, report->processes_count,
                                 &report->processes_room, sizeof *report->processes);
    report->processes[report->processes_count++] = process;
}

static void report_take(struct reader *reader, const json_t *root)
{
    const char *schema = json_string_value(json_object_get(root, "schema"));
    if (schema == NULL || strcmp(schema, SCHEMA) != 0) {
        refuse(reader, "is no JSON report: its schema is '%.40s', not '" SCHEMA "'",
               schema != NULL ? schema : "");
        return;
    }
    const json_t *array = array_get(reader, root, "processes");
    if (array == NULL)
        refuse_key(reader, "processes");
    for (size_t i = 0; i < json_array_size(array) && !reader->has_failed; i++)
        process_take(reader, json_array_get(array, i));
}

/* What jansson may still take; it is asked for by functions without an argument of ours. */
static size_t budget;
static bool is_over_budget;

static void *budget_malloc(size_t bytes)
{
    void *taken = bytes <= budget ? malloc(bytes) : NULL;
    if (taken == NULL) {
        is_over_budget = true;
        return NULL;
    }
    size_t usable = malloc_usable_size(taken) + sizeof(size_t);
    budget -= usable < budget ? usable : budget;
    return taken;
}

static void budget_free(void *taken)
{
    if (taken != NULL)
        budget += malloc_usable_size(taken) + sizeof(size_t);
    free(taken);
}

enum crn_status crn_report_add_json(struct crn_report *report, const char *bytes, size_t count,
                                    const char *name, char *message, size_t message_bytes)
{
    struct reader reader = {report, name, message, message_bytes, false, 0};
    char none[8];
    json_error_t error;
    *message = 0;
    budget = ((size_t)64 << 20) + 32 * count;
    is_over_budget = false;
    json_set_alloc_funcs(budget_malloc, budget_free);
    json_t *root = json_loadb(bytes, count, 0, &error);
    json_set_alloc_funcs(malloc, free);
    if (root == NULL && is_over_budget) {
        refuse(&reader, "takes too much memory to read: is it a report of Coroner?");
        return CRN_ERR_NO_MEMORY;
    }
    if (root == NULL) {
        refuse(&reader, "is neither a recording nor a whole JSON report: line %d: %s", error.line,
               error.text);
        return CRN_ERR_FORMAT;
    }
    report->recorded_bytes += count;
    crn_judge_begin(report->judge, "", none, sizeof none);
    report_take(&reader, root);
    json_decref(root);
    return reader.has_failed ? CRN_ERR_FORMAT : CRN_OK;
}
