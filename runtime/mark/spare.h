#ifndef CRN_SPARE_H
#define CRN_SPARE_H
/*
 * Elements that a container has let go of, but whose bytes it still has.
 *
 *     container: | begin | end | limit |
 *                    |      |      `------------------------.
 *                    v      v                               v
 *     buffer:      | element | erased: a pointer to a block |
 *
 * Nobody will use the block through the erased element, yet the mark follows its pointer as long as
 * the buffer is there.  The program's end often frees the buffer: what then nothing holds was
 * leaked long before.  An element that is still there when the end begins is another matter: to
 * leave what it points to behind is no leak.
 *
 * So the mark of the beginning end notes which blocks only spare memory holds (crn_spares_find),
 * and a second one judges those, after the containers are gone (crn_mark_run_again).
 */
#include "mark/slices.h"

/* A block that spare memory points to, and nothing but spare memory holds. */
struct crn_spare {
    uintptr_t target;    /* where the block starts */
    uintptr_t container; /* the words that say where the elements lie */
    uintptr_t buffer;    /* the block that they lie in */
    size_t buffer_bytes;
    uint32_t buffer_node; /* its allocation stack */
};

/*
 * Fills mark->spares, ascending by target, and mark->spare_held: all that only spare memory leads
 * to.  Takes the time of the live flood again where some spare memory points to a live block, and
 * else of one reading of variables and of at most 64 MiB of heap.  Without memory there are none.
 */
void crn_spares_find(struct crn_mark *mark);

/*
 * Looks for spare memory as crn_spares_find does, but leaves out what may be rings; where there is
 * some, shows the mark of what is live without it to `compare`.
 */
void crn_spares_compare(struct crn_mark *mark,
                        void (*compare)(struct crn_mark *mark, const struct crn_mark *without));

/*
 * Coroutines are judged at once.  Who resumes one takes its handle from an element that is there,
 * and not from spare memory; so those that would not be live but for it are abandoned, likely. What
 * else only spare memory holds stays as it is, unless such a coroutine holds it, too.
 *
 *     run queue: | begin | end | limit |  -->  | popped: a handle |  -->  coroutine  -->  block
 *
 * Run it behind the live flood: finds them, and takes them out of what is live.  Nothing is done
 * where no coroutine is suspended and live, and without memory.
 */
void crn_spares_judge(struct crn_mark *mark);

/*
 * While the likely ones of the abandoned are flooded, what only spare memory holds is open to them;
 * what is left is live again afterwards.
 */
void crn_spares_open(struct crn_mark *mark);
void crn_spares_close(struct crn_mark *mark);

/* What may hold a block, or a coroutine (by number), that is a leak. */
CRN_INLINE enum crn_doubt crn_block_doubt(const struct crn_mark *mark, crn_slot slot)
{
    if (crn_block_is_doubted(mark, slot))
        return CRN_DOUBT_ODD;
    return mark->is_spare_judged && crn_bit_get(mark->spare_held, slot) ? CRN_DOUBT_SPARE
                                                                        : CRN_DOUBT_NONE;
}
CRN_INLINE enum crn_doubt crn_coro_doubt(const struct crn_mark *mark, uint32_t coro)
{
    return mark->coro_doubted != NULL && coro < mark->snap->coro_count
               ? (enum crn_doubt)mark->coro_doubted[coro]
               : CRN_DOUBT_NONE;
}

/* The spare memory that pointed to a block in the mark before, as index + 1; 0: none is known. */
uint32_t crn_spare_at(const struct crn_mark *mark, uintptr_t start);

/* Whether a block lost its last holder, which was spare memory, since the mark before. */
CRN_INLINE bool crn_block_is_bereft(const struct crn_mark *mark, crn_slot slot)
{
    return mark->bereft != NULL && crn_bit_get(mark->bereft, slot);
}

/* Whether a block that is older than the line is to be judged in a mark that is not the first. */
bool crn_spare_is_judged(const struct crn_mark *mark, uintptr_t start);

#endif
