/*
 * A bench as a page that stands alone: page.html with its {{places}} filled.  The tables say
 * all that the charts show; the data go along as JSON, which the page's script draws from.
 */
#include <stdlib.h>
#include <string.h>

#include "report/clean.h"
#include "shim/launcher/bench/words.h"

/* assets.S */
extern const char crn_bench_page_begin[], crn_bench_page_end[];
extern const char crn_bench_chart_begin[], crn_bench_chart_end[];

struct page {
    const struct crn_bench *bench;
    struct crn_store *store;
    FILE *file;
};

/* Writes a text so that it is text in HTML, inside an attribute as well. */
static void text_write(const struct page *page, const char *text)
{
    for (; *text != 0; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", page->file);
            break;
        case '>':
            fputs("&gt;", page->file);
            break;
        case '&':
            fputs("&amp;", page->file);
            break;
        case '"':
            fputs("&quot;", page->file);
            break;
        default:
            fputc(*text, page->file);
        }
    }
}

static void command_write(const struct page *page)
{
    text_write(page, crn_bench_command(page->store, page->bench));
}

static void facts_write(const struct page *page)
{
    const struct crn_bench *bench = page->bench;
    const char *calls = crn_bench_calls(page->store, bench);
    char started[64];
    struct tm local;
    strftime(started, sizeof started, "%Y-%m-%d %H:%M %Z", localtime_r(&bench->started, &local));
    text_write(page,
               crn_store_print(page->store, "%s; %s; %s", crn_bench_rounds(page->store, bench),
                               crn_clean_line(page->store, bench->machine), started));
    if (calls != NULL) {
        fputs("<br>", page->file);
        text_write(page, calls);
    }
    if (crn_bench_is_same(bench))
        fputs("<br>Output and exit status are the same in all versions", page->file);
}

static void notes_write(const struct page *page)
{
    const struct crn_bench *bench = page->bench;
    if (bench->notes_count == 0)
        return;
    fprintf(page->file, "<ul class=\"notes%s\">\n", bench->is_alike ? "" : " grave");
    for (size_t i = 0; i < bench->notes_count; i++) {
        fputs("<li>", page->file);
        text_write(page, crn_clean_line(page->store, bench->notes[i]));
        fputs("</li>\n", page->file);
    }
    fputs("</ul>\n", page->file);
}

/* A cell: the value, and under it the spread. */
static void cell_write(const struct page *page, const char *value, bool is_noisy,
                       const char *spread)
{
    fprintf(page->file, "<td>%s%s", is_noisy ? "<span class=\"noisy\">~</span>" : "", value);
    if (*spread != 0)
        fprintf(page->file, "<small>%s</small>", spread);
    fputs("</td>", page->file);
}

static void row_begin(const struct page *page, const struct crn_bench_row *row)
{
    fprintf(page->file, "<tr><th scope=\"row\">%s</th>", row->label);
}

static void figures_write(const struct page *page)
{
    const struct crn_bench *bench = page->bench;
    static const char *const names[CRN_BENCH_METRICS] = {"CPU", "Wall", "Peak"};
    fputs("<thead><tr><td></td>", page->file);
    for (int metric = 0; metric < CRN_BENCH_METRICS; metric++)
        fprintf(page->file, "<th scope=\"col\">%s, %s</th><th scope=\"col\">%s to plain</th>",
                names[metric], crn_bench_unit_choose(bench, (enum crn_bench_metric)metric).name,
                names[metric]);
    fputs("</tr></thead>\n<tbody>\n", page->file);
    for (int i = 0; i < CRN_BENCH_VERSIONS; i++) {
        const struct crn_bench_row *row = &bench->rows[i];
        if (!row->is_there)
            continue;
        row_begin(page, row);
        for (int metric = 0; metric < CRN_BENCH_METRICS; metric++) {
            const struct crn_bench_figure *figure = &row->figures[metric];
            struct crn_bench_unit unit =
                crn_bench_unit_choose(bench, (enum crn_bench_metric)metric);
            cell_write(page, crn_bench_value(page->store, figure->median / unit.one, unit.decimals),
                       false,
                       crn_bench_spread(page->store, figure->low / unit.one,
                                        figure->high / unit.one, unit.decimals));
            cell_write(page, crn_bench_value(page->store, figure->ratio.estimate, 3),
                       figure->is_noisy,
                       crn_bench_spread(page->store, figure->ratio.low, figure->ratio.high, 3));
        }
        fputs("</tr>\n", page->file);
    }
    fputs("</tbody>\n", page->file);
}

static void calls_write(const struct page *page)
{
    const struct crn_bench *bench = page->bench;
    fputs("<thead><tr><td></td>", page->file);
    static const char *const names[] = {"CPU added to a call, ns", "Allocating calls a second",
                                        "Pause of the check, ms", "Check, ms", "Report, ms"};
    for (unsigned i = 0; i < CRN_COUNT_OF(names); i++)
        fprintf(page->file, "<th scope=\"col\">%s</th>", names[i]);
    fputs("</tr></thead>\n<tbody>\n", page->file);
    for (int i = 0; i < CRN_BENCH_VERSIONS; i++) {
        const struct crn_bench_row *row = &bench->rows[i];
        if (!row->is_there)
            continue;
        row_begin(page, row);
        int decimals = crn_bench_added_decimals(row);
        cell_write(page, crn_bench_value(page->store, row->added_ns.estimate, decimals), false,
                   crn_bench_spread(page->store, row->added_ns.low, row->added_ns.high, decimals));
        cell_write(page, crn_bench_rate(page->store, row->allocations_per_s), false, "");
        cell_write(page, crn_bench_value(page->store, 1e3 * row->pause_median_s, 3), false, "");
        cell_write(page, crn_bench_value(page->store, 1e3 * row->check_median_s, 3), false, "");
        cell_write(page, crn_bench_value(page->store, 1e3 * row->facts.report_s, 1), false, "");
        fputs("</tr>\n", page->file);
    }
    fputs("</tbody>\n", page->file);
}

static void whiskers_write(const struct page *page)
{
    if (page->bench->level > 0)
        fprintf(page->file, "Whiskers are intervals of %.0f %%.", 100 * page->bench->level);
    else
        fputs("So few rounds have no intervals.", page->file);
}

static void spread_write(const struct page *page)
{
    fputs(page->bench->rounds >= 4 ? "the middle half of the rounds" : "the least and the most",
          page->file);
}

/* In a script element only "</" and "<!" could end or bend what JSON says. */
static void data_write(const struct page *page)
{
    char *json = crn_bench_json(page->bench, true);
    for (const char *at = json; *at != 0; at++) {
        if (*at == '<')
            fputs("\\u003c", page->file);
        else
            fputc(*at, page->file);
    }
    free(json);
}

static void chart_write(const struct page *page)
{
    fwrite(crn_bench_chart_begin, 1, (size_t)(crn_bench_chart_end - crn_bench_chart_begin),
           page->file);
}

static const struct {
    const char *name;
    void (*write)(const struct page *page);
} places[] = {{"command", command_write}, {"facts", facts_write}, {"notes", notes_write},
              {"figures", figures_write}, {"calls", calls_write}, {"whiskers", whiskers_write},
              {"spread", spread_write},   {"data", data_write},   {"chart", chart_write}};

static void place_fill(const struct page *page, const char *name, size_t length)
{
    for (unsigned i = 0; i < CRN_COUNT_OF(places); i++)
        if (strlen(places[i].name) == length && memcmp(places[i].name, name, length) == 0)
            places[i].write(page);
}

void crn_bench_write_html(const struct crn_bench *bench, FILE *file)
{
    struct page page = {bench, crn_store_create(), file};
    const char *at = crn_bench_page_begin, *open, *close;
    while ((open = memmem(at, (size_t)(crn_bench_page_end - at), "{{", 2)) != NULL &&
           (close = memmem(open, (size_t)(crn_bench_page_end - open), "}}", 2)) != NULL) {
        fwrite(at, 1, (size_t)(open - at), file);
        place_fill(&page, open + 2, (size_t)(close - open - 2));
        at = close + 2;
    }
    fwrite(at, 1, (size_t)(crn_bench_page_end - at), file);
    crn_store_destroy(page.store);
}
