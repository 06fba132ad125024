/*
 * What a recording says at a glance.  See reader_glance.h.
 */
#include "record/reader_glance.h"

#include <ctype.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_at(int fd, uint64_t offset, void *bytes, size_t count)
{
    return offset <= INT64_MAX - count && pread(fd, bytes, count, (off_t)offset) == (ssize_t)count;
}

/* Whether a section lies inside the file. */
static bool is_inside(const struct crn_record_header *header, enum crn_record_section which)
{
    const struct crn_record_extent *extent = &header->sections[which];
    return extent->offset <= header->total_bytes &&
           extent->count <= (header->total_bytes - extent->offset) / crn_record_row_bytes(which);
}

static bool header_read(int fd, struct crn_record_header *header)
{
    struct stat file;
    if (!read_at(fd, 0, header, sizeof *header) || fstat(fd, &file) != 0)
        return false;
    bool is_fit = memcmp(header->magic, CRN_RECORD_MAGIC, sizeof header->magic) == 0 &&
                  header->version == CRN_RECORD_VERSION && header->header_bytes == sizeof *header &&
                  header->total_bytes == (uint64_t)file.st_size &&
                  header->sections[CRN_SECTION_PROCESS].count == 1;
    for (unsigned which = 0; which < CRN_SECTION_COUNT && is_fit; which++)
        is_fit = is_inside(header, which);
    return is_fit;
}

/* The last part of the executable's path; what does not belong into a file's name becomes '_'. */
static void name_read(int fd, const struct crn_record_header *header, uint32_t exe,
                      struct crn_record_glance *glance)
{
    char path[512] = "";
    const struct crn_record_extent *strings = &header->sections[CRN_SECTION_STRINGS];
    if (exe >= strings->count)
        return;
    uint64_t rest = strings->count - exe;
    if (!read_at(fd, strings->offset + exe, path, rest < sizeof path ? rest : sizeof path - 1))
        return;
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    size_t length = strnlen(base, sizeof glance->name - 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)base[i];
        glance->name[i] = c < 0x80 && (isalnum(c) || strchr("._+-", c) != NULL) ? (char)c : '_';
    }
}

static void leaks_read(int fd, const struct crn_record_header *header,
                       struct crn_record_glance *glance)
{
    struct crn_record_leak leaks[32];
    const struct crn_record_extent *extent = &header->sections[CRN_SECTION_LEAKS];
    for (uint64_t at = 0, count; at < extent->count && !glance->has_proven_leak; at += count) {
        count = extent->count - at < CRN_COUNT_OF(leaks) ? extent->count - at : CRN_COUNT_OF(leaks);
        if (!read_at(fd, extent->offset + at * sizeof *leaks, leaks, count * sizeof *leaks))
            return;
        for (uint64_t i = 0; i < count; i++)
            glance->has_proven_leak |= leaks[i].confidence == CRN_PROVEN;
    }
}

bool crn_record_glance(int fd, struct crn_record_glance *glance)
{
    struct crn_record_header header;
    struct crn_record_process process;
    memset(glance, 0, sizeof *glance);
    if (!header_read(fd, &header) ||
        !read_at(fd, header.sections[CRN_SECTION_PROCESS].offset, &process, sizeof process))
        return false;
    glance->pid = process.pid;
    glance->flags = process.flags;
    glance->has_news = header.sections[CRN_SECTION_LEAKS].count > 0 ||
                       header.sections[CRN_SECTION_FINDINGS].count > 0;
    name_read(fd, &header, process.exe, glance);
    leaks_read(fd, &header, glance);
    return true;
}
