#ifndef CRN_LAUNCHER_BENCH_WORDS_H
#define CRN_LAUNCHER_BENCH_WORDS_H
/*
 * How figures of a bench are put into words, the same in every format for people.  Texts live in
 * the store.
 */
#include "shim/launcher/bench/bench.h"
#include "sym/store.h"

/* How values of a metric are written: those of all versions alike, as plain's median asks. */
struct crn_bench_unit {
    const char *name;
    double one;
    int decimals;
};

struct crn_bench_unit crn_bench_unit_choose(const struct crn_bench *bench,
                                            enum crn_bench_metric metric);

/* "12.30"; "-" when unknown. */
const char *crn_bench_value(struct crn_store *store, double value, int decimals);

/* "12.25 .. 12.40"; "" when unknown. */
const char *crn_bench_spread(struct crn_store *store, double low, double high, int decimals);

/* How many decimals the cost of a call gets. */
int crn_bench_added_decimals(const struct crn_bench_row *row);

/* "1.25 M" */
const char *crn_bench_rate(struct crn_store *store, double rate);

/* The command as a shell would take it, fit to print. */
const char *crn_bench_command(struct crn_store *store, const struct crn_bench *bench);

/* "7 rounds of each version in turn, after a warm-up" */
const char *crn_bench_rounds(struct crn_store *store, const struct crn_bench *bench);

/* "12,345 allocating calls in 1 process"; NULL when unknown. */
const char *crn_bench_calls(struct crn_store *store, const struct crn_bench *bench);

/* Whether every run of every version is known to have written and ended as plain's. */
bool crn_bench_is_same(const struct crn_bench *bench);

#endif
