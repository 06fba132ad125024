#ifndef CRN_SYM_SYM_H
#define CRN_SYM_SYM_H
/*
 * Names for the addresses of recordings.
 *
 * One crn_sym serves all recordings of a report: modules are opened once, whichever process
 * mapped them, and an address of a module is looked up once, wherever the module lay.  All texts
 * and frames belong to the store and live as long as it does; the texts of one store are equal
 * exactly when their addresses are.
 */
#include "record/reader.h"
#include "sym/store.h"

struct crn_sym;

/* One function that was being executed.  NULL and 0 mean unknown. */
struct crn_named_frame {
    const char *function;  /* readable, without parameters */
    const char *signature; /* readable, with them */
    const char *raw;       /* as the linker knows it */
    const char *file;
    unsigned line;
    const char *module; /* path */
    const char *build_id;
    uint64_t offset;   /* the file address looked up; without a module, the address itself */
    bool inlined;      /* into the frame that follows */
    bool is_ours;      /* Coroner's own code */
    bool is_of_sym;    /* its index is its own: it stands for no frames that were left out */
    const void *alike; /* equal for frames that a reader could not tell apart */
    uint64_t identity; /* of its function's name and module, or its place there; for ids */
    uint32_t text_bytes; /* of its texts, all of them together */
    uint32_t index;    /* dense, from 0: for tables beside the frames */
};

/* The frames of one address, innermost first; at least one. */
struct crn_frames {
    const struct crn_named_frame *const *rows;
    uint32_t count;
};

/* A variable; `name` NULL when no symbol covers the address. */
struct crn_variable {
    const char *name;
    const char *module;
    uint64_t offset; /* into the variable; without a name, the file address */
};

struct crn_sym *crn_sym_create(struct crn_store *store);
void crn_sym_destroy(struct crn_sym *sym);

/* Names the code at `address`, exactly: for a return address, pass the address before it. */
const struct crn_frames *crn_sym_name_code(struct crn_sym *sym,
                                           const struct crn_recording *recording, uint64_t address);

/* Names the variable that covers `address`. */
struct crn_variable crn_sym_name_data(struct crn_sym *sym, const struct crn_recording *recording,
                                      uint64_t address);

/* The local variable in a place of the recording; NULL: nobody names one. */
const char *crn_sym_name_local(struct crn_sym *sym, const struct crn_recording *recording,
                               const struct crn_record_place *place);

/* How many frames exist: their indices are smaller. */
uint32_t crn_sym_frames_count(const struct crn_sym *sym);

/*
 * Tells `visit` about each module that was asked about: what kept it from giving names (NULL:
 * nothing), and how many of the addresses asked about have none.
 */
void crn_sym_visit_modules(const struct crn_sym *sym,
                           void (*visit)(const char *path, const char *problem,
                                         uint64_t unnamed_count, void *user),
                           void *user);

#endif
