/*
 * Growing sections, and writing them.  See draft.h and format.h.
 */
#include "record/draft.h"
#include "base/sys.h"
#include "stack/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/mman.h>

uint32_t crn_draft_rows(struct crn_draft *draft, enum crn_record_section which, const void *rows,
                        size_t count)
{
    struct crn_draft_section *section = &draft->sections[which];
    if (section->count + count > section->room) {
        size_t room = section->room == 0 ? 64 : section->room * 2;
        while (room < section->count + count)
            room *= 2;
        char *grown = crn_arena_alloc(&draft->arena, room * section->row_bytes);
        if (grown == NULL) {
            draft->is_partial = true;
            return 0;
        }
        if (section->count > 0)
            memcpy(grown, section->rows, section->count * section->row_bytes);
        section->rows = grown;
        section->room = room;
    }
    memcpy(section->rows + section->count * section->row_bytes, rows, count * section->row_bytes);
    section->count += count;
    return (uint32_t)(section->count - count);
}

void crn_draft_init(struct crn_draft *draft)
{
    static const struct crn_record_node root;
    memset(draft, 0, sizeof *draft);
    draft->process.predicted_pause_ns = UINT64_MAX;
    for (unsigned i = 0; i < CRN_SECTION_COUNT; i++)
        draft->sections[i].row_bytes = crn_record_row_bytes(i);
    crn_draft_rows(draft, CRN_SECTION_STRINGS, "", 1);
    crn_draft_rows(draft, CRN_SECTION_NODES, &root, 1);
}

struct crn_draft_place crn_draft_place_get(const struct crn_draft *draft)
{
    struct crn_draft_place place;
    for (unsigned i = 0; i < CRN_SECTION_COUNT; i++)
        place.counts[i] = draft->sections[i].count;
    return place;
}

/* Strings and nodes stay: others may be led to them. */
void crn_draft_rewind(struct crn_draft *draft, const struct crn_draft_place *place)
{
    static const enum crn_record_section dropped[] = {
        CRN_SECTION_COROS,    CRN_SECTION_LEAKS,   CRN_SECTION_LINKS,
        CRN_SECTION_FINDINGS, CRN_SECTION_OBJECTS, CRN_SECTION_SAMPLES,
        CRN_SECTION_LIVE,     CRN_SECTION_MEMORY,  CRN_SECTION_PLACES};
    for (unsigned i = 0; i < CRN_COUNT_OF(dropped); i++)
        draft->sections[dropped[i]].count = place->counts[dropped[i]];
}

void crn_draft_free(struct crn_draft *draft)
{
    crn_arena_free_all(&draft->arena);
    memset(draft, 0, sizeof *draft);
}

uint32_t crn_draft_string(struct crn_draft *draft, const char *text)
{
    return *text == 0 ? 0
                      : crn_draft_rows(draft, CRN_SECTION_STRINGS, text, strlen(text) + 1);
}

static bool node_map_grow(struct crn_draft *draft)
{
    size_t old_mask = draft->row_of_node_mask;
    uint32_t *old = draft->row_of_node;
    size_t slots = old == NULL ? 1024 : (old_mask + 1) * 2;
    uint32_t *fresh = crn_arena_alloc(&draft->arena, slots * 2 * sizeof *fresh);
    if (fresh == NULL)
        return false;
    for (size_t i = 0; old != NULL && i <= old_mask; i++) {
        if (old[2 * i] == 0)
            continue;
        size_t at = crn_hash64(old[2 * i]) & (slots - 1);
        while (fresh[2 * at] != 0)
            at = (at + 1) & (slots - 1);
        fresh[2 * at] = old[2 * i];
        fresh[2 * at + 1] = old[2 * i + 1];
    }
    draft->row_of_node = fresh;
    draft->row_of_node_mask = slots - 1;
    return true;
}

/* The row of a tree node, added under its parent's if it is new. */
static uint32_t node_add(struct crn_draft *draft, uint32_t tree_node, uint32_t parent_row)
{
    if (draft->row_of_node_count * 2 >= draft->row_of_node_mask && !node_map_grow(draft))
        return 0;
    size_t at = crn_hash64(tree_node) & draft->row_of_node_mask;
    for (; draft->row_of_node[2 * at] != 0; at = (at + 1) & draft->row_of_node_mask)
        if (draft->row_of_node[2 * at] == tree_node)
            return draft->row_of_node[2 * at + 1];
    const struct crn_record_node row = {crn_tree_node(&crn_tree, tree_node)->pc, parent_row, 0};
    uint32_t index = crn_draft_rows(draft, CRN_SECTION_NODES, &row, 1);
    draft->row_of_node[2 * at] = tree_node;
    draft->row_of_node[2 * at + 1] = index;
    draft->row_of_node_count++;
    return index;
}

uint32_t crn_draft_node(struct crn_draft *draft, uint32_t tree_node)
{
    enum { FRAMES_MAX = 512 };
    uint32_t path[FRAMES_MAX];
    unsigned count = 0;
    for (; tree_node != 0 && count < FRAMES_MAX;
         tree_node = crn_tree_node(&crn_tree, tree_node)->parent)
        path[count++] = tree_node;
    uint32_t row = 0;
    while (count > 0)
        row = node_add(draft, path[--count], row);
    return row;
}

uint32_t crn_draft_link(struct crn_draft *draft, const struct crn_record_link *link)
{
    return crn_draft_rows(draft, CRN_SECTION_LINKS, link, 1);
}

uint32_t crn_draft_coro(struct crn_draft *draft, const struct crn_record_coro *coro)
{
    return crn_draft_rows(draft, CRN_SECTION_COROS, coro, 1);
}

void crn_draft_leak(struct crn_draft *draft, const struct crn_record_leak *leak)
{
    crn_draft_rows(draft, CRN_SECTION_LEAKS, leak, 1);
}

void crn_draft_warning(struct crn_draft *draft, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    uint32_t string = crn_draft_string(draft, text);
    crn_draft_rows(draft, CRN_SECTION_WARNINGS, &string, 1);
}

/* Lays the sections out behind the header. */
static struct crn_record_header header_make(const struct crn_draft *draft)
{
    struct crn_record_header header;
    memset(&header, 0, sizeof header);
    memcpy(header.magic, CRN_RECORD_MAGIC, sizeof header.magic);
    header.version = CRN_RECORD_VERSION;
    header.header_bytes = sizeof header;
    uint64_t offset = sizeof header;
    for (unsigned i = 0; i < CRN_SECTION_COUNT; i++) {
        const struct crn_draft_section *section = &draft->sections[i];
        header.sections[i] = (struct crn_record_extent){offset, section->count};
        offset = crn_align_up(offset + section->count * section->row_bytes, 8);
    }
    header.total_bytes = offset;
    return header;
}

char *crn_draft_image(struct crn_draft *draft, size_t *bytes)
{
    enum { SUM_FROM = 32 };
    draft->sections[CRN_SECTION_PROCESS].count = 0;
    crn_draft_rows(draft, CRN_SECTION_PROCESS, &draft->process, 1);
    if (draft->arena.exhausted)
        return NULL; /* something is missing in it, and the rest may refer to that */
    struct crn_record_header header = header_make(draft);
    char *image = crn_vm_map(header.total_bytes);
    if (image == NULL)
        return NULL;
    for (unsigned i = 0; i < CRN_SECTION_COUNT; i++)
        if (draft->sections[i].count > 0)
            memcpy(image + header.sections[i].offset, draft->sections[i].rows,
                   draft->sections[i].count * draft->sections[i].row_bytes);
    memcpy(image, &header, sizeof header);
    header.checksum = crn_record_checksum(image + SUM_FROM, header.total_bytes - SUM_FROM);
    memcpy(image, &header, sizeof header);
    *bytes = header.total_bytes;
    return image;
}

int crn_draft_write(struct crn_draft *draft, int directory, const char *name)
{
    char beside[4096 + 16];
    size_t bytes;
    char *image = crn_draft_image(draft, &bytes);
    if (image == NULL)
        return -ENOMEM;
    snprintf(beside, sizeof beside, "%s.part", name);
    crn_syscall3(SYS_unlinkat, directory, beside, 0);
    int fd = (int)crn_syscall4(SYS_openat, directory, beside,
                               O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    long result = fd;
    if (fd >= 0) {
        result = crn_sys_write_all(fd, image, bytes);
        crn_syscall1(SYS_close, fd);
        if (result == 0)
            result = crn_syscall4(SYS_renameat, directory, beside, directory, name);
        if (result < 0)
            crn_syscall3(SYS_unlinkat, directory, beside, 0);
    }
    crn_vm_unmap(image, bytes);
    return (int)result;
}

int crn_draft_send(struct crn_draft *draft, int fd)
{
    size_t bytes;
    char *image = crn_draft_image(draft, &bytes);
    if (image == NULL)
        return -ENOMEM;
    long result = crn_sys_write_all(fd, image, bytes);
    crn_vm_unmap(image, bytes);
    return (int)result;
}
