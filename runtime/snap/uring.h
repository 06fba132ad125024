#ifndef CRN_URING_H
#define CRN_URING_H
/*
 * The memory that the kernel shares with a program for io_uring and for io_setup(2), read as data.
 */
#include "base/maps.h"

/*
 * Whether a mapping is such memory.  It is no root like other mappings: entries stay in it long
 * after they were used.
 */
bool crn_ring_is_mapping(const struct crn_map_entry *entry);

/* What the head of a ring says; the kernel's numbers wrap at 2^32. */
struct crn_uring_counts {
    uint32_t submitted; /* entries the kernel has taken over; dropped ones are not counted */
    uint32_t completed; /* completions it has posted */
    uint32_t sq_entries, cq_entries;
    uint32_t cq_head;   /* completions the program has taken */
    uint32_t cqes_at;   /* bytes from the ring's start to the first completion */
    bool has_more;      /* a completion says that its request goes on */
};

/* Reads a ring of `bytes` at `ring`; false: it has a layout that we do not know. */
bool crn_uring_counts_read(const void *ring, size_t bytes, struct crn_uring_counts *counts);

/*
 * Whether requests may be in flight whose entry another one has taken since, so that their user
 * data is in the kernel alone.  `polls`: so many requests are known to be in flight.
 */
bool crn_uring_has_unknown(const struct crn_uring_counts *counts, unsigned polls);

/*
 * The user data of completions that the program has not taken, and of all submission entries;
 * both answer how many words they wrote, at most `room`.
 */
size_t crn_uring_completions(const void *ring, size_t bytes, const struct crn_uring_counts *counts,
                             uintptr_t *words, size_t room);
size_t crn_uring_entries(const void *entries, size_t bytes, uintptr_t *words, size_t room);

/* The same for a ring of io_setup(2): data and control block of each event not taken. */
size_t crn_aio_events(const void *ring, size_t bytes, uintptr_t *words, size_t room);

#endif
