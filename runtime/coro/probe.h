#ifndef CRN_PROBE_H
#define CRN_PROBE_H
/*
 * Coroutines that announce themselves through the probe API, their locals, and watched objects.
 *
 *     created --> running <--> suspended --> completed --> destroyed
 *
 * Each row is one coroutine, found by its handle (generation << 32 | number).  Beginning, ending and
 * naming locals take the lock; suspending and resuming touch only the row and the thread's own
 * record, since a coroutine is suspended by the thread that runs it and resumed by one at a time.
 *
 * A coroutine that runs makes its scope current on its thread.  Coroutines that resume one another
 * form a list through `previous`, as calls do.
 */
#include "coro/scope.h"

#include "base/words.h"

enum crn_probe_flags {
    CRN_PROBE_STACK = 1,            /* its memory is a stack, not a frame record */
    CRN_PROBE_CANCEL_SEEN = 4,
    CRN_PROBE_HAS_HOOK = 8,         /* suspended cancellably, */
    CRN_PROBE_NO_HOOK = 16,         /* with or without a hook */
    CRN_PROBE_RETIRED = 32,
    CRN_PROBE_JUDGED_DEAD = 64,
    CRN_PROBE_IS_DETACHED = 128,    /* meant to outlive its scope */
};

/* What a check makes of one that was never destroyed, but must be gone. */
enum crn_probe_fate {
    CRN_PROBE_IS_THERE,
    CRN_PROBE_WAS_FREED,  /* its frame was, when the last check looked */
    CRN_PROBE_IS_GONE,    /* and still is: nobody will destroy it any more */
    CRN_PROBE_IS_REPLACED /* another one began in the same frame */
};

/* What its memory is: enum coroner_frame_kind. */
enum crn_probe_kind { CRN_PROBE_OF_FRAME, CRN_PROBE_OF_STACK, CRN_PROBE_OF_RESULT };

struct crn_probe {
    /* Hot: what suspending and resuming read and write. */
    uint32_t generation; /* odd: in use */
    uint32_t scope;
    uint32_t swallowed;      /* how often it suspended after it was told of its cancellation */
    uint32_t previous;       /* whom it interrupted when it was resumed, */
    uint64_t previous_scope; /* and the handle of the scope there */
    uintptr_t sp;         /* of a stack that is suspended; 0: not known */
    int32_t tid;          /* of the thread that runs it */
    uint8_t state;        /* enum crn_coro_state */
    uint8_t flags;        /* enum crn_probe_flags */
    uint8_t reported;     /* a bit for each kind of finding that was reported of it */
    uint8_t keeps_result; /* who holds its frame may take a result from it when it has ended */

    uintptr_t start, end; /* its frame or stack */
    const char *name;     /* the program's text */
    uint64_t cancelled_ns;
    uint64_t scope_handle; /* to know whether it has ended; 0: none */
    uint32_t created_node;
    uint64_t born;        /* birth clock: a block that is younger is another one */
    uint32_t first_local; /* 0: none */
    uint32_t next_free;
    uint32_t order;       /* of beginning */
    uint8_t fate;         /* enum crn_probe_fate: what a check saw */
    _Atomic uint8_t is_cancelled; /* somebody asked it to end; any thread sets it */
};

/* One that swallowed its cancellation and is gone by now. */
struct crn_swallower {
    const char *name, *scope;
    uint32_t count;
};

struct crn_local {
    uintptr_t slot;
    const char *name; /* the program's text */
    uint32_t probe, next;
    uint32_t is_done;
};

struct crn_watch {
    uintptr_t object;
    const char *why; /* the program's text */
    uint32_t scope;
    uint64_t born;   /* birth clock when it was watched */
    uint32_t is_reported;
};

struct crn_probes {
    struct crn_lock lock;
    struct crn_span rows, locals, watches, swallowers;
    uint32_t made, free_first;          /* rows; 0 is not used */
    uint32_t locals_made, locals_free;  /* the same */
    uint32_t watch_count, swallower_count;
    uint32_t gone_count;                /* rows that a check found gone */
    _Atomic uint64_t seen, destroyed, resurrected;
};
extern struct crn_probes crn_probes;

bool crn_probes_init(void);

CRN_INLINE struct crn_probe *crn_probe_at(uint32_t number)
{
    return (struct crn_probe *)crn_probes.rows.base + number;
}

CRN_INLINE struct crn_local *crn_local_at(uint32_t number)
{
    return (struct crn_local *)crn_probes.locals.base + number;
}

/* The row of a handle that is valid; NULL otherwise. */
CRN_INLINE struct crn_probe *crn_probe_find(uint64_t handle)
{
    uint32_t number = (uint32_t)handle;
    if (CRN_UNLIKELY(number == 0 || number >= crn_probes.made))
        return NULL;
    struct crn_probe *probe = crn_probe_at(number);
    return CRN_LIKELY_TRUE(probe->generation == handle >> 32) && (probe->generation & 1) != 0
               ? probe
               : NULL;
}

/*
 * Destroys what a check found gone, under the lock; answers one of each fate to name it (its row's
 * name stays readable) and how many there were.
 */
struct crn_probes_gone {
    uint32_t freed_count, replaced_count;
    const char *freed_name, *replaced_name;
};
struct crn_probes_gone crn_probes_bury_locked(void);

/* The announced coroutine that runs on a thread; NULL: none does. */
struct crn_probe *crn_probe_current(const struct crn_thread *thread);

/* Enters a coroutine in state CREATED; answers its handle, 0: no memory. */
uint64_t crn_probe_begin(struct crn_thread *thread, uint32_t scope, const char *name,
                         struct crn_range memory, enum crn_probe_kind kind, uint32_t created_node);

/* It was resumed on `thread`; it suspended itself (sp: its stack's, else 0); it ended. */
void crn_probe_resume(struct crn_thread *thread, struct crn_probe *probe);
void crn_probe_suspend(struct crn_thread *thread, struct crn_probe *probe, uintptr_t sp,
                       unsigned hook_flags);
void crn_probe_complete(struct crn_thread *thread, struct crn_probe *probe);
void crn_probe_destroy(struct crn_thread *thread, struct crn_probe *probe);
void crn_probe_move(struct crn_thread *thread, struct crn_probe *probe, uint32_t scope);

/*
 * Names the slot of a local; answers false when it is named and current already.  `done`: declares
 * that it will not be read again; answers false when it is no local of this coroutine.
 */
bool crn_probe_local(struct crn_thread *thread, struct crn_probe *probe, const char *name,
                     uintptr_t slot);
bool crn_probe_local_done(struct crn_thread *thread, struct crn_probe *probe, uintptr_t slot);

/* Memory [start, end) was freed: what was watched there is gone. */
void crn_watches_note_gone(uintptr_t start, uintptr_t end, int tid);

/* Watches an object from now on. */
void crn_probe_watch(struct crn_thread *thread, uintptr_t object, const char *why);

void crn_probes_after_fork(void);

#endif
