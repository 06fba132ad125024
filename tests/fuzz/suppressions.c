/*
 * Any text as a list of suppressions, each pattern of which meets each line of the text as a name;
 * and as a file of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "report/suppressions.h"

static void file_read(const uint8_t *data, size_t size)
{
    struct crn_suppressions *suppressions = crn_suppressions_create();
    char path[64], message[128];
    int fd = memfd_create("suppressions", MFD_CLOEXEC);
    if (write(fd, data, size) < 0)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    crn_suppressions_read(suppressions, path, message, sizeof message);
    close(fd);
    crn_suppressions_destroy(suppressions);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char message[128];
    char *text = strndup((const char *)data, size);
    struct crn_suppressions *suppressions = crn_suppressions_of_text(text, message, sizeof message);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        for (unsigned kind = 0; kind < CRN_SUPPRESS_KIND_COUNT; kind++)
            crn_suppressions_match(suppressions, kind, line);
    crn_suppressions_destroy(suppressions);
    free(text);
    file_read(data, size);
    return 0;
}
