/*
 * Figures in words.  See words.h.
 */
#include "shim/launcher/bench/words.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/clean.h"

struct crn_bench_unit crn_bench_unit_choose(const struct crn_bench *bench,
                                            enum crn_bench_metric metric)
{
    double typical = bench->rows[CRN_BENCH_PLAIN].figures[metric].median;
    struct crn_bench_unit unit = {"s", 1, 0};
    if (metric == CRN_BENCH_PEAK)
        unit = (struct crn_bench_unit){"MiB", 1 << 20, 0};
    else if (typical < 1)
        unit = (struct crn_bench_unit){"ms", 1e-3, 0};
    typical /= unit.one;
    unit.decimals = typical >= 1000 ? 0 : typical >= 100 ? 1 : typical >= 10 ? 2 : 3;
    return unit;
}

const char *crn_bench_value(struct crn_store *store, double value, int decimals)
{
    return isfinite(value) ? crn_store_print(store, "%.*f", decimals, value) : "-";
}

const char *crn_bench_spread(struct crn_store *store, double low, double high, int decimals)
{
    if (!isfinite(low) || !isfinite(high))
        return "";
    return crn_store_print(store, "%.*f .. %.*f", decimals, low, decimals, high);
}

int crn_bench_added_decimals(const struct crn_bench_row *row)
{
    return fabs(row->added_ns.estimate) < 1000 ? 1 : 0;
}

const char *crn_bench_rate(struct crn_store *store, double rate)
{
    if (!isfinite(rate))
        return "-";
    if (rate >= 1e6)
        return crn_store_print(store, "%.2f M", rate / 1e6);
    if (rate >= 1e3)
        return crn_store_print(store, "%.1f k", rate / 1e3);
    return crn_store_print(store, "%.0f", rate);
}

/* Writes one word so that a shell reads it as one. */
static void word_quote(FILE *file, const char *word)
{
    const char *at = word;
    while (*at != 0 && (isalnum((unsigned char)*at) || strchr("_-+=./,:@%", *at) != NULL))
        at++;
    if (*at == 0 && at > word) {
        fputs(word, file);
        return;
    }
    fputc('\'', file);
    for (at = word; *at != 0; at++) {
        if (*at == '\'')
            fputs("'\\''", file);
        else
            fputc(*at, file);
    }
    fputc('\'', file);
}

const char *crn_bench_command(struct crn_store *store, const struct crn_bench *bench)
{
    char *line;
    size_t bytes;
    FILE *file = open_memstream(&line, &bytes);
    if (file == NULL)
        crn_out_of_memory();
    for (char *const *argument = bench->argv; *argument != NULL; argument++) {
        if (argument != bench->argv)
            fputc(' ', file);
        word_quote(file, *argument);
    }
    if (fclose(file) != 0)
        crn_out_of_memory();
    const char *command = crn_clean_line(store, line);
    free(line);
    return command;
}

const char *crn_bench_rounds(struct crn_store *store, const struct crn_bench *bench)
{
    return crn_store_print(store, "%u round%s of each version in turn, after a warm-up",
                           bench->rounds, bench->rounds == 1 ? "" : "s");
}

/* "1,234,567" */
static const char *grouped(struct crn_store *store, double count)
{
    char digits[32], text[48];
    size_t at = 0, length = (size_t)snprintf(digits, sizeof digits, "%.0f", count);
    for (size_t i = 0; i < length && i < sizeof digits; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = 0;
    return crn_store_text(store, text);
}

const char *crn_bench_calls(struct crn_store *store, const struct crn_bench *bench)
{
    const struct crn_bench_row *full = &bench->rows[CRN_BENCH_FULL];
    if (!isfinite(full->allocation_count))
        return NULL;
    return crn_store_print(
        store, "%s allocating calls in %llu process%s", grouped(store, full->allocation_count),
        (unsigned long long)full->facts.processes, full->facts.processes == 1 ? "" : "es");
}

bool crn_bench_is_same(const struct crn_bench *bench)
{
    if (bench->rounds == 0)
        return false;
    for (int i = 0; i < CRN_BENCH_VERSIONS; i++) {
        const struct crn_bench_row *row = &bench->rows[i];
        if (row->is_there && (row->exit != CRN_ALIKE || row->streams[0] != CRN_ALIKE ||
                              row->streams[1] != CRN_ALIKE))
            return false;
    }
    return true;
}
