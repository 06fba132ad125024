/*
 * Reads /proc/self/maps and /proc/self/pagemap.  See maps.h and proc(5).
 */
#include "base/maps.h"
#include "base/sys.h"

#include <string.h>

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

bool crn_maps_for_each(bool (*visit)(const struct crn_map_entry *entry, void *user), void *user)
{
    char buffer[6144];
    size_t used = 0;
    int fd = crn_sys_open_read("/proc/thread-self/maps");
    if (fd < 0)
        return false;
    for (;;) {
        long count = crn_syscall3(SYS_read, fd, buffer + used, sizeof buffer - 1 - used);
        if (count <= 0)
            break;
        used += (size_t)count;
        char *line = buffer;
        char *newline;
        while ((newline = memchr(line, '\n', used - (size_t)(line - buffer))) != NULL) {
            *newline = 0;
            struct crn_map_entry entry = line_read(line);
            if (!visit(&entry, user)) {
                crn_syscall1(SYS_close, fd);
                return true;
            }
            line = newline + 1;
        }
        used -= (size_t)(line - buffer);
        memmove(buffer, line, used);
        if (used == sizeof buffer - 1)
            used = 0; /* one line longer than PATH_MAX: no such thing */
    }
    crn_syscall1(SYS_close, fd);
    return true;
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

static int pagemap_fd = -1;

void crn_pages_open(void)
{
    if (pagemap_fd < 0)
        pagemap_fd = crn_sys_open_read("/proc/thread-self/pagemap");
}

void crn_pages_close(void)
{
    if (pagemap_fd >= 0)
        crn_syscall1(SYS_close, pagemap_fd);
    pagemap_fd = -1;
}

/* Bits of a pagemap word: proc(5), Documentation/admin-guide/mm/pagemap.rst. */
static const uint64_t PAGE_PRESENT = (uint64_t)1 << 63;
static const uint64_t PAGE_SWAPPED = (uint64_t)1 << 62;
static const uint64_t PAGE_OF_FILE = (uint64_t)1 << 61;

void crn_pages_for_each(uintptr_t start, uintptr_t end, bool only_private_copies,
                        void (*visit)(uintptr_t start, uintptr_t end, void *user), void *user)
{
    uint64_t words[512];
    uintptr_t run = 0; /* start of the run under way; 0: none */
    bool must_close = pagemap_fd < 0;
    crn_pages_open();
    for (uintptr_t at = crn_align_down(start, CRN_PAGE_BYTES); at < end;) {
        size_t count = (crn_align_up(end, CRN_PAGE_BYTES) - at) >> CRN_PAGE_SHIFT;
        if (count > CRN_COUNT_OF(words))
            count = CRN_COUNT_OF(words);
        long got = crn_syscall4(SYS_pread64, pagemap_fd, words, count * 8, (at >> CRN_PAGE_SHIFT) * 8);
        if (got <= 0) {
            if (!only_private_copies)
                visit(run != 0 ? run : (at > start ? at : start), end, user);
            run = 0;
            break;
        }
        count = (size_t)got / 8;
        for (size_t i = 0; i < count; i++, at += CRN_PAGE_BYTES) {
            bool has_contents = (words[i] & (PAGE_PRESENT | PAGE_SWAPPED)) != 0 &&
                                !(only_private_copies && (words[i] & PAGE_OF_FILE) != 0);
            if (has_contents && run == 0)
                run = at > start ? at : start;
            if (!has_contents && run != 0) {
                visit(run, at, user);
                run = 0;
            }
        }
    }
    if (run != 0)
        visit(run, end, user);
    if (must_close)
        crn_pages_close();
}
