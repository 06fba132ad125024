/*
 * Tells which sanitizer a library or an executable belongs to.  See sanitizers.h.
 */
#include "base/sanitizers.h"

#include <elf.h>

/* gcc 12, clang 14 and 19.  MemorySanitizer is always a part of the executable. */
const struct crn_sanitizer crn_sanitizers[CRN_SANITIZER_COUNT] = {
    {"__asan_init", {"libasan.so", "libclang_rt.asan"}, "it runs with AddressSanitizer"},
    {"__tsan_init", {"libtsan.so", "libclang_rt.tsan"}, "it runs with ThreadSanitizer"},
    {"__msan_init", {NULL, "libclang_rt.msan"}, "it runs with MemorySanitizer"},
    {"__lsan_init", {"liblsan.so", "libclang_rt.lsan"}, "it runs with LeakSanitizer"},
    {"__hwasan_init", {"libhwasan.so", "libclang_rt.hwasan"}, "it runs with HWAddressSanitizer"},
    {"__memprof_init", {NULL, "libclang_rt.memprof"}, "it runs with MemProf"},
};

bool crn_text_begins(const char *text, const char *beginning)
{
    while (*beginning != 0)
        if (*text++ != *beginning++)
            return false;
    return true;
}

const char *crn_text_base_name(const char *path)
{
    const char *name = path;
    for (; *path != 0; path++)
        if (*path == '/')
            name = path + 1;
    return name;
}

const struct crn_sanitizer *crn_sanitizer_of_library(const char *path)
{
    const char *name = crn_text_base_name(path);
    for (unsigned i = 0; i < CRN_SANITIZER_COUNT; i++)
        for (unsigned j = 0; j < CRN_COUNT_OF(crn_sanitizers[i].libraries); j++)
            if (crn_sanitizers[i].libraries[j] != NULL &&
                crn_text_begins(name, crn_sanitizers[i].libraries[j]))
                return &crn_sanitizers[i];
    return NULL;
}

/* The file, which may lie about itself. */
struct image {
    const unsigned char *bytes;
    size_t count;
    const Elf64_Shdr *sections;
    unsigned section_count;
};

/* The rows of a section, of which all lie in the file; NULL: they do not. */
static const void *rows_find(const struct image *image, const Elf64_Shdr *section, size_t row_bytes,
                             size_t *count)
{
    if (section->sh_offset > image->count || section->sh_size > image->count - section->sh_offset ||
        section->sh_offset % 8 != 0)
        return NULL;
    *count = section->sh_size / row_bytes;
    return image->bytes + section->sh_offset;
}

/* A string of the section's string table; "" where it has none. */
static const char *string_find(const struct image *image, const Elf64_Shdr *section, uint64_t at)
{
    if (section->sh_link >= image->section_count)
        return "";
    const Elf64_Shdr *strings = &image->sections[section->sh_link];
    if (strings->sh_offset > image->count || strings->sh_size > image->count - strings->sh_offset ||
        at >= strings->sh_size)
        return "";
    const unsigned char *start = image->bytes + strings->sh_offset;
    return start[strings->sh_size - 1] == 0 ? (const char *)start + at : "";
}

static const struct crn_sanitizer *needed_find(const struct image *image, const Elf64_Shdr *section)
{
    size_t count;
    const Elf64_Dyn *rows = rows_find(image, section, sizeof *rows, &count);
    const struct crn_sanitizer *found = NULL;
    for (size_t i = 0; rows != NULL && i < count && found == NULL; i++)
        if (rows[i].d_tag == DT_NEEDED)
            found = crn_sanitizer_of_library(string_find(image, section, rows[i].d_un.d_val));
    return found;
}

static bool is_text(const char *a, const char *b)
{
    return crn_text_begins(a, b) && crn_text_begins(b, a);
}

/* Looks for the runtime's beginning among symbols, and meanwhile for a malloc. */
static const struct crn_sanitizer *symbol_find(const struct image *image, const Elf64_Shdr *section,
                                               bool *has_malloc)
{
    size_t count;
    const Elf64_Sym *symbols = rows_find(image, section, sizeof *symbols, &count);
    for (size_t i = 0; symbols != NULL && i < count; i++) {
        if (symbols[i].st_shndx == SHN_UNDEF)
            continue;
        const char *name = string_find(image, section, symbols[i].st_name);
        *has_malloc |= is_text(name, "malloc");
        for (unsigned j = 0; name[0] == '_' && j < CRN_SANITIZER_COUNT; j++)
            if (is_text(name, crn_sanitizers[j].init))
                return &crn_sanitizers[j];
    }
    return NULL;
}

const struct crn_sanitizer *crn_sanitizer_of_file(const unsigned char *bytes, size_t count)
{
    const Elf64_Ehdr *header = (const void *)bytes;
    const struct crn_sanitizer *found = NULL;
    bool has_malloc = false;
    if (count < sizeof *header || header->e_shentsize != sizeof(Elf64_Shdr) ||
        header->e_shoff % 8 != 0 || header->e_shoff > count ||
        header->e_shnum > (count - header->e_shoff) / sizeof(Elf64_Shdr))
        return NULL;
    struct image image = {bytes, count, (const void *)(bytes + header->e_shoff), header->e_shnum};
    /* What the loader will see; then, where a runtime of gcc's may be linked in, the rest. */
    static const uint32_t types[] = {SHT_DYNAMIC, SHT_DYNSYM, SHT_SYMTAB};
    for (unsigned i = 0; i < CRN_COUNT_OF(types); i++) {
        if (types[i] == SHT_SYMTAB && !has_malloc)
            break;
        for (unsigned j = 0; j < image.section_count && found == NULL; j++) {
            if (image.sections[j].sh_type != types[i])
                continue;
            found = types[i] == SHT_DYNAMIC ? needed_find(&image, &image.sections[j])
                                            : symbol_find(&image, &image.sections[j], &has_malloc);
        }
    }
    return found;
}
