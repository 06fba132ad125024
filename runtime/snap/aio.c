/*
 * The table of requests that are in flight.  See aio.h.
 */
#include "snap/aio.h"
#include "base/vm.h"

#include <linux/aio_abi.h>

struct crn_aio crn_aio;

enum { ROWS_AT_LEAST = 256, EVENTS_READ = 32 };
static const uint64_t LOCK_LIMIT_NS = 100000000;

/* The head of a ring, as the kernel has it (fs/aio.c). */
struct ring {
    uint32_t id, events, head, tail, magic, compatible, incompatible, head_bytes;
};
static const uint32_t RING_MAGIC = 0xa10a10a1;

static bool aio_lock(int tid)
{
    if (crn_lock_try_for(&crn_aio.lock, tid, LOCK_LIMIT_NS))
        return true;
    crn_aio.has_missed = true; /* a handler on top of whoever holds it */
    return false;
}

static struct crn_aio_context *context_find(uintptr_t ring)
{
    for (unsigned i = 0; i < crn_aio.context_count; i++)
        if (crn_aio.contexts[i].ring == ring)
            return &crn_aio.contexts[i];
    return NULL;
}

static size_t row_of(uintptr_t context, uintptr_t block)
{
    return crn_hash64(context ^ block) & crn_aio.request_mask;
}

static void request_put(const struct crn_aio_request *request)
{
    size_t at = row_of(request->context, request->block);
    while (crn_aio.requests[at].context != 0)
        at = (at + 1) & crn_aio.request_mask;
    crn_aio.requests[at] = *request;
}

/* At most half of the rows are in use; false: no memory. */
static bool room_make(void)
{
    size_t rows = crn_aio.requests != NULL ? crn_aio.request_mask + 1 : 0, more = rows * 2;
    if (2 * (crn_aio.request_count + 1) <= rows)
        return true;
    more = more == 0 ? ROWS_AT_LEAST : more;
    struct crn_aio_request *old = crn_aio.requests, *fresh = crn_vm_map(more * sizeof *fresh);
    if (fresh == NULL)
        return false;
    crn_aio.requests = fresh;
    crn_aio.request_mask = more - 1;
    for (size_t i = 0; i < rows; i++)
        if (old[i].context != 0)
            request_put(&old[i]);
    if (old != NULL)
        crn_vm_unmap(old, rows * sizeof *old);
    return true;
}

/* Empties a row, and moves those up that were put behind it for lack of room. */
static void row_empty(size_t hole)
{
    struct crn_aio_request *rows = crn_aio.requests;
    size_t mask = crn_aio.request_mask;
    for (size_t at = (hole + 1) & mask; rows[at].context != 0; at = (at + 1) & mask) {
        size_t home = row_of(rows[at].context, rows[at].block);
        if (((at - home) & mask) < ((at - hole) & mask))
            continue; /* its own place lies behind the hole */
        rows[hole] = rows[at];
        hole = at;
    }
    rows[hole].context = 0;
    crn_aio.request_count--;
}

/*
 * Strikes off a request: the oldest of a block with that data, or where `is_newest` the last one.
 * Answers false if there is none.
 */
static bool request_strike(struct crn_aio_context *context, uintptr_t block, uintptr_t data,
                           bool is_newest)
{
    const struct crn_aio_request *rows = crn_aio.requests;
    size_t mask = crn_aio.request_mask, found = SIZE_MAX;
    if (rows == NULL)
        return false;
    for (size_t at = row_of(context->ring, block); rows[at].context != 0; at = (at + 1) & mask)
        if (rows[at].context == context->ring && rows[at].block == block &&
            (is_newest || rows[at].data == data) &&
            (found == SIZE_MAX || (rows[at].number > rows[found].number) == is_newest))
            found = at;
    if (found == SIZE_MAX)
        return false;
    row_empty(found);
    context->rows--;
    return true;
}

static bool ring_read(const struct crn_aio_context *context, struct ring *ring)
{
    return crn_memory_read(ring, context->ring, sizeof *ring) && ring->magic == RING_MAGIC &&
           ring->head_bytes == sizeof *ring && ring->events > 0 && ring->tail < ring->events &&
           context->seen < ring->events;
}

/* Strikes off the requests whose events have come. */
static void context_look(struct crn_aio_context *context)
{
    struct io_event events[EVENTS_READ];
    struct ring ring;
    if (context->is_unknown)
        return;
    context->is_unknown = !ring_read(context, &ring);
    while (!context->is_unknown && context->seen != ring.tail) {
        uint32_t end = ring.tail > context->seen ? ring.tail : ring.events;
        uint32_t count = end - context->seen;
        count = count > EVENTS_READ ? EVENTS_READ : count;
        if (!crn_memory_read(events, context->ring + sizeof ring + context->seen * sizeof *events,
                             count * sizeof *events)) {
            context->is_unknown = true;
            return;
        }
        for (uint32_t i = 0; i < count; i++)
            if (!request_strike(context, events[i].obj, events[i].data, false))
                context->is_unknown = true; /* it was submitted past us */
        context->seen = (context->seen + count) % ring.events;
    }
}

static void rows_forget(uintptr_t ring)
{
    for (size_t at = 0; crn_aio.requests != NULL && at <= crn_aio.request_mask;) {
        if (crn_aio.requests[at].context == ring)
            row_empty(at); /* another one may take its place */
        else
            at++;
    }
}

static void context_forget(struct crn_aio_context *context)
{
    rows_forget(context->ring);
    *context = crn_aio.contexts[--crn_aio.context_count];
}

void crn_aio_note_setup(uintptr_t ring, int tid)
{
    if (!aio_lock(tid))
        return;
    struct crn_aio_context *context = context_find(ring);
    if (context != NULL)
        context_forget(context);
    struct crn_aio_context made = {.ring = ring};
    struct ring head;
    if (crn_aio.context_count < CRN_AIO_CONTEXTS_MAX && ring_read(&made, &head)) {
        made.events = head.events;
        crn_aio.contexts[crn_aio.context_count++] = made;
    }
    crn_lock_release(&crn_aio.lock);
}

void crn_aio_note_destroy(uintptr_t ring, int tid)
{
    if (!aio_lock(tid))
        return;
    struct crn_aio_context *context = context_find(ring);
    if (context != NULL)
        context_forget(context);
    crn_lock_release(&crn_aio.lock);
}

/* The block that is number `i`, and what of it is noted; false: there is no such memory. */
static bool block_read(uintptr_t blocks, long i, uintptr_t *block, struct iocb *request)
{
    return crn_memory_read(block, blocks + (uintptr_t)i * sizeof *block, sizeof *block) &&
           crn_memory_read(request, *block, sizeof *request);
}

static void request_add(struct crn_aio_context *context, uintptr_t block,
                        const struct iocb *request)
{
    if (context->rows + 1 >= context->events)
        context_look(context);
    if (!room_make()) {
        context->is_unknown = true;
        return;
    }
    request_put(&(struct crn_aio_request){
        context->ring, block, request->aio_data,
        request->aio_lio_opcode != IOCB_CMD_POLL ? request->aio_buf : 0, ++crn_aio.submitted});
    crn_aio.request_count++;
    context->rows++;
    context->is_used = true;
}

void crn_aio_note_submit(uintptr_t ring, long count, uintptr_t blocks, int tid)
{
    if (!aio_lock(tid))
        return;
    struct crn_aio_context *context = context_find(ring);
    for (long i = 0; context != NULL && i < count; i++) {
        struct iocb request;
        uintptr_t block;
        if (!block_read(blocks, i, &block, &request))
            break; /* the kernel will not read it either */
        request_add(context, block, &request);
    }
    crn_lock_release(&crn_aio.lock);
}

void crn_aio_note_submitted(uintptr_t ring, long count, uintptr_t blocks, long accepted, int tid)
{
    accepted = accepted > 0 ? accepted : 0;
    if (accepted >= count || !aio_lock(tid))
        return;
    struct crn_aio_context *context = context_find(ring);
    for (long i = accepted; context != NULL && i < count; i++) {
        struct iocb request;
        uintptr_t block;
        if (!block_read(blocks, i, &block, &request))
            break;
        request_strike(context, block, 0, true);
    }
    crn_lock_release(&crn_aio.lock);
}

bool crn_aio_words(uintptr_t ring, uintptr_t *words, size_t room, size_t *count)
{
    struct crn_aio_context *context = context_find(ring);
    if (context == NULL || crn_aio.has_missed)
        return false;
    context_look(context);
    if (context->is_unknown || !context->is_used)
        return false;
    for (size_t at = 0; crn_aio.requests != NULL && at <= crn_aio.request_mask; at++) {
        const struct crn_aio_request *request = &crn_aio.requests[at];
        if (request->context != ring)
            continue;
        if (*count + 3 > room)
            return false;
        words[(*count)++] = request->block;
        words[(*count)++] = request->data;
        words[(*count)++] = request->buffer;
    }
    return true;
}

void crn_aio_after_fork(void)
{
    crn_aio.context_count = 0;
    crn_aio.requests = NULL;
    crn_aio.request_mask = crn_aio.request_count = 0;
}
