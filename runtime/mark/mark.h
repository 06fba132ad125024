#ifndef CRN_MARK_H
#define CRN_MARK_H
/*
 * Gives every block of a snapshot its verdict: a function of the snapshot and of the records it
 * points to, which must stand still meanwhile.
 *
 * One mark in colours.  Live floods from the roots; a suspended coroutine enters the flood when
 * the first of its handles is reached, and dead ones are never entered.  Then each kind of dead
 * continuation floods what is still unmarked, likely holders before proven ones, and what is left
 * is lost.
 *
 * Memory: see README.md, which bounds it; all of it is outside the program's heap.
 *
 * Coroutines have numbers: the stackful ones as in the snapshot's `coros`, then coroutine frames as
 * in its `frames`.
 */
#include "snap/snap.h"

/* The state of one block, in a byte. */
enum {
    CRN_COLOUR_NONE = 0,    /* no block */
    CRN_COLOUR_WHITE = 1,   /* not reached yet */
    CRN_COLOUR_VERDICT = 2, /* + enum crn_verdict */
    CRN_COLOUR_MASK = 0x07,
    CRN_COLOUR_FRAME = 0x08, /* a coroutine frame that is dead: only its own verdict enters it */
    CRN_COLOUR_DIRECT = 0x10,  /* of a leak: what the dead holder itself points to */
    CRN_COLOUR_SPECIAL = 0x20, /* opaque or unreadable ranges lie in it */
    CRN_COLOUR_FOREIGN = 0x40, /* not ours to judge: inherited by fork, or born before the line */
    CRN_COLOUR_TRACED = 0x80,  /* visited by crn_mark_trace */
};

enum { CRN_NO_GROUP = 0 };

/*
 * A block by number: the record's index, or behind all records, the row of an outside block.  In a
 * narrow picture records have numbers of their own, from 1, so that tables are as small as it is.
 */
typedef uint32_t crn_slot;

/* Why a leak is no more than likely. */
enum crn_doubt {
    CRN_DOUBT_NONE,
    CRN_DOUBT_ODD,   /* a pointer at an odd offset leads there: see slices.h */
    CRN_DOUBT_SPARE, /* spare memory of a container does: see spare.h */
};

/* A slot or register of call frames that the program will not read again: see stale.h. */
struct crn_stale_place {
    uintptr_t pc;         /* where the frame goes on */
    int64_t offset;       /* of a slot, bytes from the frame's CFA */
    int64_t bp_offset;    /* of rbp from the CFA, in one of the frames */
    uintptr_t written_at; /* the instruction that writes it next; 0: none does */
    uint8_t reg;          /* enum crn_register, where it is one */
    bool is_register, is_return_address;
    bool is_certain; /* else likely */
};

/* A word in such a place. */
struct crn_stale_word {
    uintptr_t word, address;
    uint32_t place, coro; /* index + 1; coro 0: of a thread */
};

/* One leaked block. */
struct crn_suspect {
    uintptr_t start;
    struct crn_record *record;
    size_t size;
    uint32_t group; /* index + 1 in `groups` */
    bool is_direct;
};

/* Blocks that share verdict, confidence, allocation stack and holder. */
struct crn_group {
    uint8_t verdict, confidence;
    bool is_bereft; /* it lost its last holder since the mark before: see spare.h */
    uint32_t spare; /* index + 1 in that mark's `spares`, of what held it; 0: not known */
    uint32_t place; /* index + 1 in `places`: the dead word that holds it; 0: none */
    uint8_t doubt;  /* enum crn_doubt: what may hold it, or the coroutine */
    uint32_t alloc_node;
    uint32_t holder;                                         /* index + 1 in `holders`; 0: none */
    uint64_t blocks, bytes, indirect_blocks, indirect_bytes; /* counted when reported */
    uintptr_t example;                                       /* one of its blocks */
    uintptr_t example_word; /* the word of the holder that points to it; 0: none */
    uint32_t example_coro;  /* the coroutine that holds it, number + 1 */
};

/* Dead coroutines alike: same mechanism, state, entry function and stacks. */
struct crn_holder {
    uint8_t mechanism, state; /* state: enum crn_coro_state */
    uint32_t created_node, suspended_node;
    uintptr_t entry;
    uint32_t suspension;   /* of frames: number of the suspension point; 0: not known */
    uint32_t count;
    uint32_t example_coro; /* number of one of them */
    uint64_t stack_bytes, retained_bytes; /* of all of them */
    uint64_t born; /* of the one described: a birth (heap/births.h); 0: not known */
};

/* What the live flood found out about a coroutine frame. */
enum crn_frame_fate {
    CRN_FRAME_LIVE,      /* suspended, reached; or not ours to judge */
    CRN_FRAME_ABANDONED, /* suspended, not reached */
    CRN_FRAME_HELD,      /* at its final suspension point, something live has its handle */
    CRN_FRAME_FINISHED,  /* at its final suspension point, nothing has */
};

enum crn_mark_span { CRN_SPAN_ROWS = 3, CRN_SPAN_WIDE, CRN_SPAN_STALE, CRN_SPANS };

struct crn_spare;

struct crn_mark {
    const struct crn_snap *snap;
    struct crn_arena arena;   /* owns everything below */
    struct crn_span spans[CRN_SPANS]; /* suspects, groups, holders, and enum crn_mark_span */
    uint8_t *colours;         /* by slot */
    uint64_t *fresh;          /* bits by slot: see ahead.h; later, what is white */
    uint64_t *rows;           /* by page + 1: see crn_row_get, crn_row_has_blocks */
    size_t *row_masks;        /* by 512 pages: all bits set where there are rows, or 0 */
    size_t pages;
    size_t wide_count; /* blocks without rows, ascending: see target.h */
    bool has_closed; /* some blocks are special, or dead coroutine frames */
    size_t slot_count, record_count;
    uint32_t *record_of; /* of a narrow picture: by slot, the record's index; else NULL */
    size_t bit_words; /* of tables of bits by slot */
    uint8_t *coro_reached; /* by coroutine: a live handle was found */
    uint8_t *coro_held;    /* by completed coroutine that keeps a result: somebody may take it */
    uint64_t *unused_bits; /* a table of bits by slot that is free for use; NULL: there is none */
    uint64_t *doubted;     /* bits by slot: see slices.h; NULL: of none */
    uint8_t *coro_doubted; /* by coroutine: enum crn_doubt; NULL: of none */
    struct crn_spare *spares; /* what spare memory of containers alone holds: see spare.h */
    size_t spare_count;
    uint64_t
        *spare_held; /* bits by slot, of all that those lead to; NULL: not looked for, or none */
    bool is_spare_judged;           /* coroutines that only spare memory leads to are abandoned */
    bool has_spares, has_rosters;   /* what that was: containers\', asio\'s (rosters.h) */
    const struct crn_mark *earlier; /* the mark before this one; NULL: this is the first */
    uint64_t line;     /* where there was one: blocks born from here on are judged in any case, */
    uint64_t *bereft;  /* bits by slot: and these older ones */
    struct crn_stale_place *places; /* dead ones */
    size_t place_count;
    struct crn_stale_word *stale_words; /* what lies in them */
    size_t stale_count;
    uint8_t *frame_fates;  /* by frame: enum crn_frame_fate */
    struct crn_suspect *suspects;
    size_t suspect_count;
    struct crn_group *groups;
    size_t group_count;
    struct crn_holder *holders;
    size_t holder_count;
    uint32_t *holder_of; /* by number: index + 1 of a dead coroutine's holder; 0: none */
    uint64_t live_blocks, live_bytes; /* everything alive that is ours, leaked or not */
    uint64_t coros_in_state[CRN_CORO_STATE_COUNT];
};

/*
 * Marks.  Reads the memory the snapshot points to; the snapshot must outlive the mark.  Returns
 * CRN_OK or CRN_ERR_NO_MEMORY (there is then no verdict at all).  Free it with crn_mark_free.
 */
enum crn_status crn_mark_run(struct crn_mark *mark, const struct crn_snap *snap);
void crn_mark_free(struct crn_mark *mark);

/*
 * The same for a later picture of the same heap: judges the blocks that were born at or after
 * `line`, and those that in the mark before only spare memory of containers held.  `earlier` must
 * outlive it.
 */
enum crn_status crn_mark_run_again(struct crn_mark *mark, const struct crn_snap *snap,
                                   const struct crn_mark *earlier, uint64_t line);

/* The verdict of the block that `address` points into; for tests. */
enum crn_verdict crn_mark_verdict(const struct crn_mark *mark, uintptr_t address, bool *is_direct);

/* The local that lies at `slot`; NULL: none was named there. */
const struct crn_snap_local *crn_local_find(const struct crn_snap *snap, uintptr_t slot);

/* What is common to coroutines like this one, in the state it was found in; it counts as one. */
struct crn_holder crn_coro_describe(const struct crn_snap *snap, uint32_t number);

/* Whether two are coroutines alike, and a hash of what they then share. */
bool crn_holders_are_alike(const struct crn_holder *a, const struct crn_holder *b);
uint64_t crn_holder_hash(const struct crn_holder *holder);

/* The frame that a block is, as index + 1; 0: none.  `start` is the block's. */
uint32_t crn_frame_find(const struct crn_snap *snap, uintptr_t start);

/* A step of a chain: a word, at `address` in the block that starts at `block` (0: in a root). */
struct crn_chain_step {
    uintptr_t address, block;
    uint32_t root; /* index + 1 in the snapshot's `roots`, of the first step */
    uint32_t coro; /* index + 1: the word lies in the body of this live stackful coroutine */
    uint32_t skipped; /* so many steps before it are left out: it is a long list */
};
enum { CRN_CHAIN_STEPS_MAX = 64 };

/*
 * The shortest way from a root to each of `count` dead coroutines' stacks, contexts or frames,
 * over live memory; `coros` are numbers.  steps[i] gets up to CRN_CHAIN_STEPS_MAX steps, root
 * first; step_counts[i] is 0 where none was found.
 */
void crn_mark_trace(struct crn_mark *mark, const uint32_t *coros, size_t count,
                    struct crn_chain_step (*steps)[CRN_CHAIN_STEPS_MAX], unsigned *step_counts);

/*
 * The same to each of `count` live blocks, at most CRN_TRACE_BLOCKS_MAX, by an address in it.  The
 * walk gives up when it has met `rows_max` blocks, each of which costs 32 bytes.
 */
enum { CRN_TRACE_BLOCKS_MAX = 64 };
void crn_mark_trace_blocks(struct crn_mark *mark, const uintptr_t *addresses, size_t count,
                           size_t rows_max, struct crn_chain_step (*steps)[CRN_CHAIN_STEPS_MAX],
                           unsigned *step_counts);

/*
 * The same to the live block that holds `address`; answers the number of steps, 0: no way was found.
 */
unsigned crn_mark_trace_block(struct crn_mark *mark, uintptr_t address,
                              struct crn_chain_step steps[CRN_CHAIN_STEPS_MAX]);

#endif
