#ifndef CASE_URING_H
#define CASE_URING_H
/*
 * As much of io_uring as the cases need, by system calls: liburing would do the same inline.
 */
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/syscall.h>

enum { URING_ENTRIES = 4, URING_WIDE = IORING_SETUP_SQE128 };

struct uring {
    int fd;
    size_t entry_bytes, rings_bytes, entries_bytes;
    char *rings, *entries;
    unsigned *sq_tail, *sq_array, *cq_head, *cq_tail;
    struct io_uring_cqe *completions;
};

HELPER void *uring_map(const struct uring *ring, size_t bytes, off_t offset)
{
    void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, offset);
    REQUIRE(start != MAP_FAILED);
    return start;
}

HELPER void uring_open(struct uring *ring, unsigned flags)
{
    struct io_uring_params set;
    memset(&set, 0, sizeof set);
    set.flags = flags;
    ring->fd = (int)syscall(SYS_io_uring_setup, URING_ENTRIES, &set);
    REQUIRE(ring->fd >= 0 && (set.features & IORING_FEAT_SINGLE_MMAP) != 0);
    ring->rings_bytes = set.sq_off.array + set.sq_entries * sizeof(unsigned);
    if (ring->rings_bytes < set.cq_off.cqes + set.cq_entries * sizeof *ring->completions)
        ring->rings_bytes = set.cq_off.cqes + set.cq_entries * sizeof *ring->completions;
    ring->entry_bytes = flags & IORING_SETUP_SQE128 ? 128 : 64;
    ring->entries_bytes = set.sq_entries * ring->entry_bytes;
    ring->rings = (char *)uring_map(ring, ring->rings_bytes, IORING_OFF_SQ_RING);
    ring->entries = (char *)uring_map(ring, ring->entries_bytes, IORING_OFF_SQES);
    ring->sq_tail = (unsigned *)(ring->rings + set.sq_off.tail);
    ring->sq_array = (unsigned *)(ring->rings + set.sq_off.array);
    ring->cq_head = (unsigned *)(ring->rings + set.cq_off.head);
    ring->cq_tail = (unsigned *)(ring->rings + set.cq_off.tail);
    ring->completions = (struct io_uring_cqe *)(ring->rings + set.cq_off.cqes);
}

/* Hands over the entry with this index. */
HELPER void uring_submit(struct uring *ring, unsigned at)
{
    ring->sq_array[at] = at;
    __atomic_store_n(ring->sq_tail, *ring->sq_tail + 1, __ATOMIC_RELEASE);
    REQUIRE(syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0) == 1);
}

/* Asks to be told when `fd` can be read. */
HELPER void uring_poll(struct uring *ring, int fd, void *user_data)
{
    unsigned at = *ring->sq_tail % URING_ENTRIES;
    struct io_uring_sqe *entry = (struct io_uring_sqe *)(ring->entries + at * ring->entry_bytes);
    memset(entry, 0, ring->entry_bytes);
    entry->opcode = IORING_OP_POLL_ADD;
    entry->fd = fd;
    entry->poll_events = POLLIN;
    entry->user_data = (uintptr_t)user_data;
    uring_submit(ring, at);
}

/* Takes a completion out; answers its user data, hidden. */
HELPER uintptr_t uring_take(struct uring *ring)
{
    REQUIRE(syscall(SYS_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) >= 0);
    unsigned head = *ring->cq_head;
    REQUIRE(head != __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE));
    uintptr_t hidden = ~(uintptr_t)ring->completions[head % (2 * URING_ENTRIES)].user_data;
    __atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
    return hidden;
}

HELPER void uring_close(struct uring *ring)
{
    REQUIRE(munmap(ring->entries, ring->entries_bytes) == 0);
    REQUIRE(munmap(ring->rings, ring->rings_bytes) == 0);
    REQUIRE(close(ring->fd) == 0);
}

#endif
