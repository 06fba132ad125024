#ifndef CRN_LAUNCHER_BENCH_STAGE_H
#define CRN_LAUNCHER_BENCH_STAGE_H
/*
 * What every run of a bench finds alike: the same input, read once, and fresh files for what it
 * writes, which are compared with those of the first plain run.
 */
#include "shim/launcher/bench/bench.h"

/* What a stream received. */
struct crn_digest {
    uint64_t bytes, hash;
};

struct crn_bench_stage {
    int input_fd; /* -1: none, /dev/null is given */
    uint64_t input_bytes;
    int output_fds[CRN_BENCH_STREAMS]; /* of the run that goes on; -1: none */
    int model_fds[CRN_BENCH_STREAMS];  /* of the first plain run; -1: none yet */
    struct crn_digest models[CRN_BENCH_STREAMS];
};

/*
 * Reads our standard input to its end, unless that is a terminal or closed.  Answers false after
 * saying what failed.
 */
bool crn_stage_open(struct crn_bench_stage *stage);
void crn_stage_close(struct crn_bench_stage *stage);

/* Makes the streams for one run: our copies, to be closed by crn_stage_strike().  False as above.
 */
bool crn_stage_set(struct crn_bench_stage *stage, int streams[3]);

/* Takes the run's streams away, and what it wrote with them unless crn_stage_model() kept it. */
void crn_stage_strike(struct crn_bench_stage *stage, int streams[3]);

/* What the run wrote becomes the model. */
void crn_stage_model(struct crn_bench_stage *stage);

/*
 * Whether what the run wrote into a stream is what the model has.  If not, *difference says where,
 * unless it says something already.
 */
bool crn_stage_is_alike(const struct crn_bench_stage *stage, int stream,
                        struct crn_bench_difference *difference);

#endif
