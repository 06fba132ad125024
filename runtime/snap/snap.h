#ifndef CRN_SNAP_H
#define CRN_SNAP_H
/*
 * One consistent picture of the process, as data: what a check marks.
 *
 * crn_snap_take fills it from the live process while every other thread stands still; tests fill
 * it by hand.  Marking reads nothing else but the memory that the picture points to.
 */
#include "code/code.h"
#include "coro/cxx20.h"
#include "coro/announced.h"
#include "base/vm.h"

/* Memory, or a single word, that is scanned unconditionally. */
struct crn_root {
    uintptr_t start, end; /* [start, end) */
    uint8_t kind;         /* enum crn_root_kind */
    uint8_t step;         /* bytes from one word to the next: 8, or 4 for stacks */
    bool must_be_sparse;  /* read only pages that have contents */
    bool is_copy_only;    /* of a file mapping: only pages that were written */
    bool is_shared;       /* rows of `shared` lie in it */
    bool is_written;      /* a piece of inherited blocks: see narrow.h */
    uint32_t name;        /* offset in `names`; 0: none */
};

/*
 * A thread that stands still: where its frames begin, for whoever asks which of the words on its
 * stack will be read again.
 */
enum { CRN_KEPT_REGISTERS = 6 };
struct crn_snap_walk {
    struct crn_frame frame;     /* the innermost */
    const uintptr_t *registers; /* a root's: rbx, rbp, r12 to r15; NULL: not known where they lie */
};

struct crn_snap_coro {
    uint32_t id;
    uint8_t mechanism, state; /* as the registry says, but RUNNING only if a thread is on it */
    bool is_root;             /* running, or of unknown state: live whatever reaches it */
    bool is_exact;            /* its body is: sp was recovered */
    bool is_sure;             /* its state does not hang on a guess */
    bool keeps_body; /* completed: its trampoline's frame is still there, and counts when reached */
    bool never_goes_on;       /* of those: whatever resumes it, nobody reads that frame again */
    bool keeps_result;        /* completed: who holds its frame may yet read something of it */
    uintptr_t stack_start, stack_end; /* opaque */
    uintptr_t body_start, body_end;
    uintptr_t
        zone_start; /* live: [zone_start, zone_end) counts, too, as far as it was touched from */
    uintptr_t zone_end;               /* its start on; 0, 0: no such zone */
    uint32_t first_word, word_count;  /* in `words` */
    uint32_t created_node;
    uint64_t born; /* when it was first seen, a birth (heap/births.h); 0: not known */
    uintptr_t entry;
    uint32_t probe;        /* number of the row that announced it; 0: none did */
    uint32_t running_node; /* where it runs right now, of one that was announced; 0: not known */
    struct crn_frame stopped; /* the frame a suspended one stopped in; pc 0: not known */
};

/* Whether nothing of a coroutine counts any more, whoever reaches it. */
CRN_INLINE bool crn_snap_coro_is_over(const struct crn_snap_coro *coro)
{
    return coro->state == CRN_CORO_CANCELLED ||
           (coro->state == CRN_CORO_COMPLETED && !coro->keeps_body);
}

/* Memory that is not read like other memory. */
struct crn_opaque {
    uintptr_t start, end;
    uint32_t coro;   /* index in `coros` */
    bool is_context; /* a register area; else a stack */
    bool is_handle;  /* reaching it is reaching the coroutine */
};

/* A coroutine frame of C++20: the heap block that holds it.  There may be millions. */
struct crn_snap_frame {
    uintptr_t start;     /* of the block */
    uint32_t kind;       /* index in `frame_kinds` */
    uint16_t suspension; /* number of its suspension point; 0: not known */
    uint8_t offset;      /* of the frame in its block */
    bool is_final : 1;   /* at its final suspension point: it has run to its end */
    bool is_sure : 1;    /* that it is a frame does not hang on a guess */
};

/* A local that a coroutine named. */
struct crn_snap_local {
    uintptr_t slot;
    const char *name;
    uint32_t coro; /* index in `coros` */
    bool is_done;  /* it will not be read again */
};

/* An object that should be gone by now. */
struct crn_snap_watch {
    uintptr_t object;
    const char *why;
    uint32_t scope;
    uint32_t row; /* in the registry */
};

/* Memory that must not be touched, only copied, if at all: see base/pages.h. */
enum crn_unreadable_how {
    CRN_HOLDS_NOTHING, /* nothing is there, or nothing that we may look at */
    CRN_READ_COPIED,   /* touching it may fault */
    CRN_READ_FORCED,   /* the program itself has no access (PROT_NONE) */
};

struct crn_unreadable {
    uintptr_t start, end;
    uint8_t how;        /* enum crn_unreadable_how */
    bool is_accessible; /* to the program: no guard page, which tells where a stack begins */
};

/*
 * A mapping of a file or of shared memory whose contents may be in the kernel's hands alone: pages
 * that were written through another mapping, by a system call or by another process, or that
 * this one gave back.
 */
struct crn_shared {
    uintptr_t start, end;
    uintptr_t contents_end; /* of a file: where it ends; UINTPTR_MAX: not known */
    bool is_file;           /* what is not in memory is in a file; else it is nowhere, or swapped */
    bool is_slow;           /* that file is served by somebody: another machine, maybe ourselves */
    bool is_served_missing, is_served_minor; /* userfaultfd: enum crn_map_detail_flags */
};

/* For reading by copying.  It changes while a picture is read, but says nothing twice. */
struct crn_window {
    char *buffer;              /* CRN_WINDOW_BYTES and a page */
    size_t file_bytes_left;    /* that may yet be read in from files */
    const char *unknown;       /* what could not be read and may hold memory; NULL: nothing */
    bool has_looked_for_swap, has_swap; /* of shared memory */
};

/* Why a picture is taken. */
struct crn_occasion {
    bool is_end;    /* of the program: every cancellation is over */
    uint32_t scope; /* that ends now, or that is asked about; 0: all */
    bool is_scope_end;
    bool is_narrow; /* take a narrow picture: see narrow.h */
};

struct crn_snap {
    struct crn_heap *heap;
    uintptr_t heap_end;  /* every block in the region lies below */
    uint64_t birth_from; /* judge only blocks born at or after */
    uint64_t taken_ns;   /* CLOCK_MONOTONIC, when it began to be taken; 0: made by hand */
    bool is_narrow;      /* there are no other blocks than these, ascending: see narrow.h */
    struct crn_block *only;
    size_t only_count;

    struct crn_root *roots;
    size_t root_count;
    struct crn_snap_coro *coros;
    size_t coro_count;
    struct crn_snap_walk *walks;
    size_t walk_count;
    bool asks_stale; /* words of call frames hold only what the program may read again */
    struct crn_snap_local *locals; /* ascending by slot */
    size_t local_count;
    struct crn_snap_watch *watches;
    size_t watch_count;
    struct crn_occasion occasion;
    bool has_ignored; /* some blocks belong to CRN_OWNER_IGNORED */
    uintptr_t *words;
    size_t word_count;
    struct crn_opaque *opaques; /* ascending by start; stacks are disjoint, areas may lie in them */
    size_t opaque_count;
    struct crn_snap_frame *frames; /* ascending by start */
    size_t frame_count;
    const struct crn_cxx20_kind *frame_kinds;
    size_t frame_kind_count;
    struct crn_range *outputs; /* what calls that threads wait in will write, and nobody reads */
    size_t output_count;
    uintptr_t *links; /* ascending: a word that is one of these leads nowhere */
    size_t link_count;
    struct crn_unreadable *unreadable; /* ascending, disjoint */
    size_t unreadable_count;
    struct crn_shared *shared; /* ascending, disjoint */
    size_t shared_count;
    struct crn_window *window; /* NULL: nothing is read by copying */
    struct crn_outside_block *outside; /* ascending by start */
    size_t outside_count;
    struct crn_code code; /* where code lies */
    char *names; /* NUL-terminated texts; offset 0 is "" */
    size_t names_bytes;

    /* The stack a suspended coroutine stopped in, as a node; NULL: not known. */
    uint32_t (*suspended_node_get)(const struct crn_snap *snap, const struct crn_snap_coro *coro);

    /* The same of a coroutine frame. */
    uint32_t (*frame_node_get)(const struct crn_snap *snap, const struct crn_snap_frame *frame);

    unsigned unseen_threads;
    const char *unknown_holder; /* may hold memory, we cannot see which; NULL: there is none */
    bool is_unaligned;    /* a pointer may stand at any byte */
    bool is_aligned_only; /* the program was told that none does */
    bool is_torn; /* the registry was being changed under us: coroutine verdicts are off */
    struct crn_arena arena; /* owns all arrays but this one */
    struct crn_span frames_span;
};

/* Who may hold memory without our seeing which; NULL: nobody.  Ask when all roots were read. */
CRN_INLINE const char *crn_snap_unknown_holder(const struct crn_snap *snap)
{
    return snap->unknown_holder != NULL || snap->window == NULL ? snap->unknown_holder
                                                                : snap->window->unknown;
}

#endif
