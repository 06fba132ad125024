/*
 * The page of a live check.  See moment.h.
 *
 * Every part has a number of lines that it may take, and says how much it left out:
 *
 *     title 1, what grows 12, leaks and findings 7, coroutines 6, what has changed 6, memory 2,
 *     not seen 4, cost 1, next 1: forty
 */
#include "report/moment.h"

#include <string.h>

#include "report/names.h"
#include "report/since.h"
#include "report/words.h"

enum {
    GROWING_MAX = 4, /* two lines each, and one more for who holds the first */
    LEAKS_MAX = 4,
    KINDS_MAX = 4,
    WARNINGS_MAX = 2,
    NAME_COLUMNS = 44,
};

static const char *amount_of(const struct crn_page *page, uint64_t blocks, uint64_t bytes)
{
    return crn_store_print(page->store, "%s in %s", crn_page_bytes(page, bytes),
                           crn_page_count(page, blocks, "block"));
}

static const char *name_of(const struct crn_page *page, const char *name)
{
    return crn_page_show(page,
                         name != NULL ? crn_name_shorten(page->store, name, NAME_COLUMNS) : NULL);
}

static void cut_name(const struct crn_page *page, const char *name)
{
    const char *shown = name_of(page, name);
    fprintf(page->file, strlen(shown) > NAME_COLUMNS ? "%.*s..." : "%.*s", (int)NAME_COLUMNS,
            shown);
}

/* Not what starts programs and threads, nor a library of the language. */
static bool is_of_program(const struct crn_named_frame *frame)
{
    static const char *const starters[] = {"__libc_start", "_start", "start_thread", "clone"};
    bool is_starter = frame->function == NULL || crn_frame_is_library(frame);
    for (unsigned i = 0; i < CRN_COUNT_OF(starters) && !is_starter; i++)
        is_starter = strncmp(frame->function, starters[i], strlen(starters[i])) == 0;
    return !is_starter;
}

/* "session_new server.c:33 < handle_request server.c:60 < main server.c:88": no library's frames.
 */
static void place_print(const struct crn_page *page, const struct crn_stack *stack)
{
    enum { FRAMES_MAX = 3 };
    unsigned shown = 0;
    uint32_t at = 0;
    if (stack == NULL || stack->count == 0) {
        fputs("where no stack is known", page->file);
        return;
    }
    while (at + 1 < stack->count && crn_frame_is_library(stack->frames[at]))
        at++;
    for (; at < stack->count && shown < FRAMES_MAX; at++) {
        const struct crn_named_frame *frame = stack->frames[at];
        if (shown > 0 && !is_of_program(frame))
            continue;
        fputs(shown++ > 0 ? " < " : "", page->file);
        cut_name(page, crn_name_of_frame(page->store, frame));
        if (frame->file != NULL && frame->line != 0)
            fprintf(page->file, " %.32s:%u", crn_page_base(page, frame->file), frame->line);
    }
}

/* "global sessions, through 12 blocks (the last from session_new)", "coroutine serve, its user". */
static void holder_print(const struct crn_page *page, const struct crn_chain *chain)
{
    const struct crn_link *coroutine = NULL, *block = NULL, *root = &chain->links[0];
    uint64_t blocks = 0;
    for (uint32_t i = 0; i < chain->count; i++) {
        const struct crn_link *link = &chain->links[i];
        coroutine = link->kind == CRN_LINK_CORO ? link : coroutine;
        block = link->kind == CRN_LINK_BLOCK ? link : block;
        blocks += link->kind == CRN_LINK_BLOCK;
        blocks += link->skipped;
    }
    fputs("    held by ", page->file);
    if (root->kind == CRN_LINK_ROOT && root->root == CRN_ROOT_GLOBAL && root->name != NULL) {
        fputs("global ", page->file);
        cut_name(page, root->name);
    } else if (root->kind == CRN_LINK_ROOT) {
        const char *word = crn_root_words[root->root];
        bool says_word = root->name != NULL && strncmp(root->name, word, strlen(word)) == 0;
        fprintf(page->file, "%s%s%.60s", says_word ? "" : word, root->name == NULL ? "" : " ",
                root->name != NULL ? crn_page_show(page, root->name) : "");
    }
    if (coroutine != NULL) {
        fputs(coroutine == root ? "coroutine " : ", coroutine ", page->file);
        cut_name(page, coroutine->coroutine != NULL ? coroutine->coroutine->name : NULL);
        if (coroutine->name != NULL) {
            fputs(", its ", page->file);
            cut_name(page, coroutine->name);
        }
    }
    if (blocks > 0)
        fprintf(page->file, ", through %s", crn_page_count(page, blocks, "block"));
    if (block != NULL && block->allocated_in != NULL) {
        fputs(blocks == 1 ? " from " : ", the last from ", page->file);
        cut_name(page, block->allocated_in);
    }
    fputc('\n', page->file);
}

/* How fast all that grows steadily does; negative: nothing is known to. */
static double rate_of(const struct crn_process *process)
{
    double rate = 0;
    for (size_t i = 0; i < process->live_rows_count; i++)
        if (process->live_rows[i].shape == CRN_GROWTH_STEADY &&
            process->live_rows[i].bytes_per_s > 0)
            rate += process->live_rows[i].bytes_per_s;
    return rate > 0 ? rate : -1;
}

/* A number of any size as one of 64 bits: whoever wrote the recording may have written nonsense. */
static uint64_t whole(double number)
{
    const double most = 1e18;
    return !(number > 0) ? 0 : number < most ? (uint64_t)(number + 0.5) : UINT64_MAX;
}

/* A rate as bytes: of an example a row tells more than there are. */
static const char *rate_text(const struct crn_page *page, double rate)
{
    uint64_t bytes = whole(rate);
    return rate < 1 ? crn_store_print(page->store, "%s an hour",
                                      crn_page_bytes(page, whole(rate * 3600)))
                    : crn_store_print(page->store, "%s a second", crn_page_bytes(page, bytes));
}

static void live_head_print(const struct crn_page *page, const struct crn_live *live)
{
    const char *about = live->is_sampled ? "about " : "";
    uint64_t blocks = live->is_sampled ? whole(live->estimate.blocks) : live->blocks;
    uint64_t bytes = live->is_sampled ? whole(live->estimate.bytes) : live->bytes;
    if (live->shape == CRN_GROWTH_STEADY && live->bytes_per_s >= 0) {
        crn_page_print(page, CRN_STYLE_BAD, "about %s", rate_text(page, live->bytes_per_s));
        if (live->since_s >= 0)
            fprintf(page->file, ", since %s ago", crn_page_time(page, live->since_s));
        fprintf(page->file, "; now %s%s", about, amount_of(page, blocks, bytes));
    } else {
        fprintf(page->file, "%s%s", about, amount_of(page, blocks, bytes));
    }
}

/* When memory is used up, if all goes on like that. */
static void until_print(const struct crn_page *page, const struct crn_process *process, double rate)
{
    const struct crn_record_memory *memory = &process->memory;
    if (!process->has_memory || memory->limit_kind == CRN_LIMIT_UNKNOWN ||
        memory->left_bytes == UINT64_MAX)
        return;
    fprintf(page->file, "; at that rate the %s is full in ",
            memory->limit_kind == CRN_LIMIT_CGROUP ? "control group" : "machine");
    crn_page_print(page, CRN_STYLE_BOLD, "%s",
                   crn_page_time(page, (double)memory->left_bytes / rate));
}

/* What does not grow is told only where nothing does. */
static void largest_print(const struct crn_page *page, const struct crn_process *process)
{
    size_t shown = process->live_rows_count < 2 ? process->live_rows_count : 2;
    for (size_t i = 0; i < shown; i++) {
        fputs("  largest: ", page->file);
        live_head_print(page, &process->live_rows[i]);
        fputs(", ", page->file);
        place_print(page, process->live_rows[i].allocated);
        fputc('\n', page->file);
    }
}

static void growth_print(const struct crn_page *page, const struct crn_process *process)
{
    static const double TOO_YOUNG_S = 60;
    double rate = rate_of(process);
    size_t growing = 0;
    if (!process->has_live)
        return;
    while (growing < process->live_rows_count &&
           process->live_rows[growing].shape == CRN_GROWTH_STEADY)
        growing++;
    if (growing == 0) {
        crn_page_print(page, CRN_STYLE_BOLD, "growth: ");
        fprintf(page->file, "%s\n",
                process->duration_s < TOO_YOUNG_S
                    ? "it is too early to tell what grows; ask again when it is a minute old"
                    : "nothing is known to grow steadily");
        largest_print(page, process);
        return;
    }
    crn_page_print(page, CRN_STYLE_BOLD, "grows by about %s", rate_text(page, rate));
    until_print(page, process, rate);
    fputc('\n', page->file);
    size_t shown = growing < GROWING_MAX ? growing : GROWING_MAX;
    for (size_t i = 0; i < shown; i++) {
        const struct crn_live *live = &process->live_rows[i];
        fputs("  ", page->file);
        live_head_print(page, live);
        fputs("\n    allocated in ", page->file);
        place_print(page, live->allocated);
        fputc('\n', page->file);
        if (live->chain.count > 0 && i < 2)
            holder_print(page, &live->chain);
    }
    if (growing > shown)
        crn_page_print(page, CRN_STYLE_WEAK, "  ... and %s more that grow ...\n",
                       crn_page_count(page, growing - shown, "place"));
}

static void leaks_print(const struct crn_page *page, const struct crn_process *process)
{
    size_t shown = process->leaks_count < LEAKS_MAX ? process->leaks_count : LEAKS_MAX;
    uint64_t proven_blocks = process->leaked.blocks - process->likely.blocks;
    uint64_t proven_bytes = process->leaked.bytes - process->likely.bytes;
    if (process->leaks_count == 0) {
        crn_page_print(page, CRN_STYLE_BOLD, "leaks: ");
        fprintf(page->file, "nothing is leaked\n");
        return;
    }
    crn_page_print(page, CRN_STYLE_BOLD, "leaked: ");
    crn_page_print(page, proven_blocks > 0 ? CRN_STYLE_BAD : CRN_STYLE_PLAIN, "%s proven",
                   amount_of(page, proven_blocks, proven_bytes));
    if (process->likely.blocks > 0)
        fprintf(page->file, ", %s likely",
                amount_of(page, process->likely.blocks, process->likely.bytes));
    fputc('\n', page->file);
    for (size_t i = 0; i < shown; i++) {
        const struct crn_leak *leak = &process->leaks[i];
        fprintf(page->file, "  %s, %s",
                amount_of(page, leak->blocks + leak->indirect_blocks,
                          leak->bytes + leak->indirect_bytes),
                crn_verdict_words[leak->verdict]);
        if (leak->confidence != CRN_PROVEN)
            fputs(" (likely)", page->file);
        if (leak->ages.oldest_s >= 0)
            fprintf(page->file, ", up to %s old", crn_page_time(page, leak->ages.oldest_s));
        if (leak->coroutine != NULL) {
            fputs(", of ", page->file);
            cut_name(page, leak->coroutine->name);
        }
        fputs(": ", page->file);
        place_print(page, leak->allocated);
        fputc('\n', page->file);
    }
    size_t more = process->leaks_count + process->leaks_left_out - shown;
    if (more > 0)
        crn_page_print(page, CRN_STYLE_WEAK, "  ... and %s more ...\n",
                       crn_page_count(page, more, "leak"));
}

/* "coroutines: 300 (1 running, 299 suspended)". */
static void states_print(const struct crn_page *page, const struct crn_process *process)
{
    const char *between = " (";
    uint64_t alive = process->coroutines_seen - process->coroutines_by_state[CRN_CORO_DESTROYED];
    crn_page_print(page, CRN_STYLE_BOLD, "coroutines: ");
    fputs(crn_page_number(page, alive), page->file);
    for (unsigned state = 0; state < CRN_CORO_STATE_COUNT; state++) {
        if (process->coroutines_by_state[state] == 0 || state == CRN_CORO_DESTROYED)
            continue;
        fprintf(page->file, "%s%s %s", between,
                crn_page_number(page, process->coroutines_by_state[state]),
                crn_coro_state_words[state]);
        between = ", ";
    }
    fputs(between[0] == ',' ? ")\n" : "\n", page->file);
}

static void coroutines_print(const struct crn_page *page, const struct crn_process *process)
{
    size_t shown = 0;
    uint64_t rest = 0;
    if (process->coroutines_seen == process->coroutines_by_state[CRN_CORO_DESTROYED])
        return;
    states_print(page, process);
    for (size_t i = 0; i < process->coroutines_count; i++) {
        const struct crn_coroutine *coroutine = &process->coroutines[i];
        if (shown == KINDS_MAX) {
            rest += coroutine->count;
            continue;
        }
        shown++;
        fprintf(page->file, "  %s %s ", crn_page_number(page, coroutine->count),
                crn_coro_state_words[coroutine->state]);
        cut_name(page, coroutine->name);
        if (coroutine->suspended != NULL) {
            fputs(", in ", page->file);
            place_print(page, coroutine->suspended);
        } else if (coroutine->created != NULL) {
            fputs(", made in ", page->file);
            place_print(page, coroutine->created);
        }
        if (coroutine->ages.oldest_s >= 0)
            fprintf(page->file, ", up to %s old", crn_page_time(page, coroutine->ages.oldest_s));
        fputc('\n', page->file);
    }
    if (rest > 0)
        crn_page_print(page, CRN_STYLE_WEAK, "  ... and %s more ...\n",
                       crn_page_number(page, rest));
}

static void memory_print(const struct crn_page *page, const struct crn_process *process)
{
    const struct crn_record_memory *memory = &process->memory;
    const struct {
        const char *what;
        uint64_t bytes;
    } parts[] = {{"heap", memory->heap_bytes},
                 {"coroutine stacks", memory->stacks_bytes},
                 {"of them idle", memory->idle_stacks_bytes},
                 {"thread stacks", memory->thread_stacks_bytes},
                 {"mappings", memory->mappings_bytes},
                 {"Coroner", memory->own_bytes}};
    const char *between = ": ";
    if (!process->has_memory)
        return;
    crn_page_print(page, CRN_STYLE_BOLD, "resident");
    if (memory->resident_bytes != UINT64_MAX)
        fprintf(page->file, " %s", crn_page_bytes(page, memory->resident_bytes));
    for (unsigned i = 0; i < CRN_COUNT_OF(parts); i++) {
        if (parts[i].bytes == UINT64_MAX || parts[i].bytes == 0)
            continue;
        fprintf(page->file, "%s%s %s", between, parts[i].what,
                crn_page_bytes(page, parts[i].bytes));
        between = ", ";
    }
    if (memory->limit_kind != CRN_LIMIT_UNKNOWN && memory->left_bytes != UINT64_MAX)
        fprintf(page->file, "\n  %s left to the %s's %s", crn_page_bytes(page, memory->left_bytes),
                memory->limit_kind == CRN_LIMIT_CGROUP ? "control group" : "machine",
                crn_page_bytes(page, memory->limit_bytes));
    fputc('\n', page->file);
}

static void unseen_print(const struct crn_page *page, const struct crn_report *report,
                         const struct crn_process *process)
{
    size_t shown = report->warnings_count < WARNINGS_MAX ? report->warnings_count : WARNINGS_MAX;
    if (process->unseen_threads > 0)
        crn_page_print(page, CRN_STYLE_BAD, "not seen: %s; what they hold counts as live\n",
                       crn_page_count(page, process->unseen_threads, "thread"));
    for (size_t i = 0; i < shown; i++) {
        crn_page_print(page, CRN_STYLE_BOLD, "warning:");
        fprintf(page->file, " %.160s\n", crn_page_show(page, report->warnings[i]));
    }
    if (report->warnings_count > shown)
        crn_page_print(page, CRN_STYLE_WEAK, "  ... and %s more ...\n",
                       crn_page_count(page, report->warnings_count - shown, "warning"));
}

static void cost_print(const struct crn_page *page, const struct crn_process *process)
{
    crn_page_print(page, CRN_STYLE_BOLD, "this look");
    fprintf(page->file, " paused it %s", crn_page_time(page, process->check_pause_s));
    if (process->predicted_pause_s >= 0)
        fprintf(page->file, " (foreseen %s)", crn_page_time(page, process->predicted_pause_s));
    fprintf(page->file, "; took %s, %s of memory and %s of copies\n",
            crn_page_time(page, process->check_s), crn_page_bytes(page, process->check_bytes),
            crn_page_bytes(page, process->copied_bytes));
}

void crn_moment_print(const struct crn_page *page, const struct crn_report *report,
                      const struct crn_process *process)
{
    crn_page_print(page, CRN_STYLE_BOLD, "%.60s", crn_page_base(page, process->exe));
    fprintf(page->file, " (pid %llu), up %s", (unsigned long long)process->pid,
            crn_page_time(page, process->duration_s));
    if (!process->is_checked) {
        fputs(": there is no verdict\n", page->file);
        unseen_print(page, report, process);
        return;
    }
    fprintf(page->file, ", %s alive\n", amount_of(page, process->live.blocks, process->live.bytes));
    growth_print(page, process);
    leaks_print(page, process);
    if (process->findings_count > 0)
        fprintf(page->file, "  and %s about coroutines and objects\n",
                crn_page_count(page, process->findings_count, "finding"));
    coroutines_print(page, process);
    crn_since_print(page, process->since);
    memory_print(page, process);
    unseen_print(page, report, process);
    cost_print(page, process);
    crn_page_print(page, CRN_STYLE_BOLD, "next: ");
    fprintf(page->file, "coroner check --full %llu\n", (unsigned long long)process->pid);
}

/* " 1 s: 2, 10 s: 30": how many bytes are of which age. */
static void ages_print(const struct crn_page *page, const struct crn_live *live)
{
    static const char *const words[CRN_AGE_COUNT] = {"1 s", "10 s", "1 min", "10 min",
                                                     "1 h", "6 h",  "1 day", "older"};
    const char *between = "    by age: ";
    for (unsigned age = 0; age < CRN_AGE_COUNT; age++) {
        if (live->ages[age].blocks == 0)
            continue;
        fprintf(page->file, "%s%s%s %s", between, age < CRN_AGE_COUNT - 1 ? "up to " : "",
                words[age], crn_page_bytes(page, live->ages[age].bytes));
        between = ", ";
    }
    fputc('\n', page->file);
}

static void live_row_print(const struct crn_page *page, const struct crn_live *live)
{
    fputs("\n+   ", page->file);
    live_head_print(page, live);
    if (live->shape != CRN_GROWTH_STEADY && live->shape != CRN_GROWTH_UNKNOWN)
        fprintf(page->file, ", %s", crn_growth_words[live->shape]);
    crn_page_print(page, CRN_STYLE_WEAK, "  [%016llx]\n", (unsigned long long)live->id);
    ages_print(page, live);
    if (live->allocated != NULL) {
        fputs("    allocated at\n", page->file);
        crn_page_stack(page, live->allocated, 8);
    } else {
        fputs("    allocated where no stack is known\n", page->file);
    }
    crn_page_chain(page, &live->chain, "older block");
}

void crn_live_print(struct crn_page *page, const struct crn_process *process)
{
    enum { SHOWN_MAX = 50 };
    struct crn_amount rest = {0, 0};
    size_t count = process->live_rows_count, shown = count < SHOWN_MAX ? count : SHOWN_MAX;
    if (shown > 0)
        crn_page_print(page, CRN_STYLE_BOLD, "\nalive, by what allocated it\n");
    for (size_t i = 0; i < shown; i++) {
        crn_page_turn(page);
        live_row_print(page, &process->live_rows[i]);
    }
    for (size_t i = shown; i < count; i++) {
        rest.blocks += process->live_rows[i].blocks;
        rest.bytes += process->live_rows[i].bytes;
    }
    if (count > shown)
        crn_page_print(
            page, CRN_STYLE_WEAK, "\n... %s from %s more, which the JSON report lists ...\n",
            amount_of(page, rest.blocks, rest.bytes), crn_page_count(page, count - shown, "place"));
    if (process->has_memory)
        fputc('\n', page->file);
    memory_print(page, process);
}
