#ifndef CRN_ANNOTATED_H
#define CRN_ANNOTATED_H
/*
 * The recogniser for coroutines that the program announces to a sanitizer: see annotated.c.  The
 * shim calls these from its own __sanitizer_* and __tsan_* functions.
 */
#include "base/switch.h"
#include "coro/announced.h"

/* A switch of stacks that was announced, until its end is. */
struct crn_annotated_switch {
    uint32_t from, generation; /* the coroutine that is left; 0: the thread's own stack */
    bool is_dying, is_under_way;
    struct crn_range left;     /* its stack */
    struct crn_saved_registers registers;
};

/*
 * The thread will go on on the stack [start, start + bytes).  `has_place`: the caller gave a place
 * to save to.  *announced tells the rest to crn_annotated_finish.  `node`: who calls, as a stack.
 */
void crn_annotated_start(struct crn_thread *thread, uintptr_t start, size_t bytes, bool has_place,
                         const struct crn_saved_registers *registers, uint32_t node,
                         struct crn_annotated_switch *announced);

/* It has done so; `sp` is on the new stack. */
void crn_annotated_finish(struct crn_thread *thread, uintptr_t sp,
                          struct crn_annotated_switch *announced);

/* ThreadSanitizer's fibers: the program keeps a pointer to one, which we make up. */
struct crn_fiber {
    uint32_t coro, generation; /* 0: on which stack it runs is not known yet */
    uint32_t is_thread;        /* stands for a thread's own stack */
    uint32_t next_free;        /* index + 1 */
};

/* NULL: no memory. */
struct crn_fiber *crn_fiber_create(struct crn_thread *thread, bool is_thread);
void crn_fiber_destroy(struct crn_thread *thread, struct crn_fiber *fiber);

/* The thread leaves `from` and will go on on `to`, at once; nothing will tell when it has. */
void crn_fiber_switch(struct crn_thread *thread, struct crn_fiber *from, struct crn_fiber *to,
                      const struct crn_saved_registers *registers);

#endif
