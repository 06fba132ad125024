#ifndef CRN_TASK_H
#define CRN_TASK_H
/*
 * What the kernel says of a thread of this process: /proc/self/task/TID (proc(5)).
 */
#include "base/base.h"

struct crn_task_state {
    char letter;        /* 'R', 'S', 'D' …; 'X': it is not there; '?': that is not known */
    bool is_nobody;     /* it will never run a handler of the program's, nor any code of it */
    uint64_t started;   /* tells it from another thread with the same id */
    uint64_t switches;  /* of context: as long as this stays, it did not move */
    bool blocks;        /* the signal that was asked for */
    bool is_mask_known; /* and `switches` */
};

/* Looks up state and start; whoever is not there is nobody. */
void crn_task_look(int tid, struct crn_task_state *state);

/* Also `switches`, and `blocks`: whether the thread's mask has a signal of this bit. */
void crn_task_look_closely(int tid, uint64_t signal_bit, struct crn_task_state *state);

#endif
