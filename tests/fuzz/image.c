/*
 * Any file as a module: its symbols and debugging information, asked for addresses all over it.
 *
 * libdw and libelf are the system's, without a sanitizer: what is watched closely is what we make
 * of their answers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "sym/image.h"

static void note(const struct crn_image_name *name, void *user)
{
    unsigned *count = user;
    *count += name->line + (name->raw != NULL) + (name->file != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { ADDRESSES_END = 0x5000, STEP = 29 };
    char path[64];
    unsigned count = 0;
    uint64_t offset;
    int fd = memfd_create("module", MFD_CLOEXEC);
    if (write(fd, data, size) < 0)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct crn_store *store = crn_store_create();
    struct crn_image *image = crn_image_open(store, path, "");
    for (uint64_t address = 0; address < ADDRESSES_END; address += STEP) {
        crn_image_name_code(image, address, note, &count);
        crn_image_name_data(image, address, &offset);
    }
    crn_image_name_code(image, UINT64_MAX, note, &count);
    crn_image_close(image);
    crn_store_destroy(store);
    close(fd);
    return 0;
}
