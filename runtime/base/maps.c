/*
 * Reads /proc/self/maps, or smaps, which says the same and more.  See maps.h and proc(5).
 */
#include "base/maps.h"
#include "base/held.h"
#include "base/sys.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/sysmacros.h>

static uint64_t hex_read(const char **text)
{
    uint64_t value = 0;
    for (;; (*text)++) {
        char c = **text;
        if (c >= '0' && c <= '9')
            value = value * 16 + (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (uint64_t)(c - 'a') + 10;
        else
            return value;
    }
}

static void field_skip(const char **text)
{
    while (**text != 0 && **text != ' ')
        (*text)++;
    while (**text == ' ')
        (*text)++;
}

/* "start-end rwxp offset major:minor inode     path" */
static struct crn_map_entry line_read(const char *line)
{
    struct crn_map_entry entry;
    memset(&entry, 0, sizeof entry);
    entry.start = hex_read(&line);
    line++;
    entry.end = hex_read(&line);
    line++;
    entry.flags = (line[0] == 'r' ? CRN_MAP_READ : 0) | (line[1] == 'w' ? CRN_MAP_WRITE : 0) |
                  (line[2] == 'x' ? CRN_MAP_EXECUTE : 0) | (line[3] == 's' ? CRN_MAP_SHARED : 0);
    field_skip(&line);
    entry.offset = hex_read(&line);
    field_skip(&line);
    uint64_t major_number = hex_read(&line);
    line++;
    entry.device = makedev(major_number, hex_read(&line));
    field_skip(&line);
    for (; *line >= '0' && *line <= '9'; line++)
        entry.inode = entry.inode * 10 + (uint64_t)(*line - '0');
    if (entry.inode != 0)
        entry.flags |= CRN_MAP_FILE;
    while (*line == ' ')
        line++;
    entry.path = line;
    return entry;
}

enum { PATH_BYTES = 4352 }; /* PATH_MAX and " (deleted)" */

/* Where the lines of one mapping come together: in smaps, some twenty follow the first. */
struct walk {
    bool (*visit)(const struct crn_map_entry *entry, void *user);
    void *user;
    char *path; /* with details: room for PATH_BYTES */
    struct crn_map_entry entry;
    struct crn_map_details details;
};

static uint64_t kilobytes_read(const char *text)
{
    uint64_t value = 0;
    while (*text == ' ')
        text++;
    for (; *text >= '0' && *text <= '9'; text++)
        value = value * 10 + (uint64_t)(*text - '0');
    return value * 1024;
}

/* "VmFlags: rd wr mr mw me ac sd um": proc(5), Documentation/filesystems/proc.rst. */
static unsigned details_flags_read(const char *text)
{
    static const struct {
        char name[3];
        unsigned flag;
    } flags[] = {
        {"um", CRN_MAP_SERVED_MISSING},
        {"ui", CRN_MAP_SERVED_MINOR},
        {"io", CRN_MAP_DEVICE},
        {"pf", CRN_MAP_DEVICE},
    };
    unsigned found = 0;
    for (; *text != 0; text++)
        for (unsigned i = 0; i < CRN_COUNT_OF(flags); i++)
            if (text[0] == flags[i].name[0] && text[1] == flags[i].name[1] &&
                (text[2] == ' ' || text[2] == 0))
                found |= flags[i].flag;
    return found;
}

/* Takes a line that follows a mapping's first; true: it was the last of it. */
static bool details_read(struct crn_map_details *details, const char *line)
{
    static const struct {
        const char *label;
        size_t offset;
    } numbers[] = {
        {"Rss:", offsetof(struct crn_map_details, resident_bytes)},
        {"Anonymous:", offsetof(struct crn_map_details, private_bytes)},
        {"Swap:", offsetof(struct crn_map_details, swapped_bytes)},
    };
    for (unsigned i = 0; i < CRN_COUNT_OF(numbers); i++)
        if (strncmp(line, numbers[i].label, strlen(numbers[i].label)) == 0)
            *(uint64_t *)((char *)details + numbers[i].offset) =
                kilobytes_read(line + strlen(numbers[i].label));
    bool is_last = strncmp(line, "VmFlags:", 8) == 0;
    if (is_last)
        details->flags = details_flags_read(line + 8);
    return is_last;
}

/* Answers false when the walk is to end. */
static bool line_take(struct walk *walk, const char *line)
{
    if (walk->path == NULL && *line >= 'A' && *line <= 'Z')
        return true; /* smaps stands in for maps */
    if (walk->path == NULL) {
        walk->entry = line_read(line);
        return walk->visit(&walk->entry, walk->user);
    }
    if (*line >= 'A' && *line <= 'Z')
        return !details_read(&walk->details, line) || walk->visit(&walk->entry, walk->user);
    memset(&walk->details, 0, sizeof walk->details);
    walk->entry = line_read(line);
    size_t length = strlen(walk->entry.path);
    length = length < PATH_BYTES ? length : PATH_BYTES - 1;
    memcpy(walk->path, walk->entry.path, length);
    walk->path[length] = 0;
    walk->entry.path = walk->path;
    walk->entry.details = &walk->details;
    return true;
}

/* Where the lines come from: a file, or text that was read apart from us. */
struct source {
    int fd;
    char *text; /* NULL: the file */
    size_t bytes, at;
};

static bool source_open(struct source *source, const char *file)
{
    *source = (struct source){.fd = crn_proc_open(file)};
    if (source->fd == -EMFILE || source->fd == -ENFILE)
        source->text = crn_proc_read_apart(file, &source->bytes);
    return source->fd >= 0 || source->text != NULL;
}

static long source_read(struct source *source, char *buffer, size_t bytes)
{
    if (source->text == NULL)
        return crn_syscall3(SYS_read, source->fd, buffer, bytes);
    size_t left = source->bytes - source->at;
    bytes = bytes < left ? bytes : left;
    memcpy(buffer, source->text + source->at, bytes);
    source->at += bytes;
    return (long)bytes;
}

static void source_close(struct source *source)
{
    crn_proc_close(source->fd);
    crn_proc_text_free(source->text);
}

static bool lines_walk(struct walk *walk, const char *file)
{
    char buffer[6144];
    size_t used = 0;
    struct source source;
    if (!source_open(&source, file))
        return false;
    for (;;) {
        long count = source_read(&source, buffer + used, sizeof buffer - 1 - used);
        if (count <= 0)
            break;
        used += (size_t)count;
        char *line = buffer;
        char *newline;
        while ((newline = memchr(line, '\n', used - (size_t)(line - buffer))) != NULL) {
            *newline = 0;
            if (!line_take(walk, line)) {
                source_close(&source);
                return true;
            }
            line = newline + 1;
        }
        used -= (size_t)(line - buffer);
        memmove(buffer, line, used);
        if (used == sizeof buffer - 1)
            used = 0; /* one line longer than PATH_MAX: no such thing */
    }
    source_close(&source);
    return true;
}

bool crn_maps_for_each(bool (*visit)(const struct crn_map_entry *entry, void *user), void *user)
{
    struct walk walk = {.visit = visit, .user = user};
    return lines_walk(&walk, "thread-self/maps");
}

bool crn_maps_for_each_detailed(bool (*visit)(const struct crn_map_entry *entry, void *user),
                                void *user)
{
    char path[PATH_BYTES];
    struct walk walk = {.visit = visit, .user = user, .path = path};
    return lines_walk(&walk, "thread-self/smaps");
}

struct find {
    uintptr_t address;
    struct crn_map_entry *found;
    bool is_found;
};

static bool find_visit(const struct crn_map_entry *entry, void *user)
{
    struct find *find = user;
    if (find->address >= entry->end)
        return true;
    find->is_found = find->address >= entry->start;
    if (find->is_found) {
        *find->found = *entry;
        find->found->path = "";
    }
    return false;
}

bool crn_maps_find(uintptr_t address, struct crn_map_entry *found)
{
    struct find find = {address, found, false};
    return crn_maps_for_each(find_visit, &find) && find.is_found;
}
