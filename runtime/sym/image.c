/*
 * One ELF file and the names it gives to addresses, by elfutils.
 *
 * Each image is a Dwfl session of its own with one module, reported at base 0, so that the
 * session's addresses are file addresses.  libdw finds separate debug files by itself; their
 * addresses may be shifted against the file's (prelink), by what it calls the bias.  What it opens
 * on the way, and whom it asks, is up to files.c.
 */
#include "sym/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dwarf.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>

#include "sym/files.h"
#include "sym/functions.h"
#include "sym/locals.h"
#include "sym/symbols.h"

struct crn_image {
    struct crn_store *store;
    const char *problem;
    Dwfl *dwfl;
    Dwfl_Module *module; /* NULL when the file cannot be used */
    Dwarf *dwarf;        /* NULL when there is no debugging information */
    Dwarf_Addr bias;     /* debugging information's address + bias = file address */
    bool is_dwarf_sought;
    struct crn_functions *functions;
    struct crn_symbols *symbols; /* made when first needed */
};

/* What libdw asks for a module without debugging information. */
struct question {
    Dwfl_Module *module;
    void **userdata;
    const char *module_name, *path, *debuglink;
    Dwarf_Addr base;
    GElf_Word checksum;
    char **found;
};

static int question_answer(void *user)
{
    const struct question *question = user;
    return dwfl_standard_find_debuginfo(question->module, question->userdata, question->module_name,
                                        question->base, question->path, question->debuglink,
                                        question->checksum, question->found);
}

/* Where libdw would look, which may be a server. */
static int debug_file_find(Dwfl_Module *module, void **userdata, const char *module_name,
                           Dwarf_Addr base, const char *path, const char *debuglink,
                           GElf_Word checksum, char **found)
{
    struct question question = {module,    userdata, module_name, path,
                                debuglink, base,     checksum,    found};
    return crn_files_ask(question_answer, &question);
}

/* Every session is given its file; none is sought by a build id. */
static int elf_find(Dwfl_Module *module, void **userdata, const char *module_name, Dwarf_Addr base,
                    char **path, Elf **elf)
{
    (void)module, (void)userdata, (void)module_name, (void)base, (void)path, (void)elf;
    return -1;
}

static const Dwfl_Callbacks callbacks = {
    .find_elf = elf_find,
    .find_debuginfo = debug_file_find,
    .section_address = dwfl_offline_section_address,
};

/* Compares the build id of an ELF file with the recorded one. */
static bool build_id_is(Elf *elf, const char *recorded)
{
    const void *id;
    ssize_t bytes = dwelf_elf_gnu_build_id(elf, &id);
    if (bytes <= 0 || *recorded == 0)
        return bytes <= 0 && *recorded == 0;
    if (strlen(recorded) != (size_t)bytes * 2)
        return false;
    for (ssize_t i = 0; i < bytes; i++) {
        char digits[3];
        snprintf(digits, sizeof digits, "%02x", ((const unsigned char *)id)[i]);
        if (strncasecmp(digits, recorded + i * 2, 2) != 0)
            return false;
    }
    return true;
}

/* Opens the file as the session's only module; answers what is wrong with it, or NULL. */
static const char *module_open(struct crn_image *image, const char *path, const char *build_id)
{
    GElf_Addr bias;
    const char *obstacle;
    int fd = crn_file_open(path, &obstacle);
    if (fd < 0)
        return crn_store_print(image->store,
                               "%s cannot be read (%s): its frames have no names; put the file "
                               "back to see them",
                               path, obstacle);
    image->dwfl = dwfl_begin(&callbacks);
    if (image->dwfl == NULL)
        crn_out_of_memory();
    dwfl_report_begin(image->dwfl);
    Dwfl_Module *module = dwfl_report_elf(image->dwfl, path, path, fd, 0, true);
    dwfl_report_end(image->dwfl, NULL, NULL);
    if (module == NULL)
        close(fd); /* otherwise it is the module's */
    Elf *elf = module != NULL ? dwfl_module_getelf(module, &bias) : NULL;
    if (elf == NULL)
        return crn_store_print(image->store, "%s cannot be used (%s): its frames have no names",
                               path, dwfl_errmsg(-1));
    if (!build_id_is(elf, build_id))
        return crn_store_print(image->store,
                               "%s is not the file that was recorded (its build id differs): its "
                               "frames have no names; put the old file back to see them",
                               path);
    image->module = module;
    return NULL;
}

struct crn_image *crn_image_open(struct crn_store *store, const char *path, const char *build_id)
{
    struct crn_image *image = calloc(1, sizeof *image);
    if (image == NULL)
        crn_out_of_memory();
    image->store = store;
    if (*path != '/')
        return image; /* it is no file: [vdso], a JIT's memory */
    crn_files_guard_begin();
    image->problem = module_open(image, path, build_id);
    crn_files_guard_end();
    return image;
}

void crn_image_close(struct crn_image *image)
{
    if (image == NULL)
        return;
    crn_symbols_destroy(image->symbols);
    crn_functions_destroy(image->functions);
    if (image->dwfl != NULL)
        dwfl_end(image->dwfl);
    free(image);
}

const char *crn_image_problem(const struct crn_image *image)
{
    return image->problem;
}

/* The debugging information's index, built when it is first needed; NULL without any. */
static struct crn_functions *functions_get(struct crn_image *image)
{
    if (!image->is_dwarf_sought) {
        image->is_dwarf_sought = true;
        image->dwarf = dwfl_module_getdwarf(image->module, &image->bias);
        if (image->dwarf != NULL)
            image->functions = crn_functions_create(image->dwarf);
    }
    return image->functions;
}

static const struct crn_symbols *symbols_get(struct crn_image *image)
{
    if (image->symbols == NULL)
        image->symbols = crn_symbols_create(image->module);
    return image->symbols;
}

/*
 * What a function is called: its mangled name, which says more than the plain one; else the plain
 * one, since a C function's linkage name is but an alias (glibc's __GI_qsort).
 */
static const char *function_name(struct crn_image *image, Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    const char *name = NULL;
    if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) != NULL ||
        dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute) != NULL)
        name = dwarf_formstring(&attribute);
    if (name == NULL || *name != '_' || (name[1] != 'Z' && name[1] != 'R'))
        name = dwarf_diename(die);
    return crn_store_name(image->store, name);
}

static unsigned number_of(Dwarf_Die *die, unsigned attribute_name)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value;
    if (dwarf_attr(die, attribute_name, &attribute) == NULL ||
        dwarf_formudata(&attribute, &value) != 0)
        return 0;
    return (unsigned)value;
}

/* The place in `unit` from which an inlined function was called. */
static void call_site(struct crn_image *image, Dwarf_Die *unit, Dwarf_Die *inlined,
                      struct crn_image_name *name)
{
    Dwarf_Files *files;
    size_t files_count;
    unsigned file = number_of(inlined, DW_AT_call_file);
    name->file = NULL;
    if (dwarf_getsrcfiles(unit, &files, &files_count) == 0 && file < files_count)
        name->file = crn_store_name(image->store, dwarf_filesrc(files, file, NULL, NULL));
    name->line = number_of(inlined, DW_AT_call_line);
}

static void line_of(struct crn_image *image, Dwarf_Die *unit, Dwarf_Addr address,
                    struct crn_image_name *name)
{
    int line;
    Dwarf_Line *row = dwarf_getsrc_die(unit, address);
    if (row == NULL)
        return;
    name->file = crn_store_name(image->store, dwarf_linesrc(row, NULL, NULL));
    if (dwarf_lineno(row, &line) == 0 && line > 0)
        name->line = (unsigned)line;
}

static void code_name(struct crn_image *image, uint64_t address,
                      void (*visit)(const struct crn_image_name *name, void *user), void *user)
{
    struct crn_image_name name = {0};
    struct crn_scopes scopes = {.count = 0};
    uint64_t offset;
    struct crn_functions *functions = functions_get(image);
    Dwarf_Addr inner = address - image->bias;
    if (functions != NULL && crn_functions_find(functions, inner, &scopes))
        line_of(image, &scopes.unit, inner, &name);
    for (unsigned depth = scopes.count; depth > 1; depth--) {
        Dwarf_Die inlined = *scopes.rows[depth - 1];
        name.raw = function_name(image, &inlined);
        name.inlined = true;
        visit(&name, user);
        call_site(image, &scopes.unit, &inlined, &name);
    }
    name.inlined = false;
    name.raw = NULL;
    if (scopes.count > 0) {
        Dwarf_Die function = *scopes.rows[0];
        name.raw = function_name(image, &function);
    }
    if (name.raw == NULL)
        name.raw = crn_store_name(image->store,
                                  crn_symbols_find_code(symbols_get(image), address, &offset));
    if (name.raw != NULL || name.file != NULL)
        visit(&name, user);
}

void crn_image_name_code(struct crn_image *image, uint64_t address,
                         void (*visit)(const struct crn_image_name *name, void *user), void *user)
{
    if (image->module == NULL)
        return;
    crn_files_guard_begin();
    code_name(image, address, visit, user);
    crn_files_guard_end();
}

const char *crn_image_name_local(struct crn_image *image, const struct crn_image_place *place)
{
    if (image->module == NULL)
        return NULL;
    crn_files_guard_begin();
    struct crn_functions *functions = functions_get(image);
    Dwarf_Addr inner = place->address - image->bias;
    struct crn_scopes scopes = {.count = 0};
    const char *name = NULL;
    if (functions != NULL && crn_functions_find(functions, inner, &scopes) && scopes.count > 0) {
        Dwarf_Die function = *scopes.rows[0];
        name = crn_store_name(image->store, crn_local_name(&function, inner, place));
    }
    crn_files_guard_end();
    return name;
}

const char *crn_image_name_data(struct crn_image *image, uint64_t address, uint64_t *offset)
{
    if (image->module == NULL)
        return NULL;
    crn_files_guard_begin();
    const char *name =
        crn_store_name(image->store, crn_symbols_find_data(symbols_get(image), address, offset));
    crn_files_guard_end();
    return name;
}
