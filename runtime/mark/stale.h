#ifndef CRN_STALE_H
#define CRN_STALE_H
/*
 * Words of call frames that will never be read again.
 *
 * A word on the stack of a thread or coroutine, or in one of its registers, is a *candidate* where
 * nothing but such words leads to what it points to.  Of candidates the code is asked
 * (liveness/liveness.h); those it calls dead hold nothing, and what only they lead to is `stale`.
 *
 *     thread stack:  | take's frame: rbx | dispatch_loop's frame: slot | ...
 *                             |                     |
 *                             `---> message <-------'      both are dead: message is stale
 *
 * Which frame a word belongs to is found by walking the frames outwards from where the thread or
 * coroutine stands still.  A register that is the caller's lies in the slot in which a frame
 * further in saved it, or still in the register.
 *
 * Not asked, so live: frames whose unwind information is not exact, and all outside of them; the
 * frames of whoever ends the program; registers of a thread that was stopped in the middle of
 * anything but a call of libc's that waits; words that lead to a coroutine, straight or by other
 * blocks; words at addresses that are no multiple of 8.
 */
#include "mark/flood.h"

/* A word that may be dead. */
struct crn_candidate {
    uintptr_t word, address;
    uint32_t coro;    /* index + 1, in whose body it lies; 0: in a thread's root */
    uint32_t place;   /* index + 1 in mark->places, of a dead one */
    bool is_register; /* a slot in which a frame saved a register of its caller's */
    bool is_asked;
};

/* Who asks.  Zeroed memory, but for the first field. */
struct crn_asker {
    struct crn_mark *mark;
    struct crn_liveness_engine *engine;
    struct crn_frame_facts *frames; /* what is known of return addresses, by a hash */
    struct crn_place_memo *memos;   /* answers, by a hash */
};

/* Whether there is anything to ask, and somebody who answers. */
bool crn_stale_is_asked(const struct crn_mark *mark);

/*
 * Gives the dead ones among the candidates a place.  Those of one coroutine stand side by side, and
 * come all at once.  Changes their order inside that.
 */
void crn_asker_ask(struct crn_asker *asker, struct crn_candidate *candidates, size_t count);
void crn_asker_fini(struct crn_asker *asker);

#endif
