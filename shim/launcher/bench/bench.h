#ifndef CRN_LAUNCHER_BENCH_H
#define CRN_LAUNCHER_BENCH_H
/*
 * What `coroner bench` measured: the samples, and the figures made of them.
 *
 *     bench_stage   what every run finds alike: its input, and files for its output
 *     bench_run     one run of one version; its recordings, read
 *     bench.c       rounds of runs, and what the streams and endings say
 *     bench_figures samples -> figures
 *     bench_text, bench_json, bench_html   figures -> bytes
 *
 * A double that is unknown is NAN.
 */
#include <stdio.h>
#include <time.h>

#include "shim/launcher/bench/stats.h"
#include "shim/launcher/ending.h"

enum crn_bench_version {
    CRN_BENCH_PLAIN,
    CRN_BENCH_JEMALLOC, /* the very library that the shim is linked with, preloaded */
    CRN_BENCH_OFF,      /* from here on: the shim, with --stacks off, sampled and full */
    CRN_BENCH_SAMPLED,
    CRN_BENCH_FULL,
    CRN_BENCH_VERSIONS
};

enum crn_bench_metric { CRN_BENCH_CPU, CRN_BENCH_WALL, CRN_BENCH_PEAK, CRN_BENCH_METRICS };

/* Standard output and standard error. */
enum { CRN_BENCH_STREAMS = 2 };

/* What the recordings of one run say; all processes of it together. */
struct crn_bench_facts {
    uint64_t processes, unchecked; /* how many there are; without a check */
    double allocations;            /* of those that were checked; NAN if the program was not */
    double check_pause_s;          /* the longest of any process */
    double check_s;                /* of all processes together */
    double leaked_blocks;          /* proven or likely; NAN unless a report was made */
    double report_s;               /* what naming and rendering took afterwards; NAN unless made */
};

/* Whether runs of a version did as those of plain did. */
enum crn_likeness {
    CRN_ALIKE,
    CRN_VARIES, /* plain runs differ from each other already */
    CRN_DIFFERS
};

/* The first line that differs between a stream of plain and of another version, cut. */
struct crn_bench_difference {
    uint64_t line; /* from 1; 0: none was found */
    char plain[80], other[80];
};

struct crn_bench_figure {
    double median, low, high;  /* the middle half; from the least to the most below four rounds */
    struct crn_interval ratio; /* to plain, by rounds; of plain itself unknown */
    bool is_noisy;             /* the interval of the ratio is wider than +-10 % */
};

/* One version: a row of the tables. */
struct crn_bench_row {
    const char *name, *label;
    bool is_there;                                    /* it could be run */
    double samples[CRN_BENCH_METRICS][CRN_STATS_MAX]; /* seconds, bytes */
    double allocations[CRN_STATS_MAX], check_pause_s[CRN_STATS_MAX], check_s[CRN_STATS_MAX];
    struct crn_ending ending; /* of its first run, or of the first that did not end as plain's */
    unsigned runs;            /* the warm-up too */
    enum crn_likeness exit, streams[CRN_BENCH_STREAMS];
    unsigned unlike_exits, unlike_streams[CRN_BENCH_STREAMS]; /* runs */
    struct crn_bench_difference differences[CRN_BENCH_STREAMS];
    struct crn_bench_facts facts; /* of the last run */
    /* From here on: figures.c. */
    struct crn_bench_figure figures[CRN_BENCH_METRICS];
    double allocation_count, allocations_per_s;
    struct crn_interval added_ns; /* CPU beyond plain's, by allocating call */
    double pause_median_s, check_median_s;
};

struct crn_bench {
    const char *path;
    char *const *argv;
    char *jemalloc; /* path of the library; NULL: unknown */
    char *machine;  /* "2 x AMD EPYC" */
    time_t started;
    uint64_t input_bytes;
    double peak_floor; /* no peak below it is seen: bytes */
    unsigned rounds_wanted;
    unsigned rounds;  /* complete ones */
    int interruption; /* the signal that ended it; 0: none */
    struct crn_bench_row rows[CRN_BENCH_VERSIONS];
    /* From here on: figures.c. */
    double level;  /* of every interval; 0: too few rounds for any */
    bool is_noisy; /* too noisy to tell what Coroner costs */
    bool is_alike; /* no version ended or wrote otherwise than plain */
    char **notes;  /* sentences to the reader, the gravest first; from malloc */
    size_t notes_count, notes_room;
};

/* Makes the figures and notes out of the samples. */
void crn_bench_judge(struct crn_bench *bench);

/* Frees what belongs to the bench. */
void crn_bench_fini(struct crn_bench *bench);

/* The formats. */
void crn_bench_write_text(const struct crn_bench *bench, FILE *file);
void crn_bench_write_json(const struct crn_bench *bench, FILE *file);
void crn_bench_write_html(const struct crn_bench *bench, FILE *file);

/* The bench as the JSON document, from malloc: coroner-bench/1, see json.c. */
char *crn_bench_json(const struct crn_bench *bench, bool is_compact);

#endif
