#ifndef TESTS_MAKE_RECORDING_H
#define TESTS_MAKE_RECORDING_H
/*
 * Makes recordings for tests: rows are added one by one, then written as one file.
 *
 *     struct maker maker;
 *     maker_init(&maker);
 *     uint32_t node = maker_node(&maker, 0, pc);
 *     maker_leak(&maker)->alloc_node = node;
 *     maker_finish(&maker);                      bytes[0, bytes_count)
 *     maker_write(&maker, path);
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/format.h"

enum { MAKER_ROWS = 64, MAKER_TEXT = 4096 };

struct maker {
    struct crn_record_process process;
    char strings[MAKER_TEXT];
    uint32_t argv[MAKER_ROWS], warnings[MAKER_ROWS];
    struct crn_record_module modules[MAKER_ROWS];
    struct crn_record_node nodes[MAKER_ROWS];
    struct crn_record_coro coros[MAKER_ROWS];
    struct crn_record_leak leaks[MAKER_ROWS];
    struct crn_record_link links[MAKER_ROWS];
    struct crn_record_finding findings[MAKER_ROWS];
    struct crn_record_object objects[MAKER_ROWS];
    struct crn_record_sample samples[MAKER_ROWS];
    struct crn_record_live live[MAKER_ROWS];
    struct crn_record_memory memory;
    uint64_t counts[CRN_SECTION_COUNT];
    unsigned char *bytes;
    size_t bytes_count;
};

/* A recording of one checked process with nothing to tell. */
static inline void maker_init(struct maker *maker)
{
    memset(maker, 0, sizeof *maker);
    maker->counts[CRN_SECTION_PROCESS] = 1;
    maker->counts[CRN_SECTION_STRINGS] = 1;
    maker->counts[CRN_SECTION_NODES] = 1;
    maker->process.pid = 4711;
    maker->process.parent_pid = 4700;
    maker->process.flags = CRN_PROCESS_CHECKED;
    maker->process.check_number = 1;
    maker->process.predicted_pause_ns = UINT64_MAX;
}

static inline uint32_t maker_string(struct maker *maker, const char *text)
{
    uint32_t offset = (uint32_t)maker->counts[CRN_SECTION_STRINGS];
    memcpy(maker->strings + offset, text, strlen(text) + 1);
    maker->counts[CRN_SECTION_STRINGS] += strlen(text) + 1;
    return offset;
}

static inline void maker_argument(struct maker *maker, const char *text)
{
    maker->argv[maker->counts[CRN_SECTION_ARGV]++] = maker_string(maker, text);
}

static inline void maker_warning(struct maker *maker, const char *text)
{
    maker->warnings[maker->counts[CRN_SECTION_WARNINGS]++] = maker_string(maker, text);
}

static inline struct crn_record_module *maker_module(struct maker *maker, const char *path,
                                                     uint64_t start, uint64_t end)
{
    struct crn_record_module *module = &maker->modules[maker->counts[CRN_SECTION_MODULES]++];
    module->path = maker_string(maker, path);
    module->start = start;
    module->end = end;
    module->bias = start;
    return module;
}

/* A frame called by the node `parent`; answers its row. */
static inline uint32_t maker_node(struct maker *maker, uint32_t parent, uint64_t pc)
{
    uint32_t row = (uint32_t)maker->counts[CRN_SECTION_NODES]++;
    maker->nodes[row] = (struct crn_record_node){.pc = pc, .parent = parent};
    return row;
}

static inline struct crn_record_coro *maker_coro(struct maker *maker, enum crn_mechanism mechanism,
                                                 enum crn_coro_state state, const char *name)
{
    struct crn_record_coro *coro = &maker->coros[maker->counts[CRN_SECTION_COROS]++];
    coro->id = maker->counts[CRN_SECTION_COROS];
    coro->mechanism = mechanism;
    coro->state = state;
    coro->name = maker_string(maker, name);
    coro->count = 1;
    coro->touched_bytes = coro->retained_bytes = UINT64_MAX;
    coro->ages = (struct crn_record_ages){UINT64_MAX, UINT64_MAX, UINT64_MAX};
    return coro;
}

static inline struct crn_record_leak *maker_leak(struct maker *maker, enum crn_verdict verdict,
                                                 uint64_t blocks, uint64_t bytes)
{
    struct crn_record_leak *leak = &maker->leaks[maker->counts[CRN_SECTION_LEAKS]++];
    leak->verdict = verdict;
    leak->confidence = CRN_PROVEN;
    leak->blocks = blocks;
    leak->bytes = leak->retained_bytes = bytes;
    leak->ages = (struct crn_record_ages){UINT64_MAX, UINT64_MAX, UINT64_MAX};
    leak->first_link = (uint32_t)maker->counts[CRN_SECTION_LINKS];
    return leak;
}

/* Blocks of the leak made last that were sampled. */
static inline struct crn_record_sample *maker_sample(struct maker *maker, uint32_t node,
                                                     uint64_t bytes, uint32_t blocks)
{
    struct crn_record_sample *sample = &maker->samples[maker->counts[CRN_SECTION_SAMPLES]++];
    *sample = (struct crn_record_sample){.leak = (uint32_t)maker->counts[CRN_SECTION_LEAKS] - 1,
                                         .node = node,
                                         .bytes = bytes,
                                         .blocks = blocks};
    return sample;
}

/* What is alive of an allocation stack: so many bytes, all of one age. */
static inline struct crn_record_live *maker_live(struct maker *maker, uint32_t node,
                                                 enum crn_growth_shape shape, unsigned age,
                                                 uint64_t blocks, uint64_t bytes)
{
    struct crn_record_live *live = &maker->live[maker->counts[CRN_SECTION_LIVE]++];
    *live = (struct crn_record_live){.alloc_node = node,
                                     .shape = shape,
                                     .first_link = (uint32_t)maker->counts[CRN_SECTION_LINKS],
                                     .blocks = blocks,
                                     .bytes = bytes,
                                     .retained_bytes = UINT64_MAX,
                                     .bytes_per_hour = UINT64_MAX,
                                     .since_ns = UINT64_MAX};
    live->ages[age] = (struct crn_record_age){blocks, bytes};
    return live;
}

/* Adds a link to the chain of the live row made last. */
static inline struct crn_record_link *maker_live_link(struct maker *maker, enum crn_link_kind kind)
{
    struct crn_record_link *link = &maker->links[maker->counts[CRN_SECTION_LINKS]++];
    link->kind = kind;
    maker->live[maker->counts[CRN_SECTION_LIVE] - 1].link_count++;
    return link;
}

/* Adds a link to the chain of the leak made last. */
static inline struct crn_record_link *maker_link(struct maker *maker, enum crn_link_kind kind)
{
    struct crn_record_link *link = &maker->links[maker->counts[CRN_SECTION_LINKS]++];
    link->kind = kind;
    maker->leaks[maker->counts[CRN_SECTION_LEAKS] - 1].link_count++;
    return link;
}

/* Sets the length and the checksum of the header again. */
static inline void maker_seal(struct maker *maker)
{
    struct crn_record_header *header = (void *)maker->bytes;
    header->total_bytes = maker->bytes_count;
    header->checksum = crn_record_checksum(maker->bytes + 32, maker->bytes_count - 32);
}

static inline void maker_finish(struct maker *maker)
{
    const struct {
        const void *rows;
        size_t row_bytes;
    } sections[CRN_SECTION_COUNT] = {
        [CRN_SECTION_PROCESS] = {&maker->process, sizeof maker->process},
        [CRN_SECTION_STRINGS] = {maker->strings, 1},
        [CRN_SECTION_ARGV] = {maker->argv, sizeof maker->argv[0]},
        [CRN_SECTION_WARNINGS] = {maker->warnings, sizeof maker->warnings[0]},
        [CRN_SECTION_MODULES] = {maker->modules, sizeof maker->modules[0]},
        [CRN_SECTION_NODES] = {maker->nodes, sizeof maker->nodes[0]},
        [CRN_SECTION_COROS] = {maker->coros, sizeof maker->coros[0]},
        [CRN_SECTION_LEAKS] = {maker->leaks, sizeof maker->leaks[0]},
        [CRN_SECTION_LINKS] = {maker->links, sizeof maker->links[0]},
        [CRN_SECTION_FINDINGS] = {maker->findings, sizeof maker->findings[0]},
        [CRN_SECTION_OBJECTS] = {maker->objects, sizeof maker->objects[0]},
        [CRN_SECTION_SAMPLES] = {maker->samples, sizeof maker->samples[0]},
        [CRN_SECTION_LIVE] = {maker->live, sizeof maker->live[0]},
        [CRN_SECTION_MEMORY] = {&maker->memory, sizeof maker->memory},
    };
    struct crn_record_header header = {
        .magic = CRN_RECORD_MAGIC, .version = CRN_RECORD_VERSION, .header_bytes = sizeof header};
    size_t at = sizeof header;
    maker->bytes = calloc(1, sizeof header + sizeof *maker);
    for (unsigned i = 0; i < CRN_SECTION_COUNT; i++) {
        header.sections[i] = (struct crn_record_extent){at, maker->counts[i]};
        memcpy(maker->bytes + at, sections[i].rows, maker->counts[i] * sections[i].row_bytes);
        at = (at + maker->counts[i] * sections[i].row_bytes + 7) & ~(size_t)7;
    }
    memcpy(maker->bytes, &header, sizeof header);
    maker->bytes_count = at;
    maker_seal(maker);
}

static inline void maker_write(const struct maker *maker, const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL || fwrite(maker->bytes, 1, maker->bytes_count, file) != maker->bytes_count ||
        fclose(file) != 0)
        abort();
}

#endif
