/*
 * Reads what the kernel tells of processes.  See proc.h.
 */
#include "shim/launcher/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *crn_proc_read(int directory, const char *name, size_t *count)
{
    enum { STEP = 16 * 1024, MOST = 4 << 20 };
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    char *text = NULL;
    ssize_t n = fd < 0 ? -1 : 1;
    *count = 0;
    while (n > 0 && *count < MOST) {
        char *larger = realloc(text, *count + STEP + 1);
        if (larger == NULL)
            break;
        text = larger;
        n = read(fd, text + *count, STEP);
        *count += n > 0 ? (size_t)n : 0;
        text[*count] = 0;
    }
    int error = errno;
    if (n < 0 && *count == 0) {
        free(text);
        text = NULL;
    }
    if (fd >= 0)
        close(fd);
    errno = error;
    return text;
}

const char *crn_proc_field(const char *text, const char *key)
{
    size_t length = strlen(key);
    while (text != NULL && *text != 0) {
        if (strncmp(text, key, length) == 0 && text[length] == ':')
            return text + length + 1 + strspn(text + length + 1, " \t");
        text = strchr(text, '\n');
        text += text != NULL;
    }
    return NULL;
}

uint64_t crn_proc_number(const char *text, const char *key, int base, uint64_t unknown)
{
    const char *field = crn_proc_field(text, key);
    char *end = NULL;
    uint64_t number = field != NULL ? strtoull(field, &end, base) : 0;
    return field == NULL || end == field ? unknown : number;
}
