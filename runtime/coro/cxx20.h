#ifndef CRN_CXX20_H
#define CRN_CXX20_H
/*
 * The recogniser for C++20 coroutines: is this memory a coroutine frame?
 *
 * A frame begins with what resumes and what destroys it, and both compilers clear the first word
 * at the final suspension point:
 *
 *     suspended:       | resume | destroy | promise, index, locals ...
 *     final suspend:   |   0    | destroy | promise, index, dead locals ...
 *
 * Two function pointers side by side are common (callbacks, a list's node with its destructor), so
 * that is not enough: both must be exact starts of functions in one module, and their code must be
 * that of a coroutine (cxx20_code.h).  With gcc the frame must also hold its own address, and a
 * resume index that one can be suspended at.
 *
 * It answers for one check, all threads standing still, and keeps what it learned of each pair of
 * words and each module in an arena.
 */
#include "base/vm.h"
#include "code/code.h"

/* A coroutine function, and where in it frames are suspended. */
struct crn_cxx20_kind {
    uintptr_t resume, destroy; /* its two functions */
    uint32_t index_at;         /* gcc: where in the frame the resume index lies; 0: not known */
    uint16_t suspension;       /* number of the suspension point; 0: not known */
    uintptr_t stopped_at;      /* code of that point; 0: not known */
};

/* What was recognised. */
struct crn_cxx20_frame {
    uint32_t kind;       /* index in `kinds` */
    uint16_t suspension; /* number of its suspension point; 0: not known */
    uint8_t offset;      /* of the frame in its block, behind a header of the program's */
    bool is_final;       /* at its final suspension point */
};

struct crn_cxx20 {
    struct crn_arena *arena;
    const struct crn_code *code;
    uintptr_t gap_start, gap_bytes;   /* the largest gap in the code: heaps lie there */
    struct crn_cxx20_answer *answers; /* by a hash of the two words: the last pair there */
    size_t answer_mask;
    struct crn_cxx20_point *points;   /* by a hash of kind and suspension point, likewise */
    struct crn_cxx20_kind *kinds;
    size_t kind_count, kind_room;
    struct crn_cxx20_module *modules; /* whose ramps were looked for */
};

/*
 * Prepares to be asked about `block_count` blocks, more or less.  False: no memory.  `code` and
 * `arena` must outlive it.
 */
bool crn_cxx20_init(struct crn_cxx20 *cxx20, struct crn_arena *arena, const struct crn_code *code,
                    size_t block_count);

/*
 * Whether a frame begins in the block of `bytes` at `start`, at its first word or behind a header
 * of one or two words.  Reads the block's first words, and of a likely one more.
 */
bool crn_cxx20_find(struct crn_cxx20 *cxx20, const void *start, size_t bytes,
                    struct crn_cxx20_frame *frame);

#endif
