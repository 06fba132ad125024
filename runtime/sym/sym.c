/*
 * Names for the addresses of recordings.  See sym.h.
 *
 *     address --module map--> (module, file address) --cache--> frames
 *
 * The cache is an open-addressed table keyed by module and file address, at most half full.
 * Addresses in no module belong to module 0, which has no file.
 *
 * A recording may name more modules than it has any right to, one file by many paths among them.
 * So a file is opened once, and only so many modules have names.
 */
#include "sym/sym.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sym/demangle.h"
#include "sym/files.h"
#include "sym/image.h"

enum { FIRST_SLOTS = 4096, NAMED_MODULES_MAX = 2048 };

struct module {
    const char *path, *build_id; /* store texts; path NULL for module 0 */
    struct crn_image *image;
    dev_t device; /* of the file, as `inode`; 0: there is none */
    ino_t inode;
    bool owns_image; /* otherwise it is that of a module before */
    uint64_t unnamed_count;
    bool is_ours;
};

struct slot {
    uint64_t address;
    uint32_t module;
    const struct crn_frames *frames; /* NULL: free */
};

/* Open addressing over rows of `modules` plus one, by path and build id; 0: free. */
struct module_map {
    uint32_t *slots;
    size_t count; /* of slots, a power of 2 */
};

struct crn_sym {
    struct crn_store *store;
    struct module *modules;
    size_t modules_count, modules_room;
    struct module_map map;
    struct slot *slots;
    size_t slots_count, slots_used;
    const struct crn_named_frame **distinct; /* open addressing, one frame of each kind alike */
    size_t distinct_count, distinct_used;
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

/* Opens the module's file, unless another module has done so. */
static void module_open(struct crn_sym *sym, struct module *module)
{
    struct stat file;
    const char *build_id = module->build_id != NULL ? module->build_id : "";
    bool is_named = sym->modules_count < NAMED_MODULES_MAX;
    if (module->path != NULL && stat(module->path, &file) == 0) {
        module->device = file.st_dev;
        module->inode = file.st_ino;
    }
    for (size_t i = 1; i < sym->modules_count && is_named && module->inode != 0; i++) {
        const struct module *other = &sym->modules[i];
        if (other->inode == module->inode && other->device == module->device &&
            other->build_id == module->build_id) {
            module->image = other->image;
            return;
        }
    }
    module->owns_image = true;
    module->image = is_named && module->path != NULL
                        ? crn_image_open(sym->store, module->path, build_id)
                        : crn_image_open(sym->store, "", build_id);
}

/* The slot of a module in the map, or the free one where it would go. */
static uint32_t *module_slot(const struct crn_sym *sym, const char *path, const char *build_id)
{
    size_t i = crn_hash64((uintptr_t)path * 31 + (uintptr_t)build_id);
    for (;; i++) {
        uint32_t *slot = &sym->map.slots[i & (sym->map.count - 1)];
        if (*slot == 0 ||
            (sym->modules[*slot - 1].path == path && sym->modules[*slot - 1].build_id == build_id))
            return slot;
    }
}

static void module_map_double(struct crn_sym *sym)
{
    free(sym->map.slots);
    sym->map.count *= 2;
    sym->map.slots = calloc(sym->map.count, sizeof *sym->map.slots);
    if (sym->map.slots == NULL)
        crn_out_of_memory();
    for (size_t i = 0; i < sym->modules_count; i++)
        *module_slot(sym, sym->modules[i].path, sym->modules[i].build_id) = (uint32_t)i + 1;
}

static size_t module_add(struct crn_sym *sym, const char *path, const char *build_id)
{
    sym->modules =
        crn_grow(sym->modules, sym->modules_count, &sym->modules_room, sizeof *sym->modules);
    struct module *module = &sym->modules[sym->modules_count];
    *module = (struct module){.path = path, .build_id = build_id};
    module_open(sym, module);
    if (path != NULL) {
        const char *slash = strrchr(path, '/');
        module->is_ours = strncmp(slash != NULL ? slash + 1 : path, "libcoroner.so", 13) == 0;
    }
    *module_slot(sym, path, build_id) = (uint32_t)++sym->modules_count;
    if (sym->modules_count * 2 > sym->map.count)
        module_map_double(sym);
    return sym->modules_count - 1;
}

struct crn_sym *crn_sym_create(struct crn_store *store)
{
    struct crn_sym *sym = calloc(1, sizeof *sym);
    if (sym == NULL)
        crn_out_of_memory();
    sym->store = store;
    sym->slots_count = FIRST_SLOTS;
    sym->slots = calloc(sym->slots_count, sizeof *sym->slots);
    sym->map.count = 256;
    sym->map.slots = calloc(sym->map.count, sizeof *sym->map.slots);
    sym->distinct_count = FIRST_SLOTS;
    sym->distinct = calloc(sym->distinct_count, sizeof *sym->distinct);
    if (sym->slots == NULL || sym->map.slots == NULL || sym->distinct == NULL)
        crn_out_of_memory();
    module_add(sym, NULL, NULL);
    return sym;
}

void crn_sym_destroy(struct crn_sym *sym)
{
    if (sym == NULL)
        return;
    for (size_t i = 0; i < sym->modules_count; i++)
        if (sym->modules[i].owns_image)
            crn_image_close(sym->modules[i].image);
    free(sym->modules);
    free(sym->map.slots);
    free(sym->slots);
    free(sym->distinct);
    free(sym);
}

/* A text of the recording, kept; NULL when it is unknown. */
static const char *text_keep(struct crn_sym *sym, const struct crn_recording *recording,
                             uint32_t string)
{
    const char *text = crn_record_text(recording, string);
    return *text == 0 ? NULL : crn_store_name(sym->store, text);
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
    uint32_t known = *module_slot(sym, path, build_id);
    return known != 0 ? known - 1 : module_add(sym, path, build_id);
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

/* What a reader sees of a frame; without a name, its place as well. */
static uint64_t frame_hash(const struct crn_named_frame *frame)
{
    uint64_t hash = crn_hash64((uintptr_t)frame->raw + frame->line * 31u + frame->inlined);
    hash = crn_hash64(hash ^ (uintptr_t)frame->file);
    hash = crn_hash64(hash ^ (uintptr_t)frame->module);
    return frame->raw != NULL ? hash : crn_hash64(hash ^ frame->offset);
}

static bool frames_are_alike(const struct crn_named_frame *a, const struct crn_named_frame *b)
{
    return a->raw == b->raw && a->file == b->file && a->line == b->line && a->module == b->module &&
           a->inlined == b->inlined && (a->raw != NULL || a->offset == b->offset);
}

static const struct crn_named_frame **distinct_slot(const struct crn_named_frame **slots,
                                                    size_t count,
                                                    const struct crn_named_frame *frame)
{
    size_t i = frame_hash(frame) & (count - 1);
    while (slots[i] != NULL && !frames_are_alike(slots[i], frame))
        i = (i + 1) & (count - 1);
    return &slots[i];
}

static void distinct_double(struct crn_sym *sym)
{
    size_t larger = sym->distinct_count * 2;
    const struct crn_named_frame **slots = calloc(larger, sizeof *slots);
    if (slots == NULL)
        crn_out_of_memory();
    for (size_t i = 0; i < sym->distinct_count; i++)
        if (sym->distinct[i] != NULL)
            *distinct_slot(slots, larger, sym->distinct[i]) = sym->distinct[i];
    free(sym->distinct);
    sym->distinct = slots;
    sym->distinct_count = larger;
}

/* The first frame of those that a reader could not tell apart from this one. */
static const struct crn_named_frame *distinct_get(struct crn_sym *sym,
                                                  const struct crn_named_frame *frame)
{
    const struct crn_named_frame **slot = distinct_slot(sym->distinct, sym->distinct_count, frame);
    if (*slot != NULL)
        return *slot;
    *slot = frame;
    if (++sym->distinct_used * 2 > sym->distinct_count)
        distinct_double(sym);
    return frame;
}

static uint64_t hash_add_text(uint64_t hash, const char *text)
{
    for (; text != NULL && *text != 0; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return crn_hash64(hash * 0x9e3779b97f4a7c15u + 1);
}

/* The same from run to run and wherever the module lay. */
static uint64_t identity_of(const struct crn_named_frame *frame)
{
    const char *slash = frame->module != NULL ? strrchr(frame->module, '/') : NULL;
    uint64_t identity = hash_add_text(0xcbf29ce484222325u, frame->function);
    identity = hash_add_text(identity, slash != NULL ? slash + 1 : frame->module);
    return frame->function == NULL && frame->module != NULL ? crn_hash64(identity ^ frame->offset)
                                                            : identity;
}

static uint32_t text_bytes_of(const struct crn_named_frame *frame)
{
    const char *const texts[] = {frame->function, frame->file, frame->module, frame->build_id};
    size_t bytes = 0;
    for (unsigned i = 0; i < CRN_COUNT_OF(texts); i++)
        bytes += texts[i] != NULL ? strlen(texts[i]) : 0;
    return (uint32_t)bytes; /* each is a few thousand at most */
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
    frame->is_of_sym = true;
    frame->index = gathering->sym->frames_count++;
    frame->text_bytes = text_bytes_of(frame);
    frame->identity = identity_of(frame);
    frame->alike = distinct_get(gathering->sym, frame);
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

const char *crn_sym_name_local(struct crn_sym *sym, const struct crn_recording *recording,
                               const struct crn_record_place *place)
{
    uint64_t address = place->pc - (place->flags & CRN_PLACE_IS_EXACT ? 0 : 1);
    size_t module = module_of(sym, recording, &address);
    const struct crn_image_place of_image = {
        .address = address,
        .is_register = (place->flags & CRN_PLACE_IS_REGISTER) != 0,
        .reg = place->reg,
        .offset = place->offset,
        .bp_offset = place->bp_offset,
    };
    return crn_image_name_local(sym->modules[module].image, &of_image);
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
    if (crn_files_gave_up())
        visit("debuginfod",
              "the servers of DEBUGINFOD_URLS took too long: some frames have no "
              "lines or names",
              0, user);
    if (sym->modules_count > NAMED_MODULES_MAX)
        visit("modules", "there are so many modules that only the first have names", 0, user);
    for (size_t i = 1; i < sym->modules_count; i++)
        visit(sym->modules[i].path, crn_image_problem(sym->modules[i].image),
              sym->modules[i].unnamed_count, user);
}
