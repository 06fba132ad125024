/*
 * io_uring: whose user data the kernel will give back.
 *
 * liburing makes its system calls inline, so nothing can be interposed.  But submissions go through
 * memory that is shared with the kernel, and the user data of a request stays in its entry until
 * the program uses the entry for another one:
 *
 *     entries      | user data | user data | user data | …     all count, also those that are done:
 *                                                              who is in flight is not written down
 *     completions  | taken     | not taken | not taken |       only those not taken count
 *
 * Of a request whose entry has been used again only the kernel knows.  Whether there are such can
 * be told from the numbers: more were submitted than there are entries, and not each has got its
 * completion.  A request may have several, and then the numbers prove nothing.
 *
 * A ring lives as long as it is mapped or its descriptor is open; the program can only take
 * completions while it is mapped, so without a mapping it holds nothing.
 */
#include "snap/kernel.h"
#include "snap/aio.h"
#include "snap/borrow.h"
#include "base/sys.h"

#include <string.h>
#include <sys/stat.h>

static const char RING_PATH[] = "anon_inode:[io_uring]";
static const char AIO_PATH[] = "/[aio]";

/* Where liburing maps what (IORING_OFF_SQ_RING and so on, io_uring(7)). */
enum { OFFSET_SQ = 0, OFFSET_CQ = 0x8000000, OFFSET_ENTRIES = 0x10000000 };

static bool is_aio(const struct crn_map_entry *entry)
{
    return strncmp(entry->path, AIO_PATH, sizeof AIO_PATH - 1) == 0;
}

bool crn_ring_is_mapping(const struct crn_map_entry *entry)
{
    if ((entry->flags & CRN_MAP_READ) == 0)
        return false;
    if (is_aio(entry))
        return true;
    return strcmp(entry->path, RING_PATH) == 0 &&
           (entry->offset == OFFSET_SQ || entry->offset == OFFSET_CQ ||
            entry->offset == OFFSET_ENTRIES);
}

/*
 * struct io_rings of the kernel, in words of 32 bits.  Since 6.1 heads and tails stand together;
 * before, each had a cache line.  What follows has the same order in both.
 */
static const struct layout {
    uint8_t sq_head, cq_head, cq_tail, sq_mask;
    uint8_t cqes_at; /* in words */
} layouts[] = {
    {0, 2, 3, 4, 16},
    {0, 32, 48, 64, 80},
};
enum { AFTER_CQ_MASK = 1, AFTER_SQ_ENTRIES = 2, AFTER_CQ_ENTRIES = 3, AFTER_DROPPED = 4 };

/* A completion: user data, result, flags; twice as long in rings that were set up so. */
struct completion {
    uint64_t user_data;
    int32_t result;
    uint32_t flags;
};
enum { FLAG_MORE = 2, ENTRY_BYTES = 64, USER_DATA_AT = 32 };

bool crn_uring_counts_read(const void *ring, size_t bytes, struct crn_uring_counts *counts)
{
    const uint32_t *words = ring;
    for (unsigned i = 0; i < CRN_COUNT_OF(layouts); i++) {
        const struct layout *layout = &layouts[i];
        const uint32_t *masks = words + layout->sq_mask;
        if (bytes < layout->cqes_at * sizeof *words)
            return false;
        uint32_t sq_entries = masks[AFTER_SQ_ENTRIES], cq_entries = masks[AFTER_CQ_ENTRIES];
        if (sq_entries == 0 || cq_entries == 0 || masks[0] != sq_entries - 1 ||
            masks[AFTER_CQ_MASK] != cq_entries - 1 || (sq_entries & masks[0]) != 0 ||
            (cq_entries & masks[AFTER_CQ_MASK]) != 0 ||
            layout->cqes_at * sizeof *words + cq_entries * sizeof(struct completion) > bytes)
            continue;
        *counts = (struct crn_uring_counts){
            .submitted = words[layout->sq_head] - masks[AFTER_DROPPED],
            .completed = words[layout->cq_tail],
            .sq_entries = sq_entries,
            .cq_entries = cq_entries,
            .cq_head = words[layout->cq_head],
            .cqes_at = layout->cqes_at * (uint32_t)sizeof *words,
        };
        const struct completion *all = (const void *)((const char *)ring + counts->cqes_at);
        for (uint32_t at = 0; at < cq_entries && at < counts->completed; at++)
            counts->has_more |= (all[at].flags & FLAG_MORE) != 0;
        return true;
    }
    return false;
}

bool crn_uring_has_unknown(const struct crn_uring_counts *counts, unsigned polls)
{
    return counts->submitted > counts->sq_entries &&
           (counts->submitted != counts->completed || counts->has_more || polls > 0);
}

size_t crn_uring_completions(const void *ring, size_t bytes, const struct crn_uring_counts *counts,
                             uintptr_t *words, size_t room)
{
    size_t count = 0;
    uint32_t left = counts->completed - counts->cq_head;
    const char *all = (const char *)ring + counts->cqes_at;
    size_t all_bytes = bytes - counts->cqes_at;
    if (left > counts->cq_entries)
        left = counts->cq_entries;
    /* Nothing says how long a completion is: read them both ways, where there is room for it. */
    for (size_t size = sizeof(struct completion); size <= 2 * sizeof(struct completion); size *= 2)
        for (uint32_t i = 0; i < left && counts->cq_entries * size <= all_bytes; i++) {
            uint32_t at = (counts->cq_head + i) & (counts->cq_entries - 1);
            uintptr_t word = ((const struct completion *)(all + at * size))->user_data;
            if (word != 0 && count < room)
                words[count++] = word;
        }
    return count;
}

size_t crn_uring_entries(const void *entries, size_t bytes, uintptr_t *words, size_t room)
{
    /* Where entries are twice as long, every other one is the data of a command: it may count. */
    size_t count = 0;
    for (size_t at = 0; at + ENTRY_BYTES <= bytes && count < room; at += ENTRY_BYTES) {
        uintptr_t word = *(const uintptr_t *)((const char *)entries + at + USER_DATA_AT);
        if (word != 0)
            words[count++] = word;
    }
    return count;
}

size_t crn_aio_events(const void *ring, size_t bytes, uintptr_t *words, size_t room)
{
    const struct head {
        uint32_t id, events, head, tail, magic, compatible, incompatible, head_bytes;
    } *head = ring;
    const struct event {
        uint64_t data, control_block;
        int64_t result, result_2;
    } *events = (const void *)(head + 1);
    size_t count = 0;
    const uint32_t magic = 0xa10a10a1; /* AIO_RING_MAGIC */
    if (bytes < sizeof *head || head->magic != magic || head->head_bytes != sizeof *head ||
        head->events == 0 || (bytes - sizeof *head) / sizeof *events < head->events ||
        head->head >= head->events || head->tail >= head->events)
        return 0;
    for (uint32_t at = head->head; at != head->tail && count + 2 <= room;
         at = (at + 1) % head->events) {
        words[count++] = events[at].data;
        words[count++] = events[at].control_block;
    }
    return count;
}

void crn_rings_note(struct crn_snap_builder *builder, const struct crn_map_entry *entry)
{
    struct crn_rings *rings = &builder->rings;
    if (rings->pieces == NULL)
        rings->pieces =
            crn_arena_alloc(&builder->snap->arena, CRN_RINGS_MAX * sizeof *rings->pieces);
    if (rings->pieces == NULL || rings->count == CRN_RINGS_MAX) {
        crn_build_unknown_holder(builder, "an io_uring request");
        return;
    }
    rings->pieces[rings->count++] = (struct crn_ring_piece){
        .start = entry->start,
        .end = entry->end,
        .inode = entry->inode,
        .is_entries = !is_aio(entry) && entry->offset == OFFSET_ENTRIES,
        .is_aio = is_aio(entry),
        .fd = -1,
    };
}

/*
 * Lines of /proc/self/fdinfo/N: "  op=6, task_works=0" for each request that waits for readiness,
 * "  user_data=1234, res=0, flags=0" for each completion that found no room.
 */
struct info {
    struct crn_snap_builder *builder;
    unsigned polls;
    uint32_t name;
};

static void info_visit(const char *line, void *user)
{
    static const char user_data[] = "  user_data=";
    struct info *info = user;
    info->polls += strncmp(line, "  op=", 5) == 0;
    if (strncmp(line, user_data, sizeof user_data - 1) != 0)
        return;
    uintptr_t word = 0;
    for (line += sizeof user_data - 1; *line >= '0' && *line <= '9'; line++)
        word = word * 10 + (uintptr_t)(*line - '0');
    crn_build_root_words(info->builder, &word, 1, CRN_ROOT_KERNEL, info->name);
}

void crn_rings_descriptor(struct crn_snap_builder *builder, int number, char *text)
{
    struct crn_rings *rings = &builder->rings;
    char path[64];
    struct stat status;
    struct info info = {.builder = builder};
    bool is_mapped = false;
    int fd = crn_borrow(number);
    long result = crn_syscall2(SYS_fstat, fd, &status);
    crn_borrow_return(fd);
    if (result != 0)
        return;
    for (unsigned i = 0; i < rings->count; i++)
        is_mapped |= !rings->pieces[i].is_aio && rings->pieces[i].inode == status.st_ino;
    if (!is_mapped)
        return;
    info.name = crn_build_name(builder, "io_uring fd %d", number);
    __builtin_snprintf(path, sizeof path, "%s/fdinfo/%d", crn_borrow_folder(), number);
    crn_kernel_lines(path, text, info_visit, &info);
    for (unsigned i = 0; i < rings->count; i++) {
        struct crn_ring_piece *piece = &rings->pieces[i];
        if (piece->is_aio || piece->inode != status.st_ino)
            continue;
        if (piece->fd < 0) /* older kernels have one inode for all rings: the first is named */
            piece->fd = number;
        piece->polls += info.polls;
    }
}

static size_t piece_words(struct crn_snap_builder *builder, const struct crn_ring_piece *piece,
                          uintptr_t *words, size_t room)
{
    const void *start = (const void *)piece->start;
    size_t bytes = piece->end - piece->start;
    struct crn_uring_counts counts;
    if (piece->is_aio) {
        size_t count = crn_aio_events(start, bytes, words, room);
        if (builder->snap->is_torn || !crn_aio_words(piece->start, words, room, &count))
            crn_build_unknown_holder(builder, "a request of io_submit(2)");
        return count;
    }
    if (piece->is_entries)
        return crn_uring_entries(start, bytes, words, room);
    if (!crn_uring_counts_read(start, bytes, &counts)) {
        crn_build_unknown_holder(builder, "an io_uring request");
        memcpy(words, start, bytes);
        return room;
    }
    if (crn_uring_has_unknown(&counts, piece->polls))
        crn_build_unknown_holder(builder, "an io_uring request in flight");
    return crn_uring_completions(start, bytes, &counts, words, room);
}

void crn_rings_add(struct crn_snap_builder *builder)
{
    const struct crn_rings *rings = &builder->rings;
    for (unsigned i = 0; i < rings->count; i++) {
        const struct crn_ring_piece *piece = &rings->pieces[i];
        size_t room = (piece->end - piece->start) / sizeof(uintptr_t);
        uintptr_t *words = crn_arena_alloc(&builder->snap->arena, room * sizeof *words);
        if (words == NULL)
            return;
        size_t count = piece_words(builder, piece, words, room);
        uint32_t name = piece->is_aio   ? crn_build_name(builder, "aio ring")
                        : piece->fd >= 0 ? crn_build_name(builder, "io_uring fd %d", piece->fd)
                                         : crn_build_name(builder, "io_uring without a descriptor");
        crn_build_root(builder, (struct crn_root){.start = (uintptr_t)words,
                                                  .end = (uintptr_t)(words + count),
                                                  .kind = CRN_ROOT_KERNEL,
                                                  .step = 8,
                                                  .name = name});
    }
}
