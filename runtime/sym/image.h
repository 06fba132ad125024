#ifndef CRN_SYM_IMAGE_H
#define CRN_SYM_IMAGE_H
/*
 * One ELF file and the names it gives to addresses: its symbol tables, its debugging information,
 * and that of a separate file found by build id or debuglink (/usr/lib/debug).
 *
 * Addresses here are file addresses, as the file's own headers count; so an image serves every
 * process that mapped it, wherever it lay.
 */
#include "sym/store.h"

struct crn_image;

/* A name for an address.  Texts belong to the image's store; NULL and 0 mean unknown. */
struct crn_image_name {
    const char *raw; /* as the linker knows it */
    const char *file;
    unsigned line;
    bool inlined; /* into the name that comes next */
};

/*
 * Opens the file at `path`, if it is still the one that was recorded: `build_id` (hexadecimal, ""
 * for none) must be the file's own.  Always answers an image; one that cannot be used gives no
 * names and says why in crn_image_problem().
 */
struct crn_image *crn_image_open(struct crn_store *store, const char *path, const char *build_id);
void crn_image_close(struct crn_image *image);

/* Why this image gives no names, as one line for the user; NULL when it is fine. */
const char *crn_image_problem(const struct crn_image *image);

/*
 * Tells `visit` what runs at `address`: functions inlined there, innermost first, then the one
 * they were inlined into.  Nothing is told when nothing is known.
 */
void crn_image_name_code(struct crn_image *image, uint64_t address,
                         void (*visit)(const struct crn_image_name *name, void *user), void *user);

/* A slot or register of a call frame. */
struct crn_image_place {
    uint64_t address; /* of code that the frame was executing */
    bool is_register;
    unsigned reg;      /* its number in machine code, of a register */
    int64_t offset;    /* of a slot, bytes from the frame's CFA */
    int64_t bp_offset; /* of rbp from the CFA */
};

/*
 * What the function at `place->address` calls the variable that lies there, as far as debugging
 * information says; NULL: it names none.  That says where a variable is, not whether it is needed.
 */
const char *crn_image_name_local(struct crn_image *image, const struct crn_image_place *place);

/* The symbol that covers `address` in a data segment, as the linker knows it, and how far into it
 * the address is; NULL when there is none. */
const char *crn_image_name_data(struct crn_image *image, uint64_t address, uint64_t *offset);

#endif
