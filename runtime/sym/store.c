/*
 * Memory that lives as long as one report.  See store.h.
 *
 * Pieces are cut from a list of chunks.  Texts are found again through an open-addressed table of
 * their addresses, at most half full, so a probe always ends.
 */
#include "sym/store.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 64 * 1024, FIRST_SLOTS = 1024, NAME_MAX_BYTES = 4096 };

struct chunk {
    struct chunk *next;
    size_t used, room;
    alignas(max_align_t) unsigned char bytes[];
};

struct crn_store {
    struct chunk *chunks; /* the newest first; only it has room */
    const char **slots;
    size_t slots_count, texts_count;
    size_t bytes; /* handed out */
};

bool crn_out_of_memory_is_told;

_Noreturn void crn_out_of_memory(void)
{
    if (!crn_out_of_memory_is_told)
        fputs("coroner: no memory for the report; keep the recording (--record FILE) and render it "
              "where there is more\n",
              stderr);
    exit(CRN_EXIT_NO_MEMORY);
}

void *crn_grow(void *rows, size_t count, size_t *room, size_t row_bytes)
{
    if (count < *room)
        return rows;
    size_t larger = *room == 0 ? 16 : *room * 2;
    rows = reallocarray(rows, larger, row_bytes);
    if (rows == NULL)
        crn_out_of_memory();
    *room = larger;
    return rows;
}

struct crn_store *crn_store_create(void)
{
    struct crn_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        crn_out_of_memory();
    store->slots_count = FIRST_SLOTS;
    store->slots = calloc(store->slots_count, sizeof *store->slots);
    if (store->slots == NULL)
        crn_out_of_memory();
    return store;
}

void crn_store_destroy(struct crn_store *store)
{
    if (store == NULL)
        return;
    while (store->chunks != NULL) {
        struct chunk *chunk = store->chunks;
        store->chunks = chunk->next;
        free(chunk);
    }
    free(store->slots);
    free(store);
}

size_t crn_store_size(const struct crn_store *store)
{
    return store->bytes;
}

void *crn_store_bytes(struct crn_store *store, size_t bytes)
{
    struct chunk *chunk = store->chunks;
    bytes = crn_align_up(bytes, alignof(max_align_t));
    if (chunk == NULL || chunk->room - chunk->used < bytes) {
        size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        chunk = calloc(1, sizeof *chunk + room);
        if (chunk == NULL)
            crn_out_of_memory();
        chunk->room = room;
        chunk->next = store->chunks;
        store->chunks = chunk;
    }
    void *result = chunk->bytes + chunk->used;
    chunk->used += bytes;
    store->bytes += bytes;
    return result;
}

static uint64_t text_hash(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text != 0; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return crn_hash64(hash);
}

/* Where `text` is in a table, or the free slot where it would go. */
static const char **slot_of(const char **slots, size_t slots_count, const char *text)
{
    size_t i = text_hash(text) & (slots_count - 1);
    while (slots[i] != NULL && strcmp(slots[i], text) != 0)
        i = (i + 1) & (slots_count - 1);
    return &slots[i];
}

static void slots_double(struct crn_store *store)
{
    size_t larger = store->slots_count * 2;
    const char **slots = calloc(larger, sizeof *slots);
    if (slots == NULL)
        crn_out_of_memory();
    for (size_t i = 0; i < store->slots_count; i++)
        if (store->slots[i] != NULL)
            *slot_of(slots, larger, store->slots[i]) = store->slots[i];
    free(store->slots);
    store->slots = slots;
    store->slots_count = larger;
}

const char *crn_store_text(struct crn_store *store, const char *text)
{
    if (text == NULL)
        return NULL;
    const char **slot = slot_of(store->slots, store->slots_count, text);
    if (*slot != NULL)
        return *slot;
    size_t bytes = strlen(text) + 1;
    const char *kept = memcpy(crn_store_bytes(store, bytes), text, bytes);
    *slot = kept;
    if (++store->texts_count * 2 > store->slots_count)
        slots_double(store);
    return kept;
}

const char *crn_store_name(struct crn_store *store, const char *name)
{
    if (name == NULL || strnlen(name, NAME_MAX_BYTES + 1) <= NAME_MAX_BYTES)
        return crn_store_text(store, name);
    return crn_store_print(store, "%.*s...", NAME_MAX_BYTES, name);
}

const char *crn_store_print(struct crn_store *store, const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        crn_out_of_memory();
    va_end(arguments);
    const char *kept = crn_store_text(store, text);
    free(text);
    return kept;
}
