#ifndef CRN_AIO_H
#define CRN_AIO_H
/*
 * Requests of io_submit(2): what the kernel will give back.
 *
 * Nothing tells which requests of a context are in flight: the memory it shares with the program is
 * a ring of events, which come when a request is done.  So those that are submitted are noted, and
 * struck off as their events show up in the ring, whoever takes them: io_getevents, or the program
 * itself, which may read the ring and move its head (QEMU does).
 *
 *     noted:    | request | request | request |             a table
 *     ring:     | taken | taken | not taken | ... |          head, tail
 *                       `------ seen before ------ tail      events here are struck off
 *
 * The ring has room for more events than requests may be in flight, so an event stays until as many
 * more were submitted; it is enough to look when there are as many rows as that.
 *
 * A request is noted before it is submitted, since its event may come at once; one that is refused
 * is struck off again.  What cannot be seen (system calls by the program's own instructions) shows
 * itself by an event of a request that was not noted, or by a context that was not made, or never
 * used, through us: then nothing is known of that context.
 */
#include "base/lock.h"

struct crn_aio_request {
    uintptr_t context; /* 0: an empty row */
    uintptr_t block;   /* its struct iocb, which the event names */
    uintptr_t data, buffer;
    uint64_t number; /* in order of submission */
};

struct crn_aio_context {
    uintptr_t ring;  /* its id is where its ring lies */
    uint32_t seen;   /* events before this one in the ring were looked at */
    uint32_t rows;   /* of the table */
    uint32_t events; /* there is room for */
    bool is_used;    /* something was submitted */
    bool is_unknown; /* something was submitted past us */
};

enum { CRN_AIO_CONTEXTS_MAX = 128 };

struct crn_aio {
    struct crn_lock lock;
    struct crn_aio_context contexts[CRN_AIO_CONTEXTS_MAX];
    unsigned context_count;
    struct crn_aio_request *requests; /* open addressing, by context and block */
    size_t request_mask, request_count;
    uint64_t submitted;
    bool has_missed; /* something could not be noted: nothing is known of any context */
};
extern struct crn_aio crn_aio;

/* io_setup has made a context; io_destroy has ended one.  `tid` is the calling thread's. */
void crn_aio_note_setup(uintptr_t ring, int tid);
void crn_aio_note_destroy(uintptr_t ring, int tid);

/*
 * Before io_submit(ring, count, blocks), and after it has answered that `accepted` of them were
 * taken (negative: an error).  Reads the program's memory, which may be none, by system calls.
 */
void crn_aio_note_submit(uintptr_t ring, long count, uintptr_t blocks, int tid);
void crn_aio_note_submitted(uintptr_t ring, long count, uintptr_t blocks, long accepted, int tid);

/*
 * What the requests in flight of a context hold, in `words`, at most `room`; false: that is not
 * known. The lock is held, or no other thread runs.
 */
bool crn_aio_words(uintptr_t ring, uintptr_t *words, size_t room, size_t *count);

/* In a forked child there are no contexts. */
void crn_aio_after_fork(void);

#endif
