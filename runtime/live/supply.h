#ifndef CRN_LIVE_SUPPLY_H
#define CRN_LIVE_SUPPLY_H
/*
 * Whether there is memory enough for a snapshot child to go on.
 *
 * While it lives, each page that the program writes to is copied.  The child is ended when that
 * passes a tenth of the heap, or when the limit that the process runs under (cgroup v2 or v1) is
 * near: the program would be killed in its place.
 */
#include "base/base.h"

#include <sys/types.h>

/* Why a child may not begin, or must end; a clause.  NULL: all is well. */
struct crn_supply {
    char limit_path[2][256]; /* files of the limit and of what is in use; "": there is none */
    uint64_t faults_before;  /* of the process, when the child was made */
    int child_pagemap;       /* -1: it cannot be read */
    uint64_t copied_bytes;   /* when that was last looked at */
};

/* Finds out under which limit the process runs. */
void crn_supply_find(struct crn_supply *supply);

/* Whether the limit leaves room for a child of a heap of this size. */
const char *crn_supply_obstacle(const struct crn_supply *supply, size_t heap_bytes);

/* That limit, and how far off it is; UINT64_MAX: there is none. */
void crn_supply_limit(const struct crn_supply *supply, uint64_t *limit_bytes, uint64_t *left_bytes);

/* The child has just been made. */
void crn_supply_watch(struct crn_supply *supply, pid_t child);
const char *crn_supply_look(struct crn_supply *supply, size_t heap_bytes);
void crn_supply_end(struct crn_supply *supply);

/*
 * Bytes of the heap's region that this process shares with no other: in a child that does not write
 * to it, what the parent has written since.  `pagemap`: of the child.  0: it cannot be told.
 */
uint64_t crn_copied_bytes(int pagemap);

#endif
