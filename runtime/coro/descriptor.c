/*
 * Descriptors of threads.  See descriptor.h.
 *
 * libc's symbols for debuggers: _thread_db_STRUCT_FIELD is { bits of an element, elements, offset
 * }, _thread_db_sizeof_STRUCT a size.  joinid and result, which no debugger asks for, come right
 * before the scheduling parameters (struct pthread, nptl/descr.h, glibc 2.34 to 2.41).
 */
#include "coro/descriptor.h"
#include "base/sys.h"

enum { TYPICAL_BYTES = 2304, WORD = sizeof(uintptr_t), KEYS_MAX = 1024, MODULES_MAX = 4096 };

struct field {
    uint32_t bits, count, offset;
};

static struct {
    size_t bytes;
    const struct field *tid, *specific, *schedule;
    const uintptr_t *keys; /* (sequence, destructor) of each key; NULL: not known */
    size_t key_count;
    size_t block_count, per_block; /* their slots stand in blocks of so many */
} layout;

void crn_descriptor_learn(void *(*find)(const char *name))
{
    const struct field *keys = find("_thread_db___pthread_keys");
    const struct field *slots = find("_thread_db_pthread_key_data_level2_data");
    const struct field *sequence = find("_thread_db_pthread_key_data_seq");
    const struct field *data = find("_thread_db_pthread_key_data_data");
    const uint32_t *bytes = find("_thread_db_sizeof_pthread");
    layout.bytes = bytes != NULL ? *bytes : 0;
    layout.tid = find("_thread_db_pthread_tid");
    layout.specific = find("_thread_db_pthread_specific");
    layout.schedule = find("_thread_db_pthread_schedparam_sched_priority");
    /* Only as we know them: a slot is a sequence number and a value, a key a number and a function.
     */
    if (keys == NULL || slots == NULL || sequence == NULL || data == NULL ||
        layout.specific == NULL || keys->bits != 16 * WORD || slots->bits != 16 * WORD ||
        sequence->offset != 0 || data->offset != WORD)
        return;
    layout.keys = find("__pthread_keys");
    layout.key_count = keys->count < KEYS_MAX ? keys->count : KEYS_MAX;
    layout.per_block = slots->count;
    layout.block_count =
        layout.specific->bits / (8 * WORD); /* the field is one array of pointers */
}

size_t crn_descriptor_bytes(void)
{
    return layout.bytes != 0 ? layout.bytes : TYPICAL_BYTES;
}

bool crn_descriptor_is_there(uintptr_t descriptor)
{
    uintptr_t words[3]; /* itself, dtv, itself */
    return descriptor != 0 && crn_memory_read(words, descriptor, sizeof words) &&
           words[0] == descriptor && words[2] == descriptor;
}

/* What the fields before the scheduling parameters hold: [0] joinid, [1] the result. */
static bool joining_read(uintptr_t descriptor, uintptr_t words[2])
{
    return layout.schedule != NULL && layout.schedule->offset % WORD == 0 &&
           layout.schedule->offset >= 2 * WORD &&
           crn_memory_read(words, descriptor + layout.schedule->offset - 2 * WORD, 2 * WORD);
}

bool crn_descriptor_awaits_join(uintptr_t descriptor)
{
    const int joined_tid = -1; /* pthread_join leaves this (nptl/pthread_join_common.c) */
    int tid;
    uintptr_t words[2];
    if (layout.tid != NULL && crn_memory_read(&tid, descriptor + layout.tid->offset, sizeof tid) &&
        tid == joined_tid)
        return false;
    /* A detached thread is its own joiner. */
    return !joining_read(descriptor, words) || words[0] != descriptor;
}

uintptr_t crn_descriptor_result(uintptr_t descriptor)
{
    uintptr_t words[2];
    return joining_read(descriptor, words) ? descriptor + layout.schedule->offset - WORD : 0;
}

void crn_descriptor_stale_for_each(uintptr_t descriptor, void (*visit)(uintptr_t word, void *user),
                                   void *user)
{
    if (layout.keys == NULL)
        return;
    const uintptr_t *blocks = (const uintptr_t *)(descriptor + layout.specific->offset);
    for (size_t key = 0; key < layout.key_count; key++) {
        size_t block = key / layout.per_block, at = key % layout.per_block;
        if (block >= layout.block_count)
            return;
        const uintptr_t *slot = (const uintptr_t *)blocks[block] + 2 * at;
        if (blocks[block] == 0)
            key += layout.per_block - 1 - at;
        else if (slot[1] != 0 && slot[0] != layout.keys[2 * key])
            visit((uintptr_t)&slot[1], user);
    }
}

/* The dtv: [-1] how many modules, [0] a generation, then (address, what to free) for each. */
void crn_descriptor_blocks_for_each(uintptr_t descriptor,
                                    void (*visit)(uintptr_t block, void *user), void *user)
{
    uintptr_t dtv, count, module[2];
    if (!crn_memory_read(&dtv, descriptor + WORD, sizeof dtv) ||
        !crn_memory_read(&count, dtv - 2 * WORD, sizeof count))
        return;
    for (uintptr_t i = 1; i <= count && i < MODULES_MAX; i++) {
        if (!crn_memory_read(module, dtv + i * sizeof module, sizeof module))
            return;
        if (module[1] != 0)
            visit(module[1], user);
    }
}
