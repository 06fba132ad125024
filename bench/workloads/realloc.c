/*
 * Growth by realloc: buffers that become megabytes, by a constant piece as a log does or by half
 * of what they have as a string builder does, among many small vectors that grow by doubling.
 * What is appended is written then, and all of it read at the end.
 */
#include "workload.h"

enum { ROUNDS = 80, BUFFERS = 4, BUFFER_BYTES = 6 << 20, PIECE = 32768 };
enum { VECTORS = 1500, VECTOR_BYTES = 4096 };

struct buffer {
    char *bytes;
    size_t used, room;
};

static uint64_t dice = 88172645463325252u;

NOINLINE static void buffer_grow(struct buffer *buffer, size_t room)
{
    buffer->bytes = realloc(buffer->bytes, room);
    REQUIRE(buffer->bytes != NULL);
    buffer->room = room;
}

static void buffer_write(struct buffer *buffer, size_t bytes, uint64_t seed)
{
    block_fill(buffer->bytes + buffer->used, bytes, seed);
    buffer->used += bytes;
}

static uint64_t buffer_end(struct buffer *buffer)
{
    uint64_t sum = block_sum(buffer->bytes, buffer->used);
    free(buffer->bytes);
    *buffer = (struct buffer){0};
    return sum;
}

NOINLINE static void log_append(struct buffer *buffer, size_t bytes)
{
    if (buffer->used + bytes > buffer->room)
        buffer_grow(buffer, buffer->room + PIECE);
    buffer_write(buffer, bytes, buffer->used + 1);
}

NOINLINE static void builder_append(struct buffer *buffer, size_t bytes)
{
    if (buffer->used + bytes > buffer->room)
        buffer_grow(buffer, buffer->room + buffer->room / 2 + bytes);
    buffer_write(buffer, bytes, buffer->used + 1);
}

NOINLINE static void vector_push(struct buffer *vector, uint64_t value)
{
    if (vector->used == vector->room)
        buffer_grow(vector, vector->room > 0 ? 2 * vector->room : 4 * sizeof value);
    buffer_write(vector, sizeof value, value);
}

/* Large buffers grow side by side, so that none can always grow in place. */
static uint64_t buffers_work(void)
{
    static struct buffer buffers[BUFFERS];
    uint64_t sum = 0;
    while (buffers[0].used < BUFFER_BYTES)
        for (int i = 0; i < BUFFERS; i++)
            (i % 2 ? log_append : builder_append)(&buffers[i], 512 + (roll(&dice) & 0xff8));
    for (int i = 0; i < BUFFERS; i++)
        sum += buffer_end(&buffers[i]);
    return sum;
}

static uint64_t vectors_work(void)
{
    static struct buffer vectors[VECTORS];
    uint64_t sum = 0;
    for (size_t i = 0; i < VECTORS * (VECTOR_BYTES / sizeof(uint64_t)) / 4; i++)
        vector_push(&vectors[roll_below(&dice, VECTORS)], i);
    for (int i = 0; i < VECTORS; i++)
        sum += buffer_end(&vectors[i]);
    return sum;
}

int main(int argc, char **argv)
{
    size_t rounds = scaled(argc, argv, ROUNDS);
    uint64_t sum = 0;
    for (size_t i = 0; i < rounds; i++)
        sum += buffers_work() + vectors_work();
    sum_print("realloc", sum);
    return 0;
}
