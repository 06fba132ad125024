/*
 * Keeps raw recordings for --record.  See keep.h.
 */
#include "shim/launcher/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/launcher/output.h"
#include "sym/store.h"

/* Writes the file; answers 0 or the errno.  An old file of that name may be open to others. */
static int recording_write(const struct crn_recording *recording, const char *path)
{
    struct stat file;
    int error = 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0)
        return errno;
    if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && fchmod(fd, 0600) != 0)
        error = errno;
    for (uint64_t at = 0; error == 0 && at < recording->total_bytes;) {
        ssize_t n = write(fd, recording->bytes + at, recording->total_bytes - at);
        if (n < 0 && errno != EINTR)
            error = errno;
        at += n > 0 ? (uint64_t)n : 0;
    }
    if (close(fd) != 0 && error == 0)
        error = errno;
    return error;
}

bool crn_recording_keep(const struct crn_recording *recording, const char *pattern, bool is_program,
                        uint64_t image)
{
    char *path = crn_path_expand(pattern, recording->process->pid,
                                 recording->process->check_number);
    char pid[24] = "", number[24] = "", *name;
    if (strstr(pattern, "%p") == NULL && !is_program)
        snprintf(pid, sizeof pid, ".%u", recording->process->pid);
    if (image != 0)
        snprintf(number, sizeof number, ".%llu", (unsigned long long)image);
    if (asprintf(&name, "%s%s%s", path, pid, number) < 0)
        crn_out_of_memory();
    int error = recording_write(recording, name);
    if (error != 0)
        crn_say("cannot keep the recording as %s: %s; give --record a writable place", name,
                strerror(error));
    free(name);
    free(path);
    return error == 0;
}
