#ifndef CRN_LAUNCHER_BENCH_RUN_H
#define CRN_LAUNCHER_BENCH_RUN_H
/*
 * One run of the program in one version of a bench, measured from the fork to the last wait.
 *
 * Under the shim that includes the check at the end and the writing of the recording.  Naming and
 * rendering, which `coroner run` does afterwards, are measured apart from it.
 */
#include "options/options.h"
#include "shim/launcher/bench/bench.h"

/*
 * Runs `path` with `argv` on the three `streams`.  `options` are those of Coroner's versions (with
 * --stacks as the version has it); `jemalloc` is that of CRN_BENCH_JEMALLOC.  With `has_report` a
 * report is made of what was recorded, and thrown away.  *facts are unknown for versions without
 * the shim.
 *
 * Answers 0, or the status to exit with after saying why the program could not be run.
 */
int crn_bench_run(const char *path, char **argv, enum crn_bench_version version,
                  const struct crn_options *options, const char *jemalloc, const int *streams,
                  bool has_report, struct crn_ending *ending, struct crn_bench_facts *facts);

/* What ru_maxrss begins with when this process forks and the child execs: below it nothing is seen.
 */
double crn_bench_peak_floor(void);

/* A facts of which nothing is known. */
struct crn_bench_facts crn_bench_facts_unknown(void);

/*
 * The path of the jemalloc that the shim is linked with, as the loader finds it in this
 * environment; from malloc.  NULL when it is linked with none.
 */
char *crn_bench_jemalloc_find(void);

#endif
