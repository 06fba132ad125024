/*
 * Keeps recordings that could not be rendered.  See rescue.h.
 */
#include "shim/launcher/rescue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "record/reader_glance.h"
#include "shim/launcher/output.h"
#include "sym/store.h"

static int source_open(const struct crn_rescued *rescued)
{
    return rescued->recording != NULL
               ? -1
               : open(rescued->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

static bool bytes_write(int fd, const unsigned char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t n = write(fd, bytes, count);
        if (n < 0 && errno != EINTR)
            return false;
        bytes += n > 0 ? n : 0;
        count -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* Copies the file, or what is in memory. */
static bool source_copy(const struct crn_rescued *rescued, int from, int to)
{
    static unsigned char buffer[64 * 1024]; /* one at a time */
    ssize_t n;
    if (rescued->recording != NULL)
        return bytes_write(to, rescued->recording->bytes, rescued->recording->total_bytes);
    if (lseek(from, 0, SEEK_SET) != 0)
        return false;
    while ((n = read(from, buffer, sizeof buffer)) != 0)
        if ((n < 0 && errno != EINTR) || (n > 0 && !bytes_write(to, buffer, (size_t)n)))
            return false;
    return true;
}

/* Writes how the program ended into the file, which a glance has found to be fit for that. */
static void ending_write(int fd, const struct crn_ending *ending)
{
    off_t bytes = lseek(fd, 0, SEEK_END);
    if (bytes <= 0)
        return;
    void *start = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (start == MAP_FAILED)
        return;
    struct crn_recording recording = {.bytes = start, .total_bytes = (uint64_t)bytes};
    crn_ending_amend(ending, &recording);
    munmap(start, (size_t)bytes);
}

/* A name for the copy, without its ending; from malloc. */
static char *stem_make(const struct crn_rescued *rescued, const struct crn_record_glance *glance)
{
    char *stem;
    uint32_t pid = rescued->recording != NULL ? rescued->recording->process->pid : glance->pid;
    if (asprintf(&stem, "coroner-%s%s%u", glance->name, *glance->name != 0 ? "-" : "", pid) < 0)
        crn_out_of_memory();
    return stem;
}

/* Copies it into the place; answers the path of the copy (from malloc), or NULL. */
static char *copy_make(const struct crn_rescued *rescued, const struct crn_place *place,
                       const struct crn_ending *ending)
{
    struct crn_record_glance glance = {0};
    char *name, *path = NULL;
    int from = source_open(rescued);
    if (from < 0 && rescued->recording == NULL)
        return NULL;
    bool is_fit = from >= 0 && crn_record_glance(from, &glance);
    char *stem = stem_make(rescued, &glance);
    int to = crn_place_create(place, stem, "crn", &name);
    if (to >= 0) {
        bool is_whole = source_copy(rescued, from, to);
        if (is_whole && is_fit && ending != NULL && glance.pid == (uint32_t)ending->pid)
            ending_write(to, ending);
        is_whole = close(to) == 0 && is_whole;
        if (!is_whole)
            unlinkat(place->fd, name, 0);
        else if (asprintf(&path, "%s/%s", place->path, name) < 0)
            crn_out_of_memory();
        free(name);
    }
    free(stem);
    if (from >= 0)
        close(from);
    return path;
}

/* Adds a path to a line, as a shell reads it. */
static void path_add(FILE *line, const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/._+-=,@%:~";
    bool is_plain = strspn(path, plain) == strlen(path);
    fputs(is_plain ? " " : " '", line);
    for (; *path != 0; path++) {
        if (*path == '\'')
            fputs("'\\''", line);
        else
            fputc(*path, line);
    }
    fputs(is_plain ? "" : "'", line);
}

/* Finds a place that takes this one, from the rank on; answers its path there, or NULL. */
static char *rescue_one(const struct crn_rescued *rescued, const struct crn_ending *ending,
                        enum crn_place_order order)
{
    struct crn_place place;
    char *path = NULL;
    for (unsigned rank = 0; path == NULL && crn_place_find(&place, order, rank); rank++) {
        path = copy_make(rescued, &place, ending);
        crn_place_close(&place);
    }
    return path;
}

void crn_rescue(const char *why, struct crn_rescued *rescued, size_t count,
                const struct crn_ending *ending, enum crn_place_order order)
{
    char *paths;
    size_t bytes, lost = 0, named = 0;
    FILE *line = open_memstream(&paths, &bytes);
    if (line == NULL)
        crn_out_of_memory();
    for (size_t i = 0; i < count; i++) {
        char *path = rescue_one(&rescued[i], ending, order);
        rescued[i].is_kept = path != NULL;
        if (path != NULL || rescued[i].path != NULL)
            path_add(line, path != NULL ? path : rescued[i].path);
        lost += path == NULL && rescued[i].path == NULL;
        named += path != NULL || rescued[i].path != NULL;
        free(path);
    }
    if (fclose(line) != 0)
        crn_out_of_memory();
    if (named > 0)
        crn_say_somewhere("%s; the recording%s kept, render with: coroner report%s", why,
                          named > 1 ? "s are" : " is", paths);
    else if (lost > 0)
        crn_say_somewhere("%s, and no file could be written to keep the recording in", why);
    else
        crn_say_somewhere("%s", why);
    free(paths);
}

struct crn_rescue_facts crn_rescue_look(const struct crn_rescued *rescued, size_t count)
{
    struct crn_rescue_facts facts = {0};
    for (size_t i = 0; i < count; i++) {
        const struct crn_recording *recording = rescued[i].recording;
        struct crn_record_glance glance = {0};
        int fd = source_open(&rescued[i]);
        for (uint64_t leak = 0; recording != NULL && leak < recording->counts[CRN_SECTION_LEAKS];
             leak++)
            facts.has_proven_leak |= recording->leaks[leak].confidence == CRN_PROVEN;
        if (recording != NULL)
            facts.has_news |= recording->counts[CRN_SECTION_LEAKS] > 0 ||
                              recording->counts[CRN_SECTION_FINDINGS] > 0;
        if (fd >= 0 && crn_record_glance(fd, &glance)) {
            facts.has_proven_leak |= glance.has_proven_leak;
            facts.has_news |= glance.has_news;
        }
        if (fd >= 0)
            close(fd);
    }
    return facts;
}
