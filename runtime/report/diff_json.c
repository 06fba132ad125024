/*
 * A comparison for programs: "coroner-diff/1", see README.md.  A row at a time is in memory.
 */
#include "report/diff.h"

#include "report/escape.h"
#include "report/json_values.h"
#include "report/words.h"

enum { FLAGS = JSON_REAL_PRECISION(9) };

struct writer {
    struct crn_store *store;
    uint32_t frames_max;
    FILE *file;
};

static void emit(const struct writer *writer, json_t *value, size_t flags)
{
    crn_json_write(value, writer->file, FLAGS | flags);
    json_decref(value);
}

/* What one side says of a row. */
static json_t *amounts_json(const struct crn_diff_row *row, const struct crn_diff_amounts *amounts)
{
    if (amounts->entries == 0)
        return json_null();
    json_t *object = json_object();
    if (row->coroutine != NULL) {
        crn_json_set(object, "count", crn_json_number(amounts->blocks));
        crn_json_set(object, "stack_bytes", crn_json_number(amounts->bytes));
        return object;
    }
    crn_json_set(object, "blocks", crn_json_number(amounts->blocks));
    crn_json_set(object, "bytes", crn_json_number(amounts->bytes));
    crn_json_set(object, "is_estimate", json_boolean(amounts->variance > 0));
    if (row->live != NULL)
        return object;
    crn_json_set(object, "indirect_blocks", crn_json_number(amounts->indirect_blocks));
    crn_json_set(object, "indirect_bytes", crn_json_number(amounts->indirect_bytes));
    crn_json_set(
        object, "confidence",
        json_string(crn_confidence_word(amounts->proven_blocks > 0 ? CRN_PROVEN : CRN_LIKELY)));
    return object;
}

static json_t *coroutine_json(const struct writer *writer, const struct crn_coroutine *coroutine)
{
    if (coroutine == NULL)
        return json_null();
    json_t *object = json_object();
    crn_json_set(object, "name", crn_json_text(writer->store, coroutine->name));
    crn_json_set(object, "mechanism", json_string(crn_mechanism_words[coroutine->mechanism]));
    crn_json_set(object, "state", json_string(crn_coro_state_words[coroutine->state]));
    crn_json_set(object, "created_stack",
                 crn_json_stack(writer->store, coroutine->created, writer->frames_max));
    crn_json_set(object, "suspended_stack",
                 crn_json_stack(writer->store, coroutine->suspended, writer->frames_max));
    return object;
}

static json_t *row_json(const struct writer *writer, const struct crn_diff_row *row)
{
    const struct crn_leak *leak = row->leak;
    json_t *object = json_object();
    crn_json_set(object, "id", crn_json_id(row->id));
    if (leak != NULL)
        crn_json_set(object, "class", json_string(crn_verdict_words[leak->verdict]));
    crn_json_set(object, "old", amounts_json(row, &row->old));
    crn_json_set(object, "new", amounts_json(row, &row->new));
    if (leak != NULL) {
        crn_json_set(object, "newly_proven", json_boolean(row->is_proven));
        crn_json_set(object, "alloc_stack",
                     crn_json_stack(writer->store, leak->allocated, writer->frames_max));
        crn_json_set(object, "coroutine", coroutine_json(writer, leak->coroutine));
        crn_json_set(object, "hint", crn_json_text(writer->store, crn_leak_hint(leak)));
    } else if (row->live != NULL) {
        crn_json_set(object, "alloc_stack",
                     crn_json_stack(writer->store, row->live->allocated, writer->frames_max));
        crn_json_set(object, "shape", json_string(crn_growth_words[row->live->shape]));
    } else {
        crn_json_set(object, "doubled", json_boolean(crn_diff_has_doubled(row)));
        crn_json_set(object, "coroutine", coroutine_json(writer, row->coroutine));
    }
    return object;
}

static void list_write(const struct writer *writer, const char *name, bool is_known,
                       const struct crn_diff_list *list)
{
    if (!is_known) {
        fprintf(writer->file, ",\n    \"%s\": null", name);
        return;
    }
    fprintf(writer->file, ",\n    \"%s\": { \"unchanged\": %zu", name,
            list->counts[CRN_CHANGE_NONE]);
    for (unsigned change = 0; change < CRN_CHANGE_NONE; change++) {
        const struct crn_diff_row *rows = crn_diff_rows(list, change);
        fprintf(writer->file, ",\n      \"%s\": [", crn_change_words[change]);
        for (size_t i = 0; i < list->counts[change]; i++) {
            fputs(i == 0 ? "\n        " : ",\n        ", writer->file);
            emit(writer, row_json(writer, &rows[i]), 0);
        }
        fputc(']', writer->file);
    }
    fputs(" }", writer->file);
}

static json_t *side_json(const struct crn_diff_side *side)
{
    if (side->count == 0)
        return json_null();
    json_t *object = json_object();
    json_t *pids = json_array();
    double duration_s = 0;
    for (size_t i = 0; i < side->count; i++) {
        crn_json_append(pids, crn_json_number(side->processes[i]->pid));
        if (side->processes[i]->duration_s > duration_s)
            duration_s = side->processes[i]->duration_s;
    }
    crn_json_set(object, "pids", pids);
    crn_json_set(object, "checked", crn_json_number(side->checked_count));
    crn_json_set(object, "duration_s", json_real(duration_s));
    const struct {
        const char *key;
        uint64_t value;
    } sums[] = {{"leaked_blocks", side->leaked.blocks}, {"leaked_bytes", side->leaked.bytes},
                {"likely_blocks", side->likely.blocks}, {"likely_bytes", side->likely.bytes},
                {"live_blocks", side->live.blocks},     {"live_bytes", side->live.bytes},
                {"coroutines", side->coroutines},       {"resurrected", side->resurrected}};
    for (unsigned i = 0; i < CRN_COUNT_OF(sums); i++)
        crn_json_set(object, sums[i].key,
                     side->checked_count > 0 ? crn_json_number(sums[i].value) : json_null());
    return object;
}

static void program_write(const struct writer *writer, const struct crn_diff_program *program)
{
    const struct crn_process *process =
        program->new.count > 0 ? program->new.processes[0] : program->old.processes[0];
    json_t *head = json_object(), *argv = json_array();
    for (uint32_t i = 0; i < process->argc; i++)
        crn_json_append(argv, crn_json_text(writer->store, process->argv[i]));
    crn_json_set(head, "exe", crn_json_text(writer->store, process->exe));
    crn_json_set(head, "argv", argv);
    crn_json_set(head, "old", side_json(&program->old));
    crn_json_set(head, "new", side_json(&program->new));
    fputs("{ ", writer->file);
    emit(writer, head, JSON_EMBED);
    list_write(writer, "leaks", program->is_compared, &program->leaks);
    list_write(writer, "live", program->has_live, &program->live);
    list_write(writer, "coroutines", program->has_coroutines, &program->coroutines);
    fputs(" }", writer->file);
}

static void warning_append(const char *text, void *user)
{
    crn_json_append(user, json_string(text));
}

static json_t *input_json(const struct writer *writer, const char *path, const char *kind)
{
    json_t *object = json_object();
    crn_json_set(object, "path", crn_json_text(writer->store, path));
    crn_json_set(object, "kind", json_string(kind));
    return object;
}

void crn_diff_write_json(const struct crn_diff *diff, const struct crn_diff_names *names,
                         uint32_t frames_max, FILE *file)
{
    struct writer writer = {diff->store, frames_max, file};
    json_t *head = json_object(), *warnings = json_array();
    crn_diff_warnings(diff, names, warning_append, warnings);
    crn_json_set(head, "schema", json_string("coroner-diff/1"));
    crn_json_set(head, "coroner", json_string(CORONER_VERSION));
    crn_json_set(head, "warnings", warnings);
    crn_json_set(head, "old", input_json(&writer, names->old, names->old_kind));
    crn_json_set(head, "new", input_json(&writer, names->new, names->new_kind));
    crn_json_set(head, "has_new_proven", json_boolean(crn_diff_is_worse(diff, false)));
    fputs("{ ", file);
    emit(&writer, head, JSON_EMBED);
    fputs(",\n  \"programs\": [", file);
    for (size_t i = 0; i < diff->count; i++) {
        fputs(i == 0 ? "\n  " : ",\n  ", file);
        program_write(&writer, &diff->programs[i]);
    }
    fputs("] }\n", file);
}
