#ifndef CRN_REPORT_SAMPLED_H
#define CRN_REPORT_SAMPLED_H
/*
 * What sampled stacks say of the blocks whose stacks nobody took.
 *
 *     leaks of one family (verdict, confidence, holder):
 *         stack A   2 blocks  --weights-->  about 2,000 blocks
 *         stack B   1 block   --weights-->  about 1,000 blocks
 *         the rest  2,990 blocks, exactly: no sample fell on them, and A and B explain them
 *
 * A block was hit with a chance of 1 - exp(-span / mean), by its size alone (stack/sample.h), so it
 * stands for one over that: the sum over the hit ones is an estimate without bias of all (Horvitz
 * and Thompson, 1952; pprof's "heap_v2" and jemalloc's prof_unbias scale alike).
 */
#include "report/model.h"

struct crn_builder_stacks {
    const struct crn_stack *(*get)(const void *user, uint32_t node_row);
    const void *user;
};

/* An estimate as a whole number: what is below 0 or no number is 0, what does not fit the most. */
uint64_t crn_count_of(double value);

/* For how many blocks of its size a sampled one stands. */
double crn_sample_weight(uint64_t bytes, uint64_t mean_bytes);

/* Gives the samples of a recording to its leaks, which still stand as it has them. */
void crn_samples_take(struct crn_store *store, const struct crn_recording *recording,
                      struct crn_builder_stacks stacks, struct crn_leak *leaks);

/*
 * Fills in what silences those missed leaks for which `silencer` has nothing yet: where samples
 * fell on blocks of the family and all of those are silenced, so is the rest.  Where none fell,
 * the rest is marked `is_unjudged` if there are patterns that need a stack (`has_patterns`).
 */
void crn_samples_judge(struct crn_leak *leaks, size_t count, struct crn_suppression **silencer,
                       bool has_patterns);

/* Says of each missed leak how much of it the sampled ones of its family explain. */
void crn_samples_explain(struct crn_leak *leaks, size_t count);

/* Makes one of what was sampled of equal stacks behind a leak, the biggest first. */
void crn_behind_merge(struct crn_leak *leak);

#endif
