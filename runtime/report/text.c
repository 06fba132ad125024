/*
 * The text report, for a person at three in the morning.
 *
 * A section a process that has something to say, the biggest leak first; then what the check
 * could not see; then one line that sums up, which is all there is when nothing is wrong.
 */
#include "report/render.h"
#include "base/amounts.h"

#include <string.h>

#include "report/gather.h"
#include "report/judge.h"
#include "report/moment.h"
#include "report/page.h"
#include "report/sampled.h"
#include "report/since.h"
#include "report/words.h"

/* What all processes come to. */
struct total {
    struct crn_amount leaked, likely, suppressed, live;
    struct crn_amount by_verdict[CRN_VERDICT_COUNT];
    uint64_t allocations, coroutines_seen, unseen_threads, double_frees, findings;
    uint64_t in_state[CRN_CORO_STATE_COUNT];
    size_t leaking, unchecked;
};

static void add(struct crn_amount *sum, const struct crn_amount *amount)
{
    sum->blocks += amount->blocks;
    sum->bytes += amount->bytes;
}

static struct total total_of(const struct crn_report *report)
{
    struct total total = {0};
    for (size_t i = 0; i < report->processes_count; i++) {
        const struct crn_process *process = &report->processes[i];
        add(&total.leaked, &process->leaked);
        add(&total.likely, &process->likely);
        add(&total.suppressed, &process->suppressed);
        add(&total.live, &process->live);
        for (unsigned verdict = 0; verdict < CRN_VERDICT_COUNT; verdict++)
            add(&total.by_verdict[verdict], &process->by_verdict[verdict]);
        for (unsigned state = 0; state < CRN_CORO_STATE_COUNT; state++)
            total.in_state[state] += process->coroutines_by_state[state];
        total.allocations += process->allocations;
        total.coroutines_seen += process->coroutines_seen;
        total.unseen_threads += process->unseen_threads;
        total.double_frees += process->double_frees;
        total.findings += process->findings_count;
        total.leaking += process->leaks_count > 0;
        total.unchecked += !process->is_checked;
    }
    return total;
}

static const char *amount_of(const struct crn_page *page, const struct crn_amount *amount)
{
    return crn_store_print(page->store, "%s in %s", crn_page_bytes(page, amount->bytes),
                           crn_page_count(page, amount->blocks, "block"));
}

static void process_title(const struct crn_page *page, const struct crn_process *process)
{
    fprintf(page->file, "\n");
    crn_page_print(page, CRN_STYLE_BOLD, "%s", crn_page_base(page, process->exe));
    fprintf(page->file, " (pid %llu", (unsigned long long)process->pid);
    if (process->goes_on)
        fputs(", running", page->file);
    else if (process->exit_signal != 0)
        fprintf(page->file, ", killed by signal %d, %s", process->exit_signal,
                strsignal(process->exit_signal));
    else if (process->exit_code > 0)
        fprintf(page->file, ", exited with %d", process->exit_code);
    fprintf(page->file, ")");
    for (uint32_t i = 0; i < process->argc; i++)
        crn_page_print(page, CRN_STYLE_WEAK, " %s", crn_page_show(page, process->argv[i]));
    fprintf(page->file, "\n");
}

/* "about 1.2 MiB in 1,203 blocks (3 sampled)"; where all were hit for sure, just how many. */
static const char *estimate_of(const struct crn_page *page, const struct crn_estimate *estimate)
{
    const struct crn_amount about = {crn_count_of(estimate->blocks + 0.5),
                                     crn_count_of(estimate->bytes + 0.5)};
    if (estimate->blocks - (double)estimate->sampled < 1e-6)
        return amount_of(page, &about);
    return crn_store_print(page->store, "about %s (%s sampled)", amount_of(page, &about),
                           crn_page_number(page, estimate->sampled));
}

/* What the check says in this case, or else what the word means in every case. */
static void why_print(const struct crn_page *page, const char *why, const char *meaning)
{
    fprintf(page->file, "    ");
    crn_page_sentence(page, 4, why != NULL ? crn_page_show(page, why) : meaning);
}

static void hint_print(const struct crn_page *page, const struct crn_leak *leak)
{
    crn_page_print(page, CRN_STYLE_BOLD, "    to mend: ");
    crn_page_sentence(page, 13, crn_leak_hint(leak));
}

static void id_print(const struct crn_page *page, const struct crn_leak *leak)
{
    crn_page_print(page, CRN_STYLE_WEAK, "  [%016llx]\n", (unsigned long long)leak->id);
}

/* "#1  64 bytes in 1 block, lost (proven), and 32 bytes in 1 block behind them" */
static void head_print(const struct crn_page *page, const struct crn_cluster *cluster,
                       size_t number)
{
    const struct crn_leak *leak = cluster->leaks[0];
    bool is_sampled = cluster->count == 1 && leak->is_sampled;
    fprintf(page->file, "\n#%zu  ", number);
    crn_page_print(page, CRN_STYLE_BOLD, "%s, ",
                   is_sampled ? estimate_of(page, &leak->estimate)
                              : amount_of(page, &cluster->direct));
    crn_page_print(
        page, leak->confidence == CRN_PROVEN || cluster->is_mixed ? CRN_STYLE_BAD : CRN_STYLE_BOLD,
        "%s", crn_verdict_words[leak->verdict]);
    fprintf(page->file, " (%s)",
            cluster->is_mixed ? "proven or likely" : crn_confidence_word(leak->confidence));
    if (cluster->indirect.blocks > 0)
        fprintf(page->file, ", and %s behind them", amount_of(page, &cluster->indirect));
}

/* The blocks themselves, where that was asked for. */
static void objects_print(const struct crn_page *page, const struct crn_leak *leak, int indent)
{
    if (leak->objects != NULL)
        fprintf(page->file, "%*sblocks\n", indent, "");
    for (const struct crn_object *object = leak->objects; object != NULL; object = object->next)
        fprintf(page->file, "%*s%#llx  %s%s\n", indent + 4, "",
                (unsigned long long)object->address, crn_page_bytes(page, object->bytes),
                object->is_indirect ? ", behind one of them" : "");
}

/* Where blocks were allocated that a leak holds; its own stack often says little of those. */
static void behind_print(const struct crn_page *page, const struct crn_leak *leak)
{
    enum { SHOWN_MAX = 3 };
    struct crn_estimate rest = {0};
    size_t count = 0;
    for (const struct crn_behind *behind = leak->behind; behind != NULL; behind = behind->next) {
        if (behind->stack != NULL && count < SHOWN_MAX) {
            fprintf(page->file, "    behind them, %s, allocated at\n",
                    estimate_of(page, &behind->estimate));
            crn_page_stack(page, behind->stack, 8);
        } else {
            rest.blocks += behind->estimate.blocks;
            rest.bytes += behind->estimate.bytes;
            rest.sampled += behind->estimate.sampled;
        }
        count++;
    }
    if (rest.sampled > 0)
        crn_page_print(page, CRN_STYLE_WEAK, "    ... %s, from %s more ...\n",
                       estimate_of(page, &rest), crn_page_count(page, count - SHOWN_MAX, "place"));
}

/* Where a leak was allocated, or why that is not known. */
static void allocation_print(const struct crn_page *page, const struct crn_leak *leak, int indent)
{
    if (leak->allocated != NULL) {
        crn_page_stack(page, leak->allocated, 8);
    } else if (!leak->is_missed) {
        fprintf(page->file, "%*sallocated where no stack was recorded\n", indent, "");
    } else if (leak->explained_bytes == 0) {
        fprintf(page->file, "%*sallocated where no sample fell\n", indent, "");
    } else {
        fprintf(page->file, "%*s", indent, "");
        crn_page_sentence(page, indent,
                          crn_store_print(page->store,
                                          "allocated where no sample fell; the sampled ones of "
                                          "this kind stand for about %s of it",
                                          crn_page_bytes(page, leak->explained_bytes)));
    }
}

static void leak_print(const struct crn_page *page, const struct crn_cluster *cluster,
                       size_t number)
{
    const struct crn_leak *leak = cluster->leaks[0];
    head_print(page, cluster, number);
    id_print(page, leak);
    why_print(page, leak->why, crn_verdict_meanings[leak->verdict]);
    if (leak->allocated != NULL)
        fprintf(page->file, "    allocated at\n");
    allocation_print(page, leak, 4);
    behind_print(page, leak);
    objects_print(page, leak, 4);
    if (leak->coroutine != NULL) {
        crn_page_coroutine(page, leak->coroutine, leak->coroutine_count, 0);
        crn_page_coroutine_stacks(page, leak->coroutine, 1);
    }
    crn_page_chain(page, &leak->chain, "leaked block");
    hint_print(page, leak);
}

/* One of the leaks that a coroutine holds, under its heading. */
static void held_print(const struct crn_page *page, const struct crn_held *held, bool says_how_sure)
{
    const struct crn_leak *leak = held->leak;
    fprintf(page->file, "      ");
    crn_page_print(page, CRN_STYLE_BOLD, "%s",
                   leak->is_sampled ? estimate_of(page, &held->estimate)
                                    : amount_of(page, &held->direct));
    if (says_how_sure)
        fprintf(page->file, ", %s", crn_confidence_word(leak->confidence));
    if (held->indirect.blocks > 0)
        fprintf(page->file, ", and %s behind them", amount_of(page, &held->indirect));
    crn_page_place(page, &leak->chain);
    if (held->count > 1)
        fprintf(page->file, ", from %s like this", crn_page_count(page, held->count, "stack"));
    id_print(page, leak);
    allocation_print(page, leak, 8);
    objects_print(page, leak, 8);
}

/* All that coroutines of one kind hold: who they are, then what, then what leads to them. */
static void cluster_print(const struct crn_page *page, const struct crn_cluster *cluster,
                          size_t number)
{
    enum { HELD_MAX = 12 };
    const struct crn_leak *leak = cluster->leaks[0];
    struct crn_amount rest = {0};
    size_t shown = cluster->held_count <= HELD_MAX + 1 ? cluster->held_count : HELD_MAX;
    if (cluster->count == 1) {
        leak_print(page, cluster, number);
        return;
    }
    head_print(page, cluster, number);
    fputc('\n', page->file);
    why_print(page, leak->why, crn_verdict_meanings[leak->verdict]);
    crn_page_coroutine(page, leak->coroutine, cluster->coroutine_count, 0);
    crn_page_coroutine_stacks(page, leak->coroutine, cluster->creations);
    fprintf(page->file, "    %s, allocated at\n",
            cluster->coroutine_count == 1 ? "it holds" : "they hold");
    for (size_t i = 0; i < shown; i++)
        held_print(page, &cluster->held[i], cluster->is_mixed);
    for (size_t i = shown; i < cluster->held_count; i++) {
        add(&rest, &cluster->held[i].direct);
        add(&rest, &cluster->held[i].indirect);
    }
    if (shown < cluster->held_count)
        crn_page_print(page, CRN_STYLE_WEAK, "      ... %s from %s more ...\n",
                       amount_of(page, &rest),
                       crn_page_count(page, cluster->held_count - shown, "place"));
    if (leak->chain.count > 0 && leak->chain.links[0].kind == CRN_LINK_ROOT)
        crn_page_chain(page, &leak->chain, "leaked block");
    hint_print(page, leak);
}

static void finding_print(const struct crn_page *page, const struct crn_finding *finding)
{
    fprintf(page->file, "\n*   ");
    crn_page_print(page, CRN_STYLE_BAD, "%s", crn_finding_words[finding->kind]);
    if (finding->count > 1)
        fprintf(page->file, ", %llu times", (unsigned long long)finding->count);
    fputc('\n', page->file);
    why_print(page, finding->why, crn_finding_meanings[finding->kind]);
    if (finding->scope != NULL)
        fprintf(page->file, "    scope %s\n", crn_page_show(page, finding->scope));
    if (finding->object != 0) {
        fprintf(page->file, "    object at %#llx, %s", (unsigned long long)finding->object,
                crn_page_bytes(page, finding->object_bytes));
        if (finding->object_retained > finding->object_bytes)
            fprintf(page->file, ", %s with what it leads to",
                    crn_page_bytes(page, finding->object_retained));
        fputc('\n', page->file);
    }
    if (finding->stack != NULL) {
        fprintf(page->file, "    at\n");
        crn_page_stack(page, finding->stack, 8);
    }
    if (finding->coroutine != NULL) {
        crn_page_coroutine(page, finding->coroutine, 1, 0);
        crn_page_coroutine_stacks(page, finding->coroutine, 1);
    }
    crn_page_chain(page, &finding->chain, "watched object");
}

/* The list that --coroutines asks for; what a leak has shown is only referred to. */
static void coroutines_print(struct crn_page *page, const struct crn_process *process,
                             const struct crn_cluster *clusters, size_t clusters_count)
{
    enum { SHOWN_MAX = 200 };
    size_t shown = process->coroutines_count <= SHOWN_MAX ? process->coroutines_count : SHOWN_MAX;
    uint64_t rest = 0;
    if (shown > 0)
        crn_page_print(page, CRN_STYLE_BOLD, "\nall coroutines\n");
    for (size_t i = 0; i < shown; i++) {
        const struct crn_coroutine *coroutine = &process->coroutines[i];
        size_t number = crn_clusters_find(clusters, clusters_count, coroutine);
        crn_page_turn(page);
        crn_page_coroutine(page, coroutine, coroutine->count, number);
        crn_page_coroutine_bytes(page, coroutine);
        if (number == 0)
            crn_page_coroutine_stacks(page, coroutine, 1);
    }
    for (size_t i = shown; i < process->coroutines_count; i++)
        rest += process->coroutines[i].count;
    if (rest > 0)
        crn_page_print(page, CRN_STYLE_WEAK, "    ... %s more, which the JSON report lists ...\n",
                       crn_page_count(page, rest, "coroutine"));
}

/* Prints the section of a process; answers false when it has nothing to say. */
static bool process_print(struct crn_page *page, const struct crn_report *report,
                          const struct crn_process *process)
{
    struct crn_cluster *clusters;
    if (process->leaks_count + process->findings_count + process->coroutines_count +
            process->live_rows_count ==
        0)
        return false;
    size_t count = crn_leaks_gather(report->store, process->leaks, process->leaks_count, &clusters);
    process_title(page, process);
    for (size_t i = 0; i < count; i++) {
        crn_page_turn(page);
        cluster_print(page, &clusters[i], i + 1);
    }
    if (process->leaks_left_out > 0)
        crn_page_print(page, CRN_STYLE_WEAK, "\n... %s more, which --max-leaks leaves out ...\n",
                       crn_page_count(page, process->leaks_left_out, "leak"));
    for (size_t i = 0; i < process->findings_count; i++) {
        crn_page_turn(page);
        finding_print(page, &process->findings[i]);
    }
    coroutines_print(page, process, clusters, count);
    crn_live_print(page, process);
    return true;
}

static void note(const struct crn_page *page, const char *text)
{
    crn_page_print(page, CRN_STYLE_WEAK, "coroner: note: %s\n", text);
}

/* So that nobody takes an estimate for a count. */
static void sampling_print(const struct crn_page *page, const struct crn_report *report)
{
    for (size_t i = 0; i < report->processes_count; i++) {
        const struct crn_process *process = &report->processes[i];
        if (process->sample_bytes <= 1 || process->leaks_count == 0)
            continue;
        note(page, crn_store_print(page->store,
                                   "a stack was sampled every %s on average: \"about\" is an "
                                   "estimate, the rest is exact; --stacks full takes every stack",
                                   crn_page_bytes(page, process->sample_bytes)));
        return;
    }
}

/* What the check could not see. */
static void notes_print(const struct crn_page *page, const struct crn_report *report)
{
    uint64_t resurrected = 0;
    for (size_t i = 0; i < report->processes_count; i++)
        resurrected += report->processes[i].coroutines_resurrected;
    if (resurrected > 0)
        note(page, crn_store_print(page->store, "%s came back to life after it was called dead",
                                   crn_page_count(page, resurrected, "coroutine")));
    sampling_print(page, report);
    for (size_t i = 0; i < report->unnamed_count; i++)
        note(page,
             crn_store_print(page->store,
                             "%s has no symbols for %s shown; build it with symbols or install its "
                             "debug package",
                             crn_page_show(page, report->unnamed[i].path),
                             crn_page_count(page, report->unnamed[i].addresses_count, "address")));
    for (size_t i = 0; i < report->warnings_count; i++) {
        crn_page_print(page, CRN_STYLE_BOLD, "coroner: warning:");
        fprintf(page->file, " %s\n", crn_page_show(page, report->warnings[i]));
    }
}

/* " (completed 64 bytes, lost 1,024 bytes; 64 bytes only likely)": the verdicts that were given. */
static void verdicts_print(const struct crn_page *page, const struct total *total)
{
    const char *between = " (";
    for (unsigned verdict = CRN_VERDICT_STALE; verdict < CRN_VERDICT_COUNT; verdict++) {
        if (total->by_verdict[verdict].blocks == 0)
            continue;
        fprintf(page->file, "%s%s %s", between, crn_verdict_words[verdict],
                crn_page_bytes(page, total->by_verdict[verdict].bytes));
        between = ", ";
    }
    if (total->likely.blocks > 0)
        fprintf(page->file, "; %s only likely", crn_page_bytes(page, total->likely.bytes));
    fputc(')', page->file);
}

/* What a run without leaks came to, so that nobody takes silence for a check. */
static void clean_print(const struct crn_page *page, const struct total *total)
{
    fprintf(page->file, "no leaks; %s, %s still live",
            crn_page_count(page, total->allocations, "allocation"),
            crn_page_bytes(page, total->live.bytes));
}

/* "; 12 coroutines (1 running, 11 suspended)": every state that there is. */
static void states_print(const struct crn_page *page, const struct total *total)
{
    const char *between = " (";
    if (total->coroutines_seen == 0)
        return;
    fprintf(page->file, "; %s", crn_page_count(page, total->coroutines_seen, "coroutine"));
    for (unsigned state = 0; state < CRN_CORO_STATE_COUNT; state++) {
        if (total->in_state[state] == 0)
            continue;
        fprintf(page->file, "%s%s %s", between, crn_page_number(page, total->in_state[state]),
                crn_coro_state_words[state]);
        between = ", ";
    }
    fputs(between[0] == ',' ? ")" : "", page->file);
}

static void suppression_print(const struct crn_suppression *suppression, void *user)
{
    const struct crn_page *page = user;
    struct crn_amount amount = {suppression->blocks, suppression->bytes};
    if (suppression->blocks > 0)
        fprintf(page->file, "coroner: suppressed %s by %s%s\n", amount_of(page, &amount),
                crn_suppression_prefix(suppression->kind),
                crn_page_show(page, suppression->pattern));
}

/* "340 ms", "1.25 s".  Of a recording: it may claim any time. */
static const char *time_of(const struct crn_page *page, double seconds)
{
    static const double longest = 1e9;
    char text[CRN_AMOUNT_BYTES];
    return crn_store_text(
        page->store,
        crn_amount_time(text, (uint64_t)((seconds < longest ? seconds : longest) * 1e9 + 0.5)));
}

/*
 * "; checked in 250 ms (paused 1 ms, 3.0 MiB)": of several processes, the sum, the longest pause and
 * the most memory.
 */
static void checks_print(const struct crn_page *page, const struct crn_report *report)
{
    double check_s = 0, pause_s = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < report->processes_count; i++) {
        const struct crn_process *process = &report->processes[i];
        check_s += process->check_s;
        pause_s = process->check_pause_s > pause_s ? process->check_pause_s : pause_s;
        bytes = process->check_bytes > bytes ? process->check_bytes : bytes;
    }
    if (check_s > 0)
        fprintf(page->file, "; checked in %s (paused %s, %s)", time_of(page, check_s),
                time_of(page, pause_s), crn_page_bytes(page, bytes));
}

/* "3 processes checked, 1 not checked". */
static void processes_print(const struct crn_page *page, size_t checked, size_t unchecked)
{
    fprintf(page->file, "%s checked", crn_page_count(page, checked, "process"));
    if (unchecked > 0)
        fprintf(page->file, ", %s not checked", crn_page_number(page, unchecked));
}

static void summary_print(const struct crn_page *page, const struct crn_report *report)
{
    struct total total = total_of(report);
    size_t count = report->processes_count;
    if (total.unchecked == count && count <= 1)
        return; /* a warning has said why */
    fprintf(page->file, "coroner: ");
    if (total.unchecked == count) {
        processes_print(page, 0, count);
        fputc('\n', page->file);
        return;
    }
    if (total.leaked.blocks > 0) {
        crn_page_print(page, CRN_STYLE_BAD, "leaked %s", amount_of(page, &total.leaked));
        verdicts_print(page, &total);
    } else {
        clean_print(page, &total);
    }
    if (count > 1 && total.leaking > 0)
        fprintf(page->file, " by %zu of %s", total.leaking, crn_page_count(page, count, "process"));
    if (count > 1) {
        fputs("; ", page->file);
        processes_print(page, count - total.unchecked, total.unchecked);
    }
    checks_print(page, report);
    states_print(page, &total);
    if (total.findings > 0)
        fprintf(page->file, "; %s", crn_page_count(page, total.findings, "finding"));
    if (total.suppressed.blocks > 0)
        fprintf(page->file, "; suppressed %s", amount_of(page, &total.suppressed));
    if (total.double_frees > 0)
        fprintf(page->file, "; %s", crn_page_count(page, total.double_frees, "bad free"));
    if (total.unseen_threads > 0)
        fprintf(page->file, "; %s unseen", crn_page_count(page, total.unseen_threads, "thread"));
    fputc('\n', page->file);
}

/*
 * Whether all that is reported is one process that goes on, and a page is what is wanted: not
 * everything, nor a list of all coroutines.
 */
static bool is_moment(const struct crn_report *report)
{
    return !report->is_full && !report->has_coroutines && report->processes_count == 1 &&
           report->processes[0].check_kind == CRN_CHECK_LIVE;
}

void crn_report_write_text(const struct crn_report *report, FILE *file, bool has_color)
{
    struct crn_page page = {NULL, file, has_color, report->frames_max};
    bool has_sections = false;
    crn_page_begin(&page);
    if (is_moment(report)) {
        crn_moment_print(&page, report, &report->processes[0]);
        crn_page_end(&page);
        return;
    }
    for (size_t i = 0; i < report->processes_count; i++)
        has_sections |= process_print(&page, report, &report->processes[i]);
    if (has_sections)
        fputc('\n', file);
    for (size_t i = 0; i < report->processes_count; i++)
        crn_since_print(&page, report->processes[i].since);
    notes_print(&page, report);
    if (report->has_suppressions)
        crn_judge_visit(report->judge, suppression_print, &page);
    summary_print(&page, report);
    crn_page_end(&page);
}
