/*
 * One ELF file and the names it gives to addresses, by elfutils.
 *
 * Each image is a Dwfl session of its own with one module, reported at base 0, so that the
 * session's addresses are file addresses.  libdw finds separate debug files by itself; their
 * addresses may be shifted against the file's (prelink), by what it calls the bias.
 */
#include "sym/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dwarf.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>

#include "sym/functions.h"
#include "sym/symbols.h"

enum { INLINE_DEPTH_MAX = 64 };

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

static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
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
    struct stat file;
    if (stat(path, &file) != 0 || access(path, R_OK) != 0)
        return crn_store_print(image->store,
                               "%s cannot be read (%s): its frames have no names; put the file "
                               "back to see them",
                               path, strerror(errno));
    if (!S_ISREG(file.st_mode)) /* opening a pipe or device could block, or do worse */
        return crn_store_print(image->store, "%s is no plain file: its frames have no names", path);
    image->dwfl = dwfl_begin(&callbacks);
    if (image->dwfl == NULL)
        crn_out_of_memory();
    dwfl_report_begin(image->dwfl);
    Dwfl_Module *module = dwfl_report_elf(image->dwfl, path, path, -1, 0, true);
    dwfl_report_end(image->dwfl, NULL, NULL);
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
    if (*path == '/') /* else it is no file: [vdso], a JIT's memory */
        image->problem = module_open(image, path, build_id);
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

/* Finds the function inlined at `address` in `scope`, directly or inside plain blocks. */
static bool inlined_find(Dwarf_Die *scope, Dwarf_Addr address, Dwarf_Die *found, int depth)
{
    Dwarf_Die child;
    if (depth > INLINE_DEPTH_MAX || dwarf_child(scope, &child) != 0)
        return false;
    do {
        int tag = dwarf_tag(&child);
        if (tag == DW_TAG_inlined_subroutine && dwarf_haspc(&child, address) > 0) {
            *found = child;
            return true;
        }
        /* A block without ranges of its own may still hold something inlined. */
        if (tag == DW_TAG_lexical_block && dwarf_haspc(&child, address) != 0 &&
            inlined_find(&child, address, found, depth + 1))
            return true;
    } while (dwarf_siblingof(&child, &child) == 0);
    return false;
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
    return crn_store_text(image->store, name);
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
        name->file = crn_store_text(image->store, dwarf_filesrc(files, file, NULL, NULL));
    name->line = number_of(inlined, DW_AT_call_line);
}

static void line_of(struct crn_image *image, Dwarf_Die *unit, Dwarf_Addr address,
                    struct crn_image_name *name)
{
    int line;
    Dwarf_Line *row = dwarf_getsrc_die(unit, address);
    if (row == NULL)
        return;
    name->file = crn_store_text(image->store, dwarf_linesrc(row, NULL, NULL));
    if (dwarf_lineno(row, &line) == 0 && line > 0)
        name->line = (unsigned)line;
}

void crn_image_name_code(struct crn_image *image, uint64_t address,
                         void (*visit)(const struct crn_image_name *name, void *user), void *user)
{
    struct crn_image_name name = {0};
    Dwarf_Die unit, scopes[INLINE_DEPTH_MAX];
    unsigned depth = 0;
    uint64_t offset;
    if (image->module == NULL)
        return;
    struct crn_functions *functions = functions_get(image);
    Dwarf_Addr inner = address - image->bias;
    if (functions != NULL && crn_functions_find(functions, inner, &unit, &scopes[0])) {
        line_of(image, &unit, inner, &name);
        if (scopes[0].addr != NULL)
            for (depth = 1; depth < INLINE_DEPTH_MAX; depth++)
                if (!inlined_find(&scopes[depth - 1], inner, &scopes[depth], 0))
                    break;
    }
    for (; depth > 1; depth--) {
        name.raw = function_name(image, &scopes[depth - 1]);
        name.inlined = true;
        visit(&name, user);
        call_site(image, &unit, &scopes[depth - 1], &name);
    }
    name.inlined = false;
    name.raw = depth == 1 ? function_name(image, &scopes[0]) : NULL;
    if (name.raw == NULL)
        name.raw = crn_store_text(image->store,
                                  crn_symbols_find_code(symbols_get(image), address, &offset));
    if (name.raw != NULL || name.file != NULL)
        visit(&name, user);
}

const char *crn_image_name_data(struct crn_image *image, uint64_t address, uint64_t *offset)
{
    if (image->module == NULL)
        return NULL;
    return crn_store_text(image->store, crn_symbols_find_data(symbols_get(image), address, offset));
}
