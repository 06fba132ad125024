#ifndef CRN_KERNEL_H
#define CRN_KERNEL_H
/*
 * What the kernel holds, kind by kind.  For the files of runtime/snap only.
 *
 * Where it does not tell, or not all, what only it could hold is at most likely to be a leak:
 * crn_build_unknown_holder.
 */
#include "snap/build.h"
#include "snap/proc.h"
#include "snap/uring.h"

/*
 * What waits in a pipe or a socket, read without taking it out, at any alignment.  `text` is room
 * for CRN_KERNEL_TEXT_BYTES.  `number` is the program's.
 */
void crn_in_flight_pipe(struct crn_snap_builder *builder, int number, char *text);
void crn_in_flight_socket(struct crn_snap_builder *builder, int number, char *text);

/* A ring's mapping, found in the memory map. */
struct crn_ring_piece {
    uintptr_t start, end;
    uint64_t inode;
    bool is_entries; /* the array of submission entries; else head, tail and completions */
    bool is_aio;     /* the completions of io_setup(2) */
    int fd;          /* -1: closed, or none; the mapping keeps the ring alive */
    unsigned polls;  /* requests that wait for readiness, as far as the kernel tells */
};

/* Notes a ring's mapping; learns which descriptors they belong to, one by one; adds the roots. */
enum { CRN_RINGS_MAX = 512 };
void crn_rings_note(struct crn_snap_builder *builder, const struct crn_map_entry *entry);
void crn_rings_descriptor(struct crn_snap_builder *builder, int number, char *text);
void crn_rings_add(struct crn_snap_builder *builder);

#endif
