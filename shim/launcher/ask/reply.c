/*
 * Takes apart what a process answers.  See reply.h.
 */
#include "shim/launcher/ask/reply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/format.h"
#include "shim/launcher/proc.h"

/* How long the payload of a kind may be: [least, most]. */
static const struct {
    uint64_t least, most;
} payloads[CRN_ASK_KIND_COUNT] = {
    [CRN_ASK_BUSY] = {sizeof(uint32_t), sizeof(uint32_t)},
    [CRN_ASK_REFUSED] = {0, 1024},
    [CRN_ASK_RECORDING] = {sizeof(struct crn_record_header), (uint64_t)64 << 30},
    [CRN_ASK_OVER] = {sizeof(struct crn_ask_over), sizeof(struct crn_ask_over)},
};

/* What may be taken without somebody being killed for it; UINT64_MAX: unknown. */
static uint64_t memory_available(void)
{
    size_t count;
    char *text = crn_proc_read(AT_FDCWD, "/proc/meminfo", &count);
    uint64_t kilobytes = crn_proc_number(text, "MemAvailable", 10, UINT64_MAX >> 10);
    free(text);
    return kilobytes << 10;
}

static bool payload_grow(struct crn_reply *reply)
{
    enum { STEP = 1 << 16 };
    uint64_t room = reply->payload_room * 2 > STEP ? reply->payload_room * 2 : STEP;
    if (room > reply->frame.bytes)
        room = reply->frame.bytes;
    unsigned char *larger = realloc(reply->payload, room);
    if (larger == NULL)
        return false;
    reply->payload = larger;
    reply->payload_room = room;
    return true;
}

/* Reads up to `most` bytes; answers how many, 0 when there are none yet, -1 at the end. */
static ssize_t some_read(struct crn_reply *reply, int fd, void *bytes, uint64_t most)
{
    enum { READ_MOST = 1 << 30 };
    ssize_t n;
    do {
        n = read(fd, bytes, most < READ_MOST ? most : READ_MOST);
    } while (n < 0 && errno == EINTR);
    reply->has_heard |= n > 0;
    if (n < 0 && errno == EAGAIN)
        return 0;
    return n > 0 ? n : -1;
}

/* Reads the frame's own bytes and looks whether it can be one. */
static enum crn_reply_state frame_read(struct crn_reply *reply, int fd)
{
    while (reply->frame_got < sizeof reply->frame) {
        ssize_t n = some_read(reply, fd, (char *)&reply->frame + reply->frame_got,
                              sizeof reply->frame - reply->frame_got);
        if (n <= 0)
            return n == 0 ? CRN_REPLY_MORE : CRN_REPLY_END;
        reply->frame_got += (uint64_t)n;
        if (reply->frame_got < sizeof reply->frame)
            continue;
        uint32_t kind = reply->frame.kind;
        if (kind >= CRN_ASK_KIND_COUNT || reply->frame.bytes < payloads[kind].least ||
            reply->frame.bytes > payloads[kind].most) {
            reply->is_strange = true;
            return CRN_REPLY_END;
        }
        if (reply->frame.bytes > memory_available())
            return CRN_REPLY_NO_MEMORY;
    }
    return CRN_REPLY_WHOLE;
}

enum crn_reply_state crn_reply_read(struct crn_reply *reply, int fd)
{
    reply->has_heard = false;
    if (reply->is_whole) {
        reply->is_whole = false;
        reply->frame_got = reply->payload_got = 0;
    }
    enum crn_reply_state state = frame_read(reply, fd);
    if (state != CRN_REPLY_WHOLE)
        return state;
    while (reply->payload_got < reply->frame.bytes) {
        if (reply->payload_got == reply->payload_room && !payload_grow(reply))
            return CRN_REPLY_NO_MEMORY;
        uint64_t room =
            reply->payload_room < reply->frame.bytes ? reply->payload_room : reply->frame.bytes;
        ssize_t n =
            some_read(reply, fd, reply->payload + reply->payload_got, room - reply->payload_got);
        if (n <= 0)
            return n == 0 ? CRN_REPLY_MORE : CRN_REPLY_END;
        reply->payload_got += (uint64_t)n;
    }
    reply->is_whole = true;
    return CRN_REPLY_WHOLE;
}

unsigned char *crn_reply_take(struct crn_reply *reply, uint64_t *bytes)
{
    unsigned char *payload = reply->payload;
    *bytes = reply->frame.bytes;
    reply->payload = NULL;
    reply->payload_room = 0;
    return payload;
}

void crn_reply_fini(struct crn_reply *reply)
{
    free(reply->payload);
    *reply = (struct crn_reply){0};
}
