/*
 * The last recording of each process that was asked.  See past.h.
 */
#include "shim/launcher/ask/past.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/launcher/output.h"
#include "shim/launcher/place.h"
#include "shim/launcher/proc.h"

#define NAME_BEGINS "check-"
#define NAME_ENDS ".crn"
#define NAME_PART ".part"

/* A name for the process that no other one bears: pids come round again, and so does the clock. */
static void name_make(char *name, size_t name_bytes, const struct crn_target *target)
{
    size_t count;
    char *boot = crn_proc_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &count);
    snprintf(name, name_bytes, NAME_BEGINS "%d-%llu-%.8s" NAME_ENDS, target->pid,
             (unsigned long long)target->started, boot != NULL ? boot : "");
    free(boot);
}

bool crn_past_open(const struct crn_target *target, const struct crn_recording *now,
                   struct crn_recording *past)
{
    struct crn_place place;
    char name[80], message[256], *path;
    if (!crn_place_state(&place))
        return false;
    name_make(name, sizeof name, target);
    if (asprintf(&path, "%s/%s", place.path, name) < 0)
        crn_out_of_memory();
    bool is_open =
        access(path, F_OK) == 0 && crn_record_open(path, past, message, sizeof message) == CRN_OK;
    free(path);
    crn_place_close(&place);
    if (is_open && past->process->started_unix_ns != now->process->started_unix_ns) {
        crn_record_close(past);
        is_open = false;
    }
    return is_open;
}

struct kept {
    char name[80];
    uint64_t bytes, when_ns;
};

static int newest_first(const void *a, const void *b)
{
    const struct kept *left = a, *right = b;
    return (left->when_ns < right->when_ns) - (left->when_ns > right->when_ns);
}

/* Removes the oldest ones, as many as are too many. */
static void oldest_remove(const struct crn_place *place)
{
    struct kept *rows = NULL;
    struct dirent *entry;
    size_t count = 0, room = 0;
    uint64_t bytes = 0;
    int again = openat(place->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = again >= 0 ? fdopendir(again) : NULL;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        struct stat status;
        if (strncmp(entry->d_name, NAME_BEGINS, sizeof NAME_BEGINS - 1) != 0 ||
            strlen(entry->d_name) >= sizeof rows->name ||
            fstatat(place->fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(status.st_mode))
            continue;
        rows = crn_grow(rows, count, &room, sizeof *rows);
        strcpy(rows[count].name, entry->d_name);
        rows[count].bytes = (uint64_t)status.st_size;
        rows[count++].when_ns =
            (uint64_t)status.st_mtim.tv_sec * 1000000000u + (uint64_t)status.st_mtim.tv_nsec;
    }
    if (directory != NULL)
        closedir(directory);
    if (count > 1)
        qsort(rows, count, sizeof *rows, newest_first);
    for (size_t i = 0; i < count; i++) {
        bytes += rows[i].bytes;
        if (i >= CRN_PAST_MOST || bytes > CRN_PAST_BYTES)
            unlinkat(place->fd, rows[i].name, 0);
    }
    free(rows);
}

void crn_past_keep(const struct crn_target *target, const struct crn_recording *recording)
{
    struct crn_place place;
    char name[80], part[128];
    if (recording->total_bytes > CRN_PAST_BYTES / 2 || !crn_place_state(&place))
        return;
    name_make(name, sizeof name, target);
    snprintf(part, sizeof part, "%s.%d" NAME_PART, name, getpid());
    unlinkat(place.fd, part, 0); /* of a killed one with our number */
    int fd = openat(place.fd, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0) {
        int error = crn_output_write(fd, (const char *)recording->bytes, recording->total_bytes);
        if (close(fd) != 0 || error != 0 || renameat(place.fd, part, place.fd, name) != 0)
            unlinkat(place.fd, part, 0);
    }
    oldest_remove(&place);
    crn_place_close(&place);
}
