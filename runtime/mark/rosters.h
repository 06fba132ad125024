#ifndef CRN_ROSTERS_H
#define CRN_ROSTERS_H
/*
 * Rosters: lists of all objects of a kind, which are kept to end them with their owner.
 *
 *     io_context --> channel service --> channel A <--> channel B <--> ...
 *                                          |
 *                                          `--> operation --> coroutine
 *
 * Nobody resumes a coroutine through one: who sends to a channel has the channel, and got it
 * elsewhere. A coroutine that waits on its own channel is held by nothing else, though.
 *
 * Known are asio's services (and Boost.Asio's): objects of classes with virtual functions, so the
 * name of the class stands behind the first word, in stripped programs, too (Itanium C++ ABI, 2.9:
 * without -fno-rtti).  Where their lists lie is as in asio 1.22 and Boost 1.81; a list must be
 * linked both ways, else it is none that we know.
 */
#include "mark/flood.h"

enum { CRN_ROSTER_MEMO_BITS = 10 };

/* Which first words of blocks are of which class. */
struct crn_rosters {
    uintptr_t words[1 << CRN_ROSTER_MEMO_BITS];
    uint8_t kinds[1 << CRN_ROSTER_MEMO_BITS]; /* row of the table + 1; 0: none that we know */
    unsigned looked; /* words that were looked up in the program's memory */
};

/*
 * Calls link(address, user) for each word that is a link of a roster, if the block keeps one;
 * answers false where that was no list after all, and what was told is to be forgotten.
 */
bool crn_roster_links(struct crn_rosters *rosters, uintptr_t start, size_t bytes,
                      bool (*link)(uintptr_t address, void *user), void *user);

/* Where a block keeps a vector that is known to be one, by its class; 0: nowhere. */
uintptr_t crn_roster_vector(struct crn_rosters *rosters, uintptr_t start, size_t bytes);

/*
 * Asio keeps the memory of frames and operations for the next ones, for each thread that runs an
 * io_context, while it runs it.  On the stack of such a thread stand three words: the scheduler,
 * where that memory is listed, and the next three of the kind:
 *
 *     | scheduler | list | next |  ...  list: | block | 0 | block | ... |
 *
 * A block in the list begins with its size, in units of 4 or 8 bytes, as nothing else does: what it
 * held before it still holds, and nobody reads that.
 */
enum { CRN_RECYCLED_MAX = 10 };
bool crn_roster_is_scheduler(struct crn_rosters *rosters, uintptr_t start, size_t bytes);
bool crn_roster_is_recycled(uintptr_t start, size_t size);

#endif
