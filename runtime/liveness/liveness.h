#ifndef CRN_LIVENESS_H
#define CRN_LIVENESS_H
/*
 * Will this register, stack slot or word of a coroutine frame be read before it is written, from
 * this resume address on?
 *
 * The answer comes from the machine code of the function that owns the place: a walk of its control
 * flow from the resume address on (walk.c), with what is known of where its frame's addresses went
 * (frame.c).
 *
 *     resume --> call --> mov 0x18(%rsp),%rdi     read: the slot at CFA - 0x20 is live
 *            `-> mov %rax,0x18(%rsp)              written on every path: it is dead
 *
 * A question is about one frame and the function that owns the place:
 *
 *   - A callee-saved register belongs to the innermost frame, from the place where its value is
 *     outwards, whose function has saved the caller's value of it: crn_liveness_saves tells which
 *     frame that is, and in which slot the caller's value lies.  That slot is not to be asked about
 *     as a slot of the function that saved: it is the register of a frame further out.
 *     Each frame further in that has not saved the register must leave it alone until it returns:
 *     crn_liveness_passes_on.  Some do not, with a register that the program's author has set aside
 *     for a global variable, as interpreters do.
 *   - A slot is named by its distance from the CFA of its frame.
 *
 * Whatever is not known for certain is CRN_LIVENESS_UNKNOWN, and an unknown place is live.
 */
#include "code/decode.h"
#include "stack/rules.h"

enum crn_liveness { CRN_LIVENESS_UNKNOWN, CRN_LIVENESS_READ, CRN_LIVENESS_DEAD };

/* Why an answer is what it is.  For DEAD: how the walk's paths ended; the first that applies. */
enum crn_liveness_reason {
    CRN_REASON_NONE,
    /* DEAD */
    CRN_REASON_WRITTEN, /* on some path it is written first; `written_at` tells where */
    CRN_REASON_LEFT,    /* no path writes it: all return, end or go round without it */
    /* READ */
    CRN_REASON_READ,      /* an instruction reads it; `written_at` is that instruction */
    CRN_REASON_PASSES_ON, /* no path reads the register, and one returns with it: ask the caller */
    /* UNKNOWN */
    CRN_REASON_NO_DECODER,    /* the library that decodes is missing */
    CRN_REASON_NO_FUNCTION,   /* no unwind information, code that cannot be read, or no entry */
    CRN_REASON_NO_PLACE,      /* the place is not one of this frame's */
    CRN_REASON_UNSEEN,        /* the resume address is not in the code that the walk knows */
    CRN_REASON_INDIRECT,      /* a jump whose targets are not known */
    CRN_REASON_STACK,         /* the stack pointer is not at a known distance from the CFA */
    CRN_REASON_ESCAPED,       /* an address at or below the slot went where we cannot follow */
    CRN_REASON_ARGUMENT,      /* the slot may be an argument of the call that is under way */
    CRN_REASON_RETURNS_TWICE, /* setjmp, or what saves registers as it does */
    CRN_REASON_TOO_LARGE,     /* the function, or the walk, is beyond the bounds */
    CRN_REASON_CONVENTION,    /* a register that calls may or may not change */
    CRN_REASON_NO_MEMORY,
    CRN_REASON_COUNT,
};

enum crn_place_kind {
    CRN_PLACE_REGISTER,
    CRN_PLACE_SLOT,       /* 8 bytes at CFA + offset */
    CRN_PLACE_FRAME_WORD, /* 8 bytes at offset in a C++20 coroutine frame */
};

struct crn_liveness_question {
    uintptr_t pc; /* where the frame goes on; FRAME_WORD: its resume or destroy function */
    bool is_return_address; /* pc is where a call returns to, not an interrupted instruction */
    enum crn_place_kind place;
    unsigned reg;       /* REGISTER: enum crn_register */
    int64_t offset;     /* SLOT, FRAME_WORD: bytes, a multiple of 8 */
    uintptr_t frame;    /* FRAME_WORD: the coroutine frame; its words decide where it goes on */
    size_t frame_bytes; /* FRAME_WORD: how much of it can be read */
};

struct crn_liveness_answer {
    enum crn_liveness liveness;
    enum crn_liveness_reason reason;
    bool is_certain; /* DEAD: no address of the frame leaves the function, and no landing pads */
    uintptr_t written_at; /* an instruction that writes it next (READ: that reads it); 0: none */
};

/* What one check knows of functions. */
struct crn_liveness_engine;

/*
 * Makes an engine that reads code inside `code`, which must stay as it is until the engine is
 * destroyed.  Its memory is its own, 64 MiB at most.  NULL: no memory.  Not thread safe; needs
 * 32 KiB of stack; takes no lock and calls nothing of the program's.
 */
struct crn_liveness_engine *crn_liveness_create(const struct crn_code *code);
void crn_liveness_destroy(struct crn_liveness_engine *engine);

/* Answers a question.  `engine` as from crn_liveness_create. */
struct crn_liveness_answer crn_liveness_ask(struct crn_liveness_engine *engine,
                                            const struct crn_liveness_question *question);

/*
 * Whether the function has saved its caller's value of a callee-saved register when it stands at
 * `pc`; then `*offset` is where, in bytes from the frame's CFA.  `reg` is an enum crn_register.
 */
enum crn_saved crn_liveness_saves(uintptr_t pc, bool is_return_address, unsigned reg,
                                  int64_t *offset);

/*
 * Whether the function that stands at `pc`, and has not saved the register, returns without having
 * read or written it.  For each frame further in than the owner's; only then is the owner's answer
 * all there is to say.
 */
bool crn_liveness_passes_on(struct crn_liveness_engine *engine, uintptr_t pc,
                            bool is_return_address, unsigned reg);

/* A word for a reason, for messages and tests: "escaped". */
const char *crn_liveness_reason_name(enum crn_liveness_reason reason);

#endif
