/*
 * Names for the addresses of recordings.  See sym.h.
 *
 *     address --module map--> (image, file address) --cache--> frames
 *
 * The cache is an open-addressed table keyed by image and file address, at most half full.
 * Addresses in no module belong to image 0, which has no file.
 */
#include "sym/sym.h"

#include <stdlib.h>
#include <string.h>

#include "sym/demangle.h"
#include "sym/image.h"

enum { FIRST_SLOTS = 4096 };

struct module {
    const char *path, *build_id; /* store texts; path NULL for image 0 */
    struct crn_image *image;
    uint64_t unnamed_count;
    bool is_ours;
};

struct slot {
    uint64_t address;
    uint32_t module;
    const struct crn_frames *frames; /* NULL: free */
};

struct crn_sym {
    struct crn_store *store;
    struct module *modules;
    size_t modules_count, modules_room;
    struct slot *slots;
    size_t slots_count, slots_used;
    uint32_t frames_count;
};

/* The frames of one address while they are told by its image. */
struct gathering {
    struct crn_sym *sym;
    const struct module *module;
    uint64_t address;
    const struct crn_named_frame **rows;
    size_t count, room;
};

static size_t module_add(struct crn_sym *sym, const char *path, const char *build_id)
{
    sym->modules =
        crn_grow(sym->modules, sym->modules_count, &sym->modules_room, sizeof *sym->modules);
    struct module *module = &sym->modules[sym->modules_count];
    *module = (struct module){.path = path, .build_id = build_id};
    module->image =
        crn_image_open(sym->store, path != NULL ? path : "", build_id != NULL ? build_id : "");
    if (path != NULL) {
        const char *slash = strrchr(path, '/');
        module->is_ours = strncmp(slash != NULL ? slash + 1 : path, "libcoroner.so", 13) == 0;
    }
    return sym->modules_count++;
}

struct crn_sym *crn_sym_create(struct crn_store *store)
{
    struct crn_sym *sym = calloc(1, sizeof *sym);
    if (sym == NULL)
        crn_out_of_memory();
    sym->store = store;
    sym->slots_count = FIRST_SLOTS;
    sym->slots = calloc(sym->slots_count, sizeof *sym->slots);
    if (sym->slots == NULL)
        crn_out_of_memory();
    module_add(sym, NULL, NULL);
    return sym;
}

void crn_sym_destroy(struct crn_sym *sym)
{
    if (sym == NULL)
        return;
    for (size_t i = 0; i < sym->modules_count; i++)
        crn_image_close(sym->modules[i].image);
    free(sym->modules);
    free(sym->slots);
    free(sym);
}

/* A text of the recording, kept; NULL when it is unknown. */
static const char *text_keep(struct crn_sym *sym, const struct crn_recording *recording,
                             uint32_t string)
{
    const char *text = crn_record_text(recording, string);
    return *text == 0 ? NULL : crn_store_text(sym->store, text);
}

/* Answers which module an address is in, and turns it into a file address. */
static size_t module_of(struct crn_sym *sym, const struct crn_recording *recording,
                        uint64_t *address)
{
    const struct crn_record_module *row = crn_record_find_module(recording, *address);
    const char *path = row != NULL ? text_keep(sym, recording, row->path) : NULL;
    if (path == NULL)
        return 0;
    const char *build_id = text_keep(sym, recording, row->build_id);
    *address -= row->bias;
    for (size_t i = 1; i < sym->modules_count; i++)
        if (sym->modules[i].path == path && sym->modules[i].build_id == build_id)
            return i;
    return module_add(sym, path, build_id);
}

static struct slot *slot_of(struct slot *slots, size_t slots_count, size_t module, uint64_t address)
{
    size_t i = crn_hash64(address * 31 + module) & (slots_count - 1);
    while (slots[i].frames != NULL && (slots[i].address != address || slots[i].module != module))
        i = (i + 1) & (slots_count - 1);
    return &slots[i];
}

static void slots_double(struct crn_sym *sym)
{
    size_t larger = sym->slots_count * 2;
    struct slot *slots = calloc(larger, sizeof *slots);
    if (slots == NULL)
        crn_out_of_memory();
    for (size_t i = 0; i < sym->slots_count; i++) {
        const struct slot *old = &sym->slots[i];
        if (old->frames != NULL)
            *slot_of(slots, larger, old->module, old->address) = *old;
    }
    free(sym->slots);
    sym->slots = slots;
    sym->slots_count = larger;
}

static const char *text_or_none(const char *text)
{
    return text != NULL ? text : "";
}

static void frame_add(const struct crn_image_name *name, void *user)
{
    struct gathering *gathering = user;
    struct crn_store *store = gathering->sym->store;
    struct crn_named_frame *frame = crn_store_bytes(store, sizeof *frame);
    frame->raw = name->raw;
    if (name->raw != NULL) {
        frame->function = crn_demangle(store, name->raw, false);
        frame->signature = crn_demangle(store, name->raw, true);
    }
    frame->file = name->file;
    frame->line = name->line;
    frame->inlined = name->inlined;
    frame->module = gathering->module->path;
    frame->build_id = gathering->module->build_id;
    frame->is_ours = gathering->module->is_ours;
    frame->offset = gathering->address;
    frame->index = gathering->sym->frames_count++;
    frame->alike =
        crn_store_print(store, "%s\n%s\n%u\n%s\n%d\n%#llx", text_or_none(name->raw),
                        text_or_none(name->file), name->line, text_or_none(frame->module),
                        name->inlined, name->raw != NULL ? 0 : (unsigned long long)frame->offset);
    gathering->rows =
        crn_grow(gathering->rows, gathering->count, &gathering->room, sizeof *gathering->rows);
    gathering->rows[gathering->count++] = frame;
}

static const struct crn_frames *frames_make(struct crn_sym *sym, struct module *module,
                                            uint64_t address)
{
    struct gathering gathering = {.sym = sym, .module = module, .address = address};
    crn_image_name_code(module->image, address, frame_add, &gathering);
    if (gathering.count == 0) {
        const struct crn_image_name nothing = {0};
        frame_add(&nothing, &gathering);
    }
    if (gathering.rows[gathering.count - 1]->raw == NULL && !module->is_ours)
        module->unnamed_count++;
    struct crn_frames *frames = crn_store_bytes(sym->store, sizeof *frames);
    size_t bytes = gathering.count * sizeof *gathering.rows;
    frames->rows = memcpy(crn_store_bytes(sym->store, bytes), gathering.rows, bytes);
    frames->count = (uint32_t)gathering.count;
    free(gathering.rows);
    return frames;
}

const struct crn_frames *crn_sym_name_code(struct crn_sym *sym,
                                           const struct crn_recording *recording, uint64_t address)
{
    size_t module = module_of(sym, recording, &address);
    struct slot *slot = slot_of(sym->slots, sym->slots_count, module, address);
    if (slot->frames != NULL)
        return slot->frames;
    const struct crn_frames *frames = frames_make(sym, &sym->modules[module], address);
    *slot = (struct slot){address, (uint32_t)module, frames};
    if (++sym->slots_used * 2 > sym->slots_count)
        slots_double(sym);
    return frames;
}

struct crn_variable crn_sym_name_data(struct crn_sym *sym, const struct crn_recording *recording,
                                      uint64_t address)
{
    struct crn_variable variable = {0};
    size_t module = module_of(sym, recording, &address);
    const char *raw = crn_image_name_data(sym->modules[module].image, address, &variable.offset);
    variable.module = sym->modules[module].path;
    if (raw != NULL)
        variable.name = crn_demangle(sym->store, raw, true);
    else
        variable.offset = address;
    return variable;
}

uint32_t crn_sym_frames_count(const struct crn_sym *sym)
{
    return sym->frames_count;
}

void crn_sym_visit_modules(const struct crn_sym *sym,
                           void (*visit)(const char *path, const char *problem,
                                         uint64_t unnamed_count, void *user),
                           void *user)
{
    for (size_t i = 1; i < sym->modules_count; i++)
        visit(sym->modules[i].path, crn_image_problem(sym->modules[i].image),
              sym->modules[i].unnamed_count, user);
}
