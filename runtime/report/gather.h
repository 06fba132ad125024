#ifndef CRN_REPORT_GATHER_H
#define CRN_REPORT_GATHER_H
/*
 * The leaks of a process as a person reads them: what dead coroutines of one kind hold stands
 * together, the heaviest first.
 *
 * One kind here is: the same name, mechanism, state and place where they stopped.  They may have
 * been created in many places; frames of a recursion always are.
 */
#include "report/model.h"

/* Leaks of a cluster whose allocation stacks differ only in the depth of a recursion. */
struct crn_held {
    const struct crn_leak *leak; /* that with the shortest stack */
    size_t count;
    struct crn_amount direct, indirect;
    struct crn_estimate estimate; /* of the direct ones, if the leak is sampled */
};

struct crn_cluster {
    const struct crn_leak *const *leaks; /* the biggest first; without a coroutine: one */
    size_t count;
    const struct crn_held *held; /* the biggest first */
    size_t held_count;
    struct crn_amount direct, indirect;
    uint64_t coroutine_count; /* how many hold them */
    size_t creations;         /* in how many ways those were created */
    bool is_mixed;            /* some are proven, others likely */
};

/* Gathers leaks, which are sorted; *clusters belong to the store.  Answers how many there are. */
size_t crn_leaks_gather(struct crn_store *store, const struct crn_leak *leaks, size_t count,
                        struct crn_cluster **clusters);

/* The number, from 1, of the cluster that shows a coroutine's creation stack; 0: none. */
size_t crn_clusters_find(const struct crn_cluster *clusters, size_t count,
                         const struct crn_coroutine *coroutine);

#endif
