#ifndef CRN_BUILD_H
#define CRN_BUILD_H
/*
 * Growing arrays of a snapshot, in its arena.  For the files of runtime/snap only.
 */
#include "coro/ending.h"
#include "snap/intervals.h"
#include "snap/take.h"

/* Mappings of rings that are shared with the kernel, in the order of the memory map (uring.c). */
enum { CRN_RING_FDS_MAX = 256 };
struct crn_rings {
    struct crn_ring_piece *pieces;
    unsigned count;
    int fds[CRN_RING_FDS_MAX]; /* descriptors of rings, in the order of the table */
    unsigned fd_count;
};

/* A coroutine that announced itself, and its memory. */
struct crn_announced {
    uintptr_t start, end;
    uint32_t number, order; /* of its row; and of its beginning */
};

/* What the code does from a return address on (coro/flow.h). */
struct crn_flow_row {
    uintptr_t return_address;
    bool returns, has_ended, never_goes_on;
};

struct crn_snap_builder {
    struct crn_snap *snap;
    size_t roots_room, words_room, opaques_room, unreadable_room, shared_room, code_room,
        coros_room, links_room, outputs_room, names_room, walks_room;
    const struct crn_stopped *stopped; /* ascending by thread id */
    uint32_t stopped_count;
    uintptr_t *descriptors; /* theirs and the taker's, ascending */
    size_t descriptor_count;
    struct crn_bearer *bearers; /* by descriptor, the latest first */
    size_t bearer_count;
    struct crn_intervals stacks; /* of threads, own ones -> index of the record */
    struct crn_intervals
        standing;               /* ids of threads that stand still, and the taker's -> the same */
    struct crn_range *own;      /* ascending, disjoint: never read these as mappings */
    size_t own_count;
    struct crn_rings rings;
    const struct crn_beforehand *beforehand; /* NULL: all is there to be looked at now */
    bool has_userfaultfd;       /* one of the descriptors is such a one */
    struct crn_endings *endings;     /* while coroutines are listed; NULL: nobody can tell */
    struct crn_announced *announced; /* by start: frames that announced themselves */
    size_t announced_count;
    struct crn_flow_row flows[64]; /* by hash */
};

/* What crn_snap_choose_roots was told. */
extern struct crn_root_choice crn_root_choice;

CRN_INLINE bool crn_root_is_left_out(enum crn_root_kind kind)
{
    return (crn_root_choice.left_out >> kind & 1) != 0;
}

/* Appends a root; empty ranges are dropped, and what holds nothing by choice. */
void crn_build_root(struct crn_snap_builder *builder, struct crn_root root);

/* Appends words that are roots by themselves; answers where they lie then, or NULL. */
const uintptr_t *crn_build_root_words(struct crn_snap_builder *builder, const uintptr_t *words,
                                      size_t count, enum crn_root_kind kind, uint32_t name);

/*
 * Appends a thread's innermost frame.  `registers`: rbx, rbp, r12 to r15, which become roots, too;
 * NULL: they are not to be asked about.
 */
void crn_build_walk(struct crn_snap_builder *builder, struct crn_frame frame,
                    const uintptr_t *registers);

/* Appends words, as part of a body; answers the index of the first. */
uint32_t crn_build_words(struct crn_snap_builder *builder, const uintptr_t *words, size_t count);
void crn_build_opaque(struct crn_snap_builder *builder, struct crn_opaque opaque);
void crn_build_unreadable(struct crn_snap_builder *builder, struct crn_unreadable row);
void crn_build_shared(struct crn_snap_builder *builder, struct crn_shared row);
void crn_build_output(struct crn_snap_builder *builder, struct crn_range output);
void crn_build_link(struct crn_snap_builder *builder, uintptr_t link);
void crn_build_code(struct crn_snap_builder *builder, struct crn_range range);

/*
 * `who` may hold memory and does not tell which ("an io_uring request in flight"): what only it
 * could hold is at most likely to be a leak.
 */
void crn_build_unknown_holder(struct crn_snap_builder *builder, const char *who);

/* Appends a text; answers its offset (0 when there is no memory). */
uint32_t crn_build_name(struct crn_snap_builder *builder, const char *format, ...)
    CRN_PRINTF(2, 3);

/* Where the modules that crn_snap_exclude_module named lie; answers how many there are. */
enum { CRN_EXCLUDED_MAX = 8 };
size_t crn_snap_excluded_ranges(struct crn_range out[CRN_EXCLUDED_MAX]);

/* The thread with this id among those that stopped; NULL: it did not. */
const struct crn_stopped *crn_build_stopped_find(const struct crn_snap_builder *builder, int tid);

/* Who had a descriptor: when a stack is unmapped, another's may come to lie there. */
struct crn_bearer {
    uintptr_t descriptor;
    uint64_t serial;
};

/* Fills `stacks` and `standing`, once it is known who stands still.  False: no memory. */
bool crn_build_stacks(struct crn_snap_builder *builder);

/* The parts of a picture. */
enum crn_status crn_build_mappings(struct crn_snap_builder *builder);
void crn_build_threads(struct crn_snap_builder *builder, const struct crn_taker *taker);
void crn_build_coros(struct crn_snap_builder *builder, const struct crn_taker *taker);

/* Appends a coroutine; answers its index, or UINT32_MAX: no memory. */
uint32_t crn_build_coro(struct crn_snap_builder *builder, struct crn_snap_coro coro);

/* Memory in which stacks lie that were left by a switch nobody told us of (parked.c). */
struct crn_territory {
    uintptr_t start, end;
    uint32_t id;         /* in the registry; 0: only known to be mapped for stacks */
    bool is_whole_stack; /* the range was told: one stack, as a whole */
    bool has_floor;      /* nothing but stack lies at its low end: a guard page is below */
    uintptr_t running_sp, running_base; /* the stack in it that runs now; 0: none */
    bool is_one_mapping; /* it is one block, or one call of mmap: nothing else was joined to it */
    bool is_asked;       /* nothing was found by reading the stack itself */
    bool is_guessed;     /* found by its contents: a stack only if somebody holds its sp */
    bool is_opaque;      /* we cannot tell who is there, or where he begins: all of it is live */
};

/* A leaf function keeps data below sp (System V ABI: the red zone).  `low`: the stack's start. */
CRN_INLINE uintptr_t crn_red_zone_start(uintptr_t sp, uintptr_t low)
{
    enum { RED_ZONE_BYTES = 128 };
    return sp - low > RED_ZONE_BYTES ? sp - RED_ZONE_BYTES : low;
}

/*
 * Finds out who is parked in the territories (disjoint) and appends them; where that
 * cannot be told, the whole territory counts as live.
 */
void crn_build_parked(struct crn_snap_builder *builder, const struct crn_taker *taker,
                      struct crn_territory *territories, size_t count);

/*
 * Appends the coroutines of one territory, given the places in it, ascending by base and then by
 * sp.  None: unless one runs there, all of it counts as live.
 */
struct crn_place;
void crn_build_territory(struct crn_snap_builder *builder, const struct crn_territory *territory,
                         const struct crn_place *places, size_t count);
void crn_build_probes(struct crn_snap_builder *builder, const struct crn_taker *taker);

/*
 * What the kernel holds.  The descriptors come first, since they tell how mappings may be read; rings
 * last, since they need the mappings.
 */
void crn_build_kernel(struct crn_snap_builder *builder);
void crn_build_rings(struct crn_snap_builder *builder);
void crn_build_frames(struct crn_snap_builder *builder);

/* The blocks of a narrow picture, and what of inherited ones may lead to them (narrow.h). */
bool crn_build_only(struct crn_snap_builder *builder);
bool crn_build_inherited(struct crn_snap_builder *builder);

/* Brings the opaque ranges in order, when all are there. */
void crn_build_opaques_finish(struct crn_snap *snap);

/* What the stack that a thread's record names is now. */
enum crn_stack_use {
    CRN_STACK_UNKNOWN, /* memory like any other: not told yet, somebody else's, or unmapped */
    CRN_STACK_STANDS,  /* the thread's, which stands still */
    CRN_STACK_RUNS,    /* the thread's, which was not seen to stop */
    CRN_STACK_KEPT,    /* glibc keeps it for another thread: this one has ended */
};
enum crn_stack_use crn_build_stack_use(const struct crn_snap_builder *builder,
                                       const struct crn_thread *thread);

/*
 * Where a thread that stands still left the program's stack for our scratch stack.  False: it is not
 * there.  pc is 0 where it is on the way.
 */
bool crn_scratch_frame(const struct crn_thread *thread, struct crn_frame *frame);

#endif
