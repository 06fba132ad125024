#ifndef CRN_BIRTHS_H
#define CRN_BIRTHS_H
/*
 * The birth clock: when a block was born, in 22 bits of its record, for ten years.
 *
 * Births are numbered 1, 2, 3 … without end (64 bits).  A new one begins at every line that is
 * drawn (fork, mark, teardown), so that "born before the line" is exact, and otherwise when a
 * second has passed; later less often, when 1/131072 of the process's life has: that makes 1.2
 * million in ten years.  A table tells when each began, and another how many bytes were live then.
 *
 * A record keeps its birth's *stamp*, the low 22 bits.  So a stamp comes round again after 4
 * million births, which lines may well use up.  Before that, blocks that are old by then are
 * stamped anew, by compare-and-swap and while the program runs (a *sweep*):
 *
 *     kept births       the newest 2 to 3 million
 *     |..|....|........|======================================|  now
 *     stamps 1 .. 1023   the other stamps
 *
 * Of the births before those only a few go on being told apart, each a sixteenth of its age from
 * the next (and at least a second): their stamps are the first 1023, and a table says which is
 * whose.  A block of a birth in between joins the one before it: it looks older, never younger, and
 * never passes `birth_line`.  Every other line is exact as long as fewer than two million births
 * came after it.
 *
 * Births compare as numbers.  What a record says becomes one by crn_birth_of (heap.h).
 */
#include "base/lock.h"
#include "base/vm.h"

enum {
    CRN_BIRTH_STAMP_BITS = 22,
    CRN_BIRTH_KEPT = 1024,              /* stamps below are those of kept births */
    CRN_BIRTH_OWN = CRN_BIRTH_KEPT / 2, /* births below have themselves as stamps, from the start */
    CRN_BIRTH_EXACT = 1 << 21,          /* a sweep leaves so many of the newest as they are */
    CRN_BIRTH_SWEEP_EVERY = 1 << 20,
};

struct crn_births {
    uint64_t kept[CRN_BIRTH_KEPT]; /* by stamp: the birth; 0: the stamp is free */
    struct crn_span times;    /* uint64_t by stamp: when it began, ns since the start; 0: unknown */
    struct crn_span levels; /* uint64_t by stamp: bytes live when it began, of all threads that had
                             * handed their counts in */
    _Atomic uint64_t last_ns; /* when the newest began */
    uint64_t swept;           /* births up to here were swept; guarded by the lock, as follows: */
    _Atomic uint64_t sweep_at; /* the birth at which the next sweep is due */
    struct crn_lock lock;
};

struct crn_heap;

void crn_births_init(struct crn_heap *heap);

/* Begins another birth if enough time has passed.  Any thread; waits for nobody. */
void crn_births_tick(struct crn_heap *heap);

/* When the blocks of a birth were made: [from, to) in ns since the start of the process. */
struct crn_birth_span {
    uint64_t from_ns, to_ns;
};
struct crn_birth_span crn_birth_time(struct crn_heap *heap, uint64_t birth);

/* How many bytes were live when a birth began, 64 KiB a thread more or less; 0: not known. */
uint64_t crn_birth_level(struct crn_heap *heap, uint64_t birth);

/*
 * Calls visit(user, birth, stamp) for every birth that a block may bear and that is not older than
 * `from`, the newest first.
 */
void crn_births_visit(struct crn_heap *heap, uint64_t from,
                      void (*visit)(void *user, uint64_t birth, uint32_t stamp), void *user);

/* Makes the clock usable in a forked child; a sweep that was under way is as good as none. */
void crn_births_after_fork(struct crn_heap *heap);

#endif
