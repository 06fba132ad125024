/*
 * Opens a raw recording and proves it whole.
 *
 * Trust grows in three steps, each standing on the one before:
 *
 *     header      magic, version, length, checksum: these bytes are what a Coroner wrote   (R1)
 *     directory   every section lies inside the file, and they do not overlap              (R2)
 *     rows        every index, string and enumerated word is one that exists, and no row
 *                 makes another count twice                                            (R3, R4)
 *
 * A checksum proves no good will, so all of it is checked: a forged file may say anything, but it
 * cannot make a reader leave its sections, nor make of a few bytes an endless report.
 */
#include "record/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const section_names[CRN_SECTION_COUNT] = {
    [CRN_SECTION_PROCESS] = "process",  [CRN_SECTION_STRINGS] = "strings",
    [CRN_SECTION_ARGV] = "argv",        [CRN_SECTION_WARNINGS] = "warnings",
    [CRN_SECTION_MODULES] = "modules",  [CRN_SECTION_NODES] = "nodes",
    [CRN_SECTION_COROS] = "coroutines", [CRN_SECTION_LEAKS] = "leaks",
    [CRN_SECTION_LINKS] = "links",      [CRN_SECTION_FINDINGS] = "findings",
    [CRN_SECTION_OBJECTS] = "objects",  [CRN_SECTION_SAMPLES] = "samples",
    [CRN_SECTION_LIVE] = "live rows",   [CRN_SECTION_MEMORY] = "memory",
    [CRN_SECTION_PLACES] = "places",
};

enum { CHECKSUM_FROM = 32, CHUNK_BYTES = 1 << 20 };

struct complaint {
    const char *path;
    char *message;
    size_t message_bytes;
};

/* Reads until `count` bytes or the end of the file; answers how many, or -1 with errno. */
static ssize_t read_up_to(int fd, unsigned char *to, size_t count)
{
    size_t done = 0;
    while (done < count) {
        ssize_t n = read(fd, to + done, count - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static enum crn_status refuse_os(const struct complaint *complaint, const char *verb)
{
    snprintf(complaint->message, complaint->message_bytes,
             "cannot %s '%s': %s; give a file that `coroner run --record` wrote", verb,
             complaint->path, strerror(errno));
    return CRN_ERR_SYSTEM;
}

static enum crn_status refuse(const struct complaint *complaint, const char *format, ...)
    CRN_PRINTF(2, 3);

static enum crn_status refuse(const struct complaint *complaint, const char *format, ...)
{
    char what[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    snprintf(complaint->message, complaint->message_bytes, "'%s' %s", complaint->path, what);
    return CRN_ERR_FORMAT;
}

/* The first half of R1: what can be told before memory is spent on the file. */
static enum crn_status header_check(const struct crn_record_header *header, size_t have,
                                    const struct complaint *complaint)
{
    if (have < sizeof header->magic || memcmp(header->magic, CRN_RECORD_MAGIC, 8) != 0)
        return refuse(complaint, "is not a Coroner recording; give a file that "
                                 "`coroner run --record` wrote");
    if (have < offsetof(struct crn_record_header, header_bytes))
        return refuse(complaint, "is cut short after %zu bytes; record again", have);
    if (header->version != CRN_RECORD_VERSION)
        return refuse(complaint,
                      "is a recording of version %u and this coroner reads version %d; use the "
                      "coroner that wrote it",
                      header->version, CRN_RECORD_VERSION);
    if (have < sizeof *header)
        return refuse(complaint, "is cut short after %zu bytes; record again", have);
    if (header->header_bytes < sizeof *header || header->total_bytes < header->header_bytes)
        return refuse(complaint, "is damaged (its header contradicts itself); record again");
    return CRN_OK;
}

/*
 * Reads the whole file behind an accepted header into recording->bytes.  The length it claims is
 * believed only as far as bytes come, so a forged one costs nothing.
 */
static enum crn_status body_read(int fd, const struct crn_record_header *header,
                                 struct crn_recording *recording, const struct complaint *complaint)
{
    uint64_t have = sizeof *header, room = 0;
    unsigned char extra;
    do {
        room = have * 2 + CHUNK_BYTES;
        if (room > header->total_bytes)
            room = header->total_bytes;
        unsigned char *larger = realloc(recording->bytes, room);
        if (larger == NULL) {
            snprintf(complaint->message, complaint->message_bytes,
                     "no memory to read '%s' (%llu bytes)", complaint->path,
                     (unsigned long long)header->total_bytes);
            return CRN_ERR_NO_MEMORY;
        }
        recording->bytes = larger;
        ssize_t n = read_up_to(fd, larger + have, room - have);
        if (n < 0)
            return refuse_os(complaint, "read");
        have += (uint64_t)n;
    } while (have == room && room < header->total_bytes);
    if (have < header->total_bytes)
        return refuse(complaint, "is cut short: %llu of %llu bytes; record again",
                      (unsigned long long)have, (unsigned long long)header->total_bytes);
    memcpy(recording->bytes, header, sizeof *header);
    recording->total_bytes = header->total_bytes;
    ssize_t n = read_up_to(fd, &extra, 1);
    if (n < 0)
        return refuse_os(complaint, "read");
    if (n > 0)
        return refuse(complaint, "is damaged (it goes on after its %llu bytes); record again",
                      (unsigned long long)header->total_bytes);
    return CRN_OK;
}

/* The second half of R1. */
static enum crn_status checksum_check(const struct crn_recording *recording,
                                      const struct complaint *complaint)
{
    const struct crn_record_header *header = (const void *)recording->bytes;
    if (crn_record_checksum(recording->bytes + CHECKSUM_FROM,
                            header->total_bytes - CHECKSUM_FROM) != header->checksum)
        return refuse(complaint, "is damaged (its checksum does not match); record again");
    return CRN_OK;
}

/* R2, and points the sections into the bytes. */
static enum crn_status sections_map(struct crn_recording *recording,
                                    const struct complaint *complaint)
{
    const struct crn_record_header *header = (const void *)recording->bytes;
    const void *rows[CRN_SECTION_COUNT];
    uint64_t end = header->header_bytes; /* of the sections so far */
    for (unsigned i = 0; i < CRN_SECTION_COUNT; i++) {
        const struct crn_record_extent *extent = &header->sections[i];
        uint64_t bytes;
        if (extent->offset % 8 != 0 || extent->offset < header->header_bytes ||
            extent->offset > header->total_bytes ||
            __builtin_mul_overflow(extent->count, crn_record_row_bytes(i), &bytes) ||
            bytes > header->total_bytes - extent->offset)
            return refuse(complaint, "is damaged (its %s lie outside it); record again",
                          section_names[i]);
        if (bytes > 0 && extent->offset < end)
            return refuse(complaint, "is damaged (its %s lie in other rows); record again",
                          section_names[i]);
        end = bytes > 0 ? extent->offset + bytes : end;
        rows[i] = recording->bytes + extent->offset;
        recording->counts[i] = extent->count;
    }
    recording->process = rows[CRN_SECTION_PROCESS];
    recording->strings = rows[CRN_SECTION_STRINGS];
    recording->argv = rows[CRN_SECTION_ARGV];
    recording->warnings = rows[CRN_SECTION_WARNINGS];
    recording->modules = rows[CRN_SECTION_MODULES];
    recording->nodes = rows[CRN_SECTION_NODES];
    recording->coros = rows[CRN_SECTION_COROS];
    recording->leaks = rows[CRN_SECTION_LEAKS];
    recording->links = rows[CRN_SECTION_LINKS];
    recording->findings = rows[CRN_SECTION_FINDINGS];
    recording->objects = rows[CRN_SECTION_OBJECTS];
    recording->samples = rows[CRN_SECTION_SAMPLES];
    recording->live = rows[CRN_SECTION_LIVE];
    recording->places = rows[CRN_SECTION_PLACES];
    recording->memory = recording->counts[CRN_SECTION_MEMORY] > 0 ? rows[CRN_SECTION_MEMORY] : NULL;
    return CRN_OK;
}

/* What a row may refer to.  A node or string row 0 always exists and means "unknown". */
static bool string_is_valid(const struct crn_recording *recording, uint32_t string)
{
    return string < recording->counts[CRN_SECTION_STRINGS] &&
           (string == 0 || recording->strings[string - 1] == 0);
}

static bool node_is_valid(const struct crn_recording *recording, uint32_t node)
{
    return node == 0 || node < recording->counts[CRN_SECTION_NODES];
}

static bool coro_is_valid(const struct crn_recording *recording, uint32_t row_plus_one)
{
    return row_plus_one <= recording->counts[CRN_SECTION_COROS];
}

static bool links_are_valid(const struct crn_recording *recording, uint32_t first, uint32_t count)
{
    return (uint64_t)first + count <= recording->counts[CRN_SECTION_LINKS];
}

/* Texts that follow each other in the strings; but for empty ones, none stands there twice. */
static bool list_is_valid(const struct crn_recording *recording, const uint32_t *strings,
                          uint64_t count)
{
    uint32_t last = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (!string_is_valid(recording, strings[i]) || (strings[i] != 0 && strings[i] <= last))
            return false;
        last = strings[i] != 0 ? strings[i] : last;
    }
    return true;
}

static bool texts_are_valid(const struct crn_recording *r)
{
    uint64_t bytes = r->counts[CRN_SECTION_STRINGS];
    if (bytes == 0 || r->strings[0] != 0 || r->strings[bytes - 1] != 0)
        return false;
    if (!list_is_valid(r, r->argv, r->counts[CRN_SECTION_ARGV]) ||
        !list_is_valid(r, r->warnings, r->counts[CRN_SECTION_WARNINGS]))
        return false;
    return r->counts[CRN_SECTION_PROCESS] == 1 && string_is_valid(r, r->process->exe) &&
           string_is_valid(r, r->process->options) &&
           string_is_valid(r, r->process->suppressions) &&
           r->process->check_kind < CRN_CHECK_KIND_COUNT;
}

static bool modules_are_valid(const struct crn_recording *r)
{
    for (uint64_t i = 0; i < r->counts[CRN_SECTION_MODULES]; i++) {
        const struct crn_record_module *module = &r->modules[i];
        if (module->start > module->end || !string_is_valid(r, module->path) ||
            !string_is_valid(r, module->build_id) || (i > 0 && module->start < module[-1].start))
            return false;
    }
    return true;
}

static bool nodes_are_valid(const struct crn_recording *r)
{
    uint64_t count = r->counts[CRN_SECTION_NODES];
    if (count > 0 && r->nodes[0].parent != 0)
        return false;
    for (uint64_t i = 1; i < count; i++)
        if (r->nodes[i].parent >= i)
            return false;
    return true;
}

static bool coros_are_valid(const struct crn_recording *r)
{
    for (uint64_t i = 0; i < r->counts[CRN_SECTION_COROS]; i++) {
        const struct crn_record_coro *coro = &r->coros[i];
        if (coro->mechanism >= CRN_MECHANISM_COUNT || coro->state >= CRN_CORO_STATE_COUNT ||
            !string_is_valid(r, coro->name) || !node_is_valid(r, coro->created_node) ||
            !node_is_valid(r, coro->suspended_node))
            return false;
    }
    return true;
}

static bool leaks_are_valid(const struct crn_recording *r)
{
    for (uint64_t i = 0; i < r->counts[CRN_SECTION_LEAKS]; i++) {
        const struct crn_record_leak *leak = &r->leaks[i];
        if (leak->verdict == CRN_VERDICT_LIVE || leak->verdict >= CRN_VERDICT_COUNT ||
            leak->confidence > CRN_PROVEN || !string_is_valid(r, leak->why) ||
            !node_is_valid(r, leak->alloc_node) || !coro_is_valid(r, leak->coro) ||
            !links_are_valid(r, leak->first_link, leak->link_count) ||
            leak->place > r->counts[CRN_SECTION_PLACES])
            return false;
    }
    return true;
}

static bool places_are_valid(const struct crn_recording *r)
{
    for (uint64_t i = 0; i < r->counts[CRN_SECTION_PLACES]; i++)
        if (r->places[i].reg >= CRN_PLACE_REGISTERS)
            return false;
    return true;
}

static bool chains_are_valid(const struct crn_recording *r)
{
    for (uint64_t i = 0; i < r->counts[CRN_SECTION_LINKS]; i++) {
        const struct crn_record_link *link = &r->links[i];
        if (link->kind > CRN_LINK_LEAK || link->root >= CRN_ROOT_KIND_COUNT ||
            !string_is_valid(r, link->name) || !node_is_valid(r, link->alloc_node) ||
            !coro_is_valid(r, link->coro))
            return false;
    }
    return true;
}

/* The links are counted, not followed: whatever order they stand in, none is told twice. */
static bool shares_are_valid(const struct crn_recording *r)
{
    uint64_t told = 0;
    for (uint64_t i = 0; i < r->counts[CRN_SECTION_LEAKS]; i++)
        told += r->leaks[i].link_count;
    for (uint64_t i = 0; i < r->counts[CRN_SECTION_FINDINGS]; i++)
        told += r->findings[i].link_count;
    for (uint64_t i = 0; i < r->counts[CRN_SECTION_LIVE]; i++)
        told += r->live[i].link_count;
    return told <= r->counts[CRN_SECTION_LINKS];
}

static bool findings_are_valid(const struct crn_recording *r)
{
    for (uint64_t i = 0; i < r->counts[CRN_SECTION_FINDINGS]; i++) {
        const struct crn_record_finding *finding = &r->findings[i];
        if (finding->kind >= CRN_FINDING_COUNT || !coro_is_valid(r, finding->coro) ||
            !string_is_valid(r, finding->scope) || !string_is_valid(r, finding->why) ||
            !node_is_valid(r, finding->node) ||
            !links_are_valid(r, finding->first_link, finding->link_count))
            return false;
    }
    return true;
}

static bool objects_are_valid(const struct crn_recording *r)
{
    for (uint64_t i = 0; i < r->counts[CRN_SECTION_OBJECTS]; i++)
        if (r->objects[i].leak >= r->counts[CRN_SECTION_LEAKS])
            return false;
    return true;
}

static bool samples_are_valid(const struct crn_recording *r)
{
    for (uint64_t i = 0; i < r->counts[CRN_SECTION_SAMPLES]; i++)
        if (r->samples[i].leak >= r->counts[CRN_SECTION_LEAKS] ||
            !node_is_valid(r, r->samples[i].node) || r->process->sample_bytes == 0)
            return false;
    return true;
}

static bool live_is_valid(const struct crn_recording *r)
{
    for (uint64_t i = 0; i < r->counts[CRN_SECTION_LIVE]; i++)
        if (!node_is_valid(r, r->live[i].alloc_node) ||
            r->live[i].shape >= CRN_GROWTH_SHAPE_COUNT ||
            !links_are_valid(r, r->live[i].first_link, r->live[i].link_count))
            return false;
    return true;
}

static bool memory_is_valid(const struct crn_recording *r)
{
    return r->counts[CRN_SECTION_MEMORY] <= 1 &&
           (r->memory == NULL || r->memory->limit_kind < CRN_LIMIT_KIND_COUNT);
}

/* R3 and R4. */
static enum crn_status rows_check(const struct crn_recording *recording,
                                  const struct complaint *complaint)
{
    static const struct {
        bool (*are_valid)(const struct crn_recording *);
        const char *what;
    } checks[] = {
        {texts_are_valid, "texts"},       {modules_are_valid, "modules"},
        {nodes_are_valid, "nodes"},       {coros_are_valid, "coroutines"},
        {leaks_are_valid, "leaks"},       {chains_are_valid, "chains"},
        {findings_are_valid, "findings"}, {objects_are_valid, "objects"},
        {samples_are_valid, "samples"},   {live_is_valid, "live rows"},
        {memory_is_valid, "memory"},      {places_are_valid, "places"},
        {shares_are_valid, "chains"},
    };
    for (unsigned i = 0; i < CRN_COUNT_OF(checks); i++)
        if (!checks[i].are_valid(recording))
            return refuse(complaint, "is damaged (its %s contradict each other); record again",
                          checks[i].what);
    return CRN_OK;
}

/* Checks what was read: all of R1 to R4 but the first half of R1. */
static enum crn_status recording_check(struct crn_recording *recording,
                                       const struct complaint *complaint)
{
    enum crn_status status = checksum_check(recording, complaint);
    if (status == CRN_OK)
        status = sections_map(recording, complaint);
    if (status == CRN_OK)
        status = rows_check(recording, complaint);
    return status;
}

enum crn_status crn_record_open(const char *path, struct crn_recording *recording, char *message,
                                size_t message_bytes)
{
    struct complaint complaint = {path, message, message_bytes};
    struct crn_record_header header = {0};
    memset(recording, 0, sizeof *recording);
    *message = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return refuse_os(&complaint, "open");
    ssize_t have = read_up_to(fd, (unsigned char *)&header, sizeof header);
    enum crn_status status =
        have < 0 ? refuse_os(&complaint, "read") : header_check(&header, (size_t)have, &complaint);
    if (status == CRN_OK)
        status = body_read(fd, &header, recording, &complaint);
    if (status == CRN_OK)
        status = recording_check(recording, &complaint);
    close(fd);
    if (status != CRN_OK)
        crn_record_close(recording);
    return status;
}

enum crn_status crn_record_adopt(unsigned char *bytes, uint64_t total_bytes, const char *name,
                                 struct crn_recording *recording, char *message,
                                 size_t message_bytes)
{
    struct complaint complaint = {name, message, message_bytes};
    struct crn_record_header header = {0};
    memset(recording, 0, sizeof *recording);
    *message = 0;
    recording->bytes = bytes;
    recording->total_bytes = total_bytes;
    memcpy(&header, bytes, total_bytes < sizeof header ? total_bytes : sizeof header);
    enum crn_status status = header_check(&header, total_bytes, &complaint);
    if (status == CRN_OK && header.total_bytes != total_bytes)
        status = refuse(&complaint, "is damaged (it has %llu bytes, not %llu); record again",
                        (unsigned long long)total_bytes, (unsigned long long)header.total_bytes);
    if (status == CRN_OK)
        status = recording_check(recording, &complaint);
    if (status != CRN_OK)
        crn_record_close(recording);
    return status;
}

void crn_record_close(struct crn_recording *recording)
{
    free(recording->bytes);
    memset(recording, 0, sizeof *recording);
}

const struct crn_record_module *crn_record_find_module(const struct crn_recording *recording,
                                                       uint64_t address)
{
    uint64_t low = 0, high = recording->counts[CRN_SECTION_MODULES];
    while (low < high) { /* the last module that starts at or before the address */
        uint64_t middle = low + (high - low) / 2;
        if (recording->modules[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || address >= recording->modules[low - 1].end)
        return NULL;
    return &recording->modules[low - 1];
}
