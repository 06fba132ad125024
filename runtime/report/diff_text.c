/*
 * A comparison for a person: what changed, each with the line to look at, and a sum.  Shrunk rows
 * are only counted; of what is alive, told is what became more by a fiftieth of the heap.
 */
#include "report/diff.h"

#include <string.h>

#include "report/clean.h"
#include "report/names.h"
#include "report/page.h"
#include "report/words.h"

enum { NEW_FRAMES = 4, OTHER_FRAMES = 2, INDENT = 9 };

void crn_diff_warnings(const struct crn_diff *diff, const struct crn_diff_names *names,
                       void (*visit)(const char *text, void *user), void *user)
{
    size_t unchecked[2] = {0}, partial[2] = {0};
    const char *const words[2] = {names->old, names->new};
    for (size_t i = 0; i < diff->count; i++) {
        const struct crn_diff_side *sides[2] = {&diff->programs[i].old, &diff->programs[i].new};
        for (unsigned j = 0; j < 2; j++) {
            unchecked[j] += sides[j]->count - sides[j]->checked_count;
            partial[j] += sides[j]->is_partial;
        }
    }
    for (unsigned j = 0; j < 2; j++) {
        const char *name = crn_clean_line(diff->store, words[j]);
        if (unchecked[j] > 0)
            visit(crn_store_print(diff->store,
                                  "%zu of the processes in %s %s not checked: nothing is said of "
                                  "what they leaked",
                                  unchecked[j], name, unchecked[j] == 1 ? "was" : "were"),
                  user);
        if (partial[j] > 0)
            visit(crn_store_print(diff->store,
                                  "%s does not name every leak (its stacks were sampled, or it was "
                                  "cut by --max-leaks): what seems %s may have been there",
                                  name, j == 0 ? "new" : "gone"),
                  user);
    }
}

static void warning_print(const char *text, void *user)
{
    const struct crn_page *page = user;
    crn_page_print(page, CRN_STYLE_BOLD, "coroner: warning:");
    fprintf(page->file, " %s\n", text);
}

/* A stack from the frame on that is to be looked at first. */
static void stack_print(struct crn_page *page, const struct crn_stack *stack, uint32_t frames_max)
{
    uint32_t at = 0;
    if (stack == NULL || stack->count == 0)
        return;
    const struct crn_named_frame *point = crn_stack_point(stack);
    while (stack->frames[at] != point)
        at++;
    struct crn_stack rest = {stack->frames + at, stack->count - at, 0};
    page->frames_max = frames_max;
    crn_page_stack(page, &rest, INDENT);
    page->frames_max = 0;
}

static const char *about(const struct crn_diff_amounts *amounts)
{
    return amounts->variance > 0 ? "about " : "";
}

/* "60,000 bytes in 3 blocks, and 16 bytes in 1 block behind them". */
static void amounts_print(const struct crn_page *page, const struct crn_diff_amounts *amounts)
{
    crn_page_print(page, CRN_STYLE_BOLD, "%s%s in %s", about(amounts),
                   crn_page_bytes(page, amounts->bytes),
                   crn_page_count(page, amounts->blocks, "block"));
    if (amounts->indirect_blocks > 0)
        fprintf(page->file, ", and %s in %s behind them",
                crn_page_bytes(page, amounts->indirect_bytes),
                crn_page_count(page, amounts->indirect_blocks, "block"));
}

/* "40,000 -> 60,000 bytes": the unit once, where it is the same. */
static const char *step_of(const struct crn_page *page, uint64_t old, uint64_t new)
{
    const char *from = crn_page_bytes(page, old), *to = crn_page_bytes(page, new);
    const char *from_unit = strchr(from, ' '), *to_unit = strchr(to, ' ');
    int length = (int)strlen(from);
    if (from_unit != NULL && to_unit != NULL && strcmp(from_unit, to_unit) == 0)
        length = (int)(from_unit - from);
    return crn_store_print(page->store, "%.*s -> %s", length, from, to);
}

/* "40,000 -> 60,000 bytes in 2 -> 3 blocks". */
static void steps_print(const struct crn_page *page, const struct crn_diff_row *row)
{
    crn_page_print(page, CRN_STYLE_BOLD, "%s%s in %s -> %s", about(&row->new),
                   step_of(page, row->old.bytes, row->new.bytes),
                   crn_page_number(page, row->old.blocks),
                   crn_page_count(page, row->new.blocks, "block"));
    if (row->old.indirect_blocks > 0 || row->new.indirect_blocks > 0)
        fprintf(page->file, ", behind them %s",
                step_of(page, row->old.indirect_bytes, row->new.indirect_bytes));
}

static void word_print(const struct crn_page *page, const char *word, enum crn_style style)
{
    crn_page_print(page, style, "%-*s", INDENT - 2, word);
    fputs("  ", page->file);
}

static void leak_print(struct crn_page *page, const struct crn_diff_row *row)
{
    const struct crn_leak *leak = row->leak;
    bool is_new = row->change == CRN_CHANGE_NEW;
    const struct crn_diff_amounts *amounts = row->new.entries > 0 ? &row->new : &row->old;
    word_print(page, crn_change_words[row->change],
               row->change == CRN_CHANGE_GONE ? CRN_STYLE_WEAK : CRN_STYLE_BAD);
    if (row->change == CRN_CHANGE_GROWN)
        steps_print(page, row);
    else
        amounts_print(page, amounts);
    fprintf(page->file, ", %s (%s%s)  [%016llx]\n", crn_verdict_words[leak->verdict],
            row->is_proven && !is_new ? "now " : "",
            crn_confidence_word(amounts->proven_blocks > 0 ? CRN_PROVEN : CRN_LIKELY),
            (unsigned long long)row->id);
    stack_print(page, leak->allocated, is_new ? NEW_FRAMES : OTHER_FRAMES);
    if (leak->coroutine != NULL)
        fprintf(page->file, "%*sheld by coroutine %s (%s)\n", INDENT, "",
                crn_page_show(page, leak->coroutine->name),
                crn_coro_state_words[leak->coroutine->state]);
}

static void coroutine_print(struct crn_page *page, const struct crn_diff_row *row)
{
    bool is_new = row->change == CRN_CHANGE_NEW;
    word_print(page, is_new ? "new" : "doubled", CRN_STYLE_BAD);
    if (!is_new)
        crn_page_print(page, CRN_STYLE_BOLD, "%s -> ", crn_page_number(page, row->old.blocks));
    crn_page_print(page, CRN_STYLE_BOLD, "%s", crn_page_count(page, row->new.blocks, "coroutine"));
    fprintf(page->file, " %s (%s, %s)\n", crn_page_show(page, row->coroutine->name),
            crn_mechanism_words[row->coroutine->mechanism],
            crn_coro_state_words[row->coroutine->state]);
    stack_print(page, row->coroutine->suspended, OTHER_FRAMES);
}

/* What is alive and became more by a part of the heap that somebody would want to know of. */
static bool is_worth_a_row(const struct crn_diff_row *row, uint64_t live_bytes)
{
    enum { PARTS = 50 };
    return row->new.bytes > row->old.bytes && row->new.bytes - row->old.bytes >= live_bytes / PARTS;
}

static void live_print(struct crn_page *page, const struct crn_diff_row *row)
{
    word_print(page, "more", CRN_STYLE_BOLD);
    steps_print(page, row);
    fprintf(page->file, ", live%s  [%016llx]\n",
            row->live->shape == CRN_GROWTH_STEADY ? " and growing steadily" : "",
            (unsigned long long)row->id);
    stack_print(page, row->live->allocated, OTHER_FRAMES);
}

static void more_print(const struct crn_page *page, size_t count, const char *word)
{
    if (count > 0)
        crn_page_print(page, CRN_STYLE_WEAK, "%*s... %zu more %s; --format json has them all\n",
                       INDENT, "", count, word);
}

static void leaks_print(struct crn_page *page, const struct crn_diff_list *list,
                        enum crn_change change, size_t rows_max)
{
    const struct crn_diff_row *rows = crn_diff_rows(list, change);
    size_t count = list->counts[change];
    size_t shown = rows_max != 0 && count > rows_max ? rows_max : count;
    for (size_t i = 0; i < shown; i++) {
        crn_page_turn(page);
        leak_print(page, &rows[i]);
    }
    more_print(page, count - shown, crn_change_words[change]);
}

/* Answers how many there are of them; shows those that come first. */
static size_t live_rows_print(struct crn_page *page, const struct crn_diff_program *program,
                              size_t rows_max, bool is_counted_only)
{
    static const enum crn_change changes[] = {CRN_CHANGE_GROWN, CRN_CHANGE_NEW};
    size_t found = 0;
    if (program->old.count == 0)
        return 0; /* all of it is new */
    for (unsigned i = 0; i < CRN_COUNT_OF(changes); i++) {
        const struct crn_diff_row *rows = crn_diff_rows(&program->live, changes[i]);
        for (size_t j = 0; j < program->live.counts[changes[i]]; j++) {
            if (!is_worth_a_row(&rows[j], program->new.live.bytes))
                continue;
            crn_page_turn(page);
            if (!is_counted_only && (rows_max == 0 || found < rows_max))
                live_print(page, &rows[j]);
            found++;
        }
    }
    if (!is_counted_only && rows_max != 0 && found > rows_max)
        more_print(page, found - rows_max, "live");
    return found;
}

/* Those that doubled: first those that were there, then kinds that were not. */
static size_t coroutines_print(struct crn_page *page, const struct crn_diff_list *list,
                               size_t rows_max, bool is_counted_only)
{
    static const enum crn_change changes[] = {CRN_CHANGE_GROWN, CRN_CHANGE_NEW};
    size_t found = 0;
    for (unsigned i = 0; i < CRN_COUNT_OF(changes); i++) {
        const struct crn_diff_row *rows = crn_diff_rows(list, changes[i]);
        for (size_t j = 0; j < list->counts[changes[i]]; j++) {
            if (!crn_diff_has_doubled(&rows[j]))
                continue;
            crn_page_turn(page);
            if (!is_counted_only && (rows_max == 0 || found < rows_max))
                coroutine_print(page, &rows[j]);
            found++;
        }
    }
    if (!is_counted_only && rows_max != 0 && found > rows_max)
        more_print(page, found - rows_max, "doubled");
    return found;
}

static const char *processes_of(const struct crn_page *page, const struct crn_diff_side *side)
{
    return side->count == 1 ? crn_store_print(page->store, "pid %llu",
                                              (unsigned long long)side->processes[0]->pid)
                            : crn_page_count(page, side->count, "process");
}

static void program_head_print(const struct crn_page *page, const struct crn_diff_program *program)
{
    const struct crn_diff_side *side = program->new.count > 0 ? &program->new : &program->old;
    const struct crn_process *process = side->processes[0];
    crn_page_print(page, CRN_STYLE_BOLD, "%s", crn_page_base(page, process->exe));
    if (program->old.count == 0 || program->new.count == 0)
        fprintf(page->file, " (%s, %s)", processes_of(page, side),
                program->new.count > 0 ? "new" : "gone");
    else if (program->old.count == 1 && program->new.count == 1 &&
             program->old.processes[0]->pid == process->pid)
        fprintf(page->file, " (%s)", processes_of(page, side));
    else if (program->old.count == 1 && program->new.count == 1)
        fprintf(page->file, " (%s -> %llu)", processes_of(page, &program->old),
                (unsigned long long)process->pid);
    else
        fprintf(page->file, " (%s -> %s)", processes_of(page, &program->old),
                processes_of(page, &program->new));
    for (uint32_t i = 0; i < process->argc && i < 8; i++)
        fprintf(page->file, " %s", crn_page_show(page, process->argv[i]));
    fputs(process->argc > 8 ? " ...\n" : "\n", page->file);
}

static void program_print(struct crn_page *page, const struct crn_diff_program *program,
                          size_t rows_max)
{
    const struct crn_diff_list *leaks = &program->leaks;
    bool has_news = leaks->counts[CRN_CHANGE_NEW] + leaks->counts[CRN_CHANGE_GONE] +
                        leaks->counts[CRN_CHANGE_GROWN] >
                    0;
    if (!has_news && coroutines_print(page, &program->coroutines, 0, true) == 0 &&
        live_rows_print(page, program, 0, true) == 0)
        return;
    program_head_print(page, program);
    leaks_print(page, leaks, CRN_CHANGE_NEW, rows_max);
    leaks_print(page, leaks, CRN_CHANGE_GROWN, rows_max);
    leaks_print(page, leaks, CRN_CHANGE_GONE, rows_max);
    live_rows_print(page, program, rows_max, false);
    coroutines_print(page, &program->coroutines, rows_max, false);
    fputc('\n', page->file);
}

static void amount_add(struct crn_amount *to, struct crn_amount from)
{
    if (__builtin_add_overflow(to->blocks, from.blocks, &to->blocks))
        to->blocks = UINT64_MAX;
    if (__builtin_add_overflow(to->bytes, from.bytes, &to->bytes))
        to->bytes = UINT64_MAX;
}

/* "; leaked 40,000 -> 60,000 bytes". */
static void sums_print(const struct crn_page *page, const char *word, struct crn_amount old,
                       struct crn_amount new)
{
    if (old.bytes == new.bytes && old.blocks == new.blocks)
        fprintf(page->file, "; %s %s in %s as before", word, crn_page_bytes(page, new.bytes),
                crn_page_count(page, new.blocks, "block"));
    else
        fprintf(page->file, "; %s %s", word, step_of(page, old.bytes, new.bytes));
}

static void summary_print(const struct crn_page *page, const struct crn_diff *diff)
{
    struct crn_amount leaked[2] = {0}, live[2] = {0};
    size_t counts[CRN_CHANGE_COUNT] = {0}, changed = 0;
    for (size_t i = 0; i < diff->count; i++) {
        const struct crn_diff_program *program = &diff->programs[i];
        if (!program->is_compared)
            continue;
        amount_add(&leaked[0], program->old.leaked);
        amount_add(&leaked[1], program->new.leaked);
        amount_add(&live[0], program->old.live);
        amount_add(&live[1], program->new.live);
        for (unsigned change = 0; change < CRN_CHANGE_COUNT; change++)
            counts[change] += program->leaks.counts[change];
    }
    fputs("coroner: leaks: ", page->file);
    for (unsigned change = 0; change < CRN_CHANGE_COUNT; change++) {
        bool is_last = change == CRN_CHANGE_NONE;
        if (counts[change] == 0 && !(is_last && changed == 0))
            continue;
        fprintf(page->file, "%s%s %s", changed > 0 ? ", " : "",
                crn_page_number(page, counts[change]), crn_change_words[change]);
        changed++;
    }
    sums_print(page, "leaked", leaked[0], leaked[1]);
    sums_print(page, "live", live[0], live[1]);
    fputc('\n', page->file);
}

void crn_diff_write_text(const struct crn_diff *diff, const struct crn_diff_names *names,
                         size_t rows_max, FILE *file, bool has_color)
{
    struct crn_page page = {NULL, file, has_color, 0};
    crn_page_begin(&page);
    for (size_t i = 0; i < diff->count; i++)
        program_print(&page, &diff->programs[i], rows_max);
    crn_diff_warnings(diff, names, warning_print, &page);
    summary_print(&page, diff);
    crn_page_end(&page);
}
