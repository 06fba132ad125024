/*
 * Reads the symbol table of a module.  See cxx20_symbols.h.
 *
 * By system calls only: the file is mapped, looked through once, and unmapped.  It may be any file
 * by now, so nothing in it is believed to lie inside it.
 */
#include "coro/cxx20_symbols.h"
#include "base/maps.h"
#include "base/sort.h"
#include "base/sys.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* The file of a module. */
struct file {
    uintptr_t start, end; /* where the module is mapped */
    char path[4096];
    uint64_t inode;
    const char *bytes;
    size_t size;
};

static bool path_visit(const struct crn_map_entry *entry, void *user)
{
    struct file *file = user;
    if (entry->start < file->start || entry->path[0] != '/')
        return entry->start < file->start;
    if (entry->start < file->end && strlen(entry->path) < sizeof file->path) {
        strcpy(file->path, entry->path);
        file->inode = entry->inode;
    }
    return false;
}

static bool file_open(struct file *file)
{
    struct stat status = {.st_size = 0};
    if (!crn_maps_for_each(path_visit, file) || file->path[0] == 0)
        return false;
    int fd = crn_sys_open_read(file->path);
    if (fd < 0)
        return false;
    void *bytes = MAP_FAILED;
    if (crn_syscall2(SYS_fstat, fd, &status) == 0 && status.st_ino == file->inode &&
        status.st_size >= (off_t)sizeof(Elf64_Ehdr)) {
        long mapped = crn_syscall6(SYS_mmap, NULL, status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (!crn_sys_failed(mapped))
            bytes = (void *)mapped;
    }
    crn_syscall1(SYS_close, fd);
    file->bytes = bytes;
    file->size = (size_t)status.st_size;
    return bytes != MAP_FAILED;
}

/* `count` rows at `offset` of the file; NULL when they do not lie in it. */
static const void *rows_at(const struct file *file, uint64_t offset, uint64_t count,
                           size_t row_bytes)
{
    if (offset > file->size || offset % 8 != 0 || count > (file->size - offset) / row_bytes)
        return NULL;
    return file->bytes + offset;
}

/* What file addresses are moved by. */
static bool bias_get(const struct file *file, const Elf64_Ehdr *header, uintptr_t *bias)
{
    const Elf64_Phdr *segments =
        rows_at(file, header->e_phoff, header->e_phnum, sizeof(Elf64_Phdr));
    for (unsigned i = 0; segments != NULL && i < header->e_phnum; i++) {
        if (segments[i].p_type == PT_LOAD) {
            *bias = file->start - crn_align_down(segments[i].p_vaddr, CRN_PAGE_BYTES);
            return true;
        }
    }
    return false;
}

/* Whether the name is that of a function which destroys a frame: "f.destroy", or more behind it. */
static bool is_destroy(const char *name, size_t room)
{
    static const char word[] = ".destroy";
    size_t length = strnlen(name, room);
    const char *found = length < room ? strstr(name, word) : NULL;
    return found != NULL && (found[sizeof word - 1] == 0 || found[sizeof word - 1] == '.');
}

/*
 * Collects rows of the table; counts only while `rows` is NULL.  `is_whole`: it has local
 * functions, as these are, so nothing was stripped from it.
 */
static size_t destroys_collect(const struct file *file, const Elf64_Shdr *table,
                               const Elf64_Shdr *names, uintptr_t bias, uintptr_t *rows,
                               bool *is_whole)
{
    size_t count = 0;
    uint64_t symbol_count = table->sh_size / sizeof(Elf64_Sym);
    const Elf64_Sym *symbols = rows_at(file, table->sh_offset, symbol_count, sizeof *symbols);
    if (symbols == NULL || names->sh_offset > file->size ||
        names->sh_size > file->size - names->sh_offset)
        return 0;
    const char *texts = file->bytes + names->sh_offset;
    for (uint64_t i = 0; i < symbol_count; i++) {
        if (ELF64_ST_TYPE(symbols[i].st_info) != STT_FUNC)
            continue;
        *is_whole |= ELF64_ST_BIND(symbols[i].st_info) == STB_LOCAL;
        if (symbols[i].st_name >= names->sh_size ||
            !is_destroy(texts + symbols[i].st_name, names->sh_size - symbols[i].st_name))
            continue;
        if (rows != NULL)
            rows[count] = bias + symbols[i].st_value;
        count++;
    }
    return count;
}

/* Whether the section names the compiler: texts, of which linkers keep one of each. */
static bool names_clang(const struct file *file, const Elf64_Shdr *section)
{
    static const char word[] = "clang version";
    return section->sh_type == SHT_PROGBITS && (section->sh_flags & SHF_STRINGS) != 0 &&
           (section->sh_flags & SHF_ALLOC) == 0 && section->sh_size <= 1 << 16 &&
           section->sh_offset <= file->size &&
           section->sh_size <= file->size - section->sh_offset &&
           memmem(file->bytes + section->sh_offset, section->sh_size, word, sizeof word - 1) !=
               NULL;
}

static bool address_less(const void *a, const void *b)
{
    return *(const uintptr_t *)a < *(const uintptr_t *)b;
}

static void table_read(struct crn_arena *arena, const struct file *file,
                       struct crn_cxx20_symbols *symbols)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)file->bytes;
    uintptr_t bias = 0;
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64 ||
        !bias_get(file, header, &bias))
        return;
    const Elf64_Shdr *sections =
        rows_at(file, header->e_shoff, header->e_shnum, sizeof(Elf64_Shdr));
    for (unsigned i = 0; sections != NULL && i < header->e_shnum; i++) {
        const Elf64_Shdr *table = &sections[i];
        symbols->is_clangs |= names_clang(file, table);
        if (table->sh_type != SHT_SYMTAB || table->sh_link >= header->e_shnum)
            continue;
        const Elf64_Shdr *names = &sections[table->sh_link];
        bool is_whole = false;
        size_t count = destroys_collect(file, table, names, bias, NULL, &is_whole);
        uintptr_t *rows = crn_arena_alloc(arena, (count + 1) * sizeof *rows);
        if (rows == NULL)
            return;
        symbols->is_known = is_whole;
        symbols->count = destroys_collect(file, table, names, bias, rows, &is_whole);
        symbols->destroys = rows;
        crn_sort(rows, symbols->count, sizeof *rows, address_less);
    }
}

struct crn_cxx20_symbols crn_cxx20_symbols_read(struct crn_arena *arena, uintptr_t start,
                                                uintptr_t end)
{
    struct crn_cxx20_symbols symbols = {false, false, NULL, 0};
    struct file file = {.start = start, .end = end};
    if (file_open(&file)) {
        table_read(arena, &file, &symbols);
        crn_syscall2(SYS_munmap, file.bytes, file.size);
    }
    return symbols;
}

bool crn_cxx20_symbols_has(const struct crn_cxx20_symbols *symbols, uintptr_t address)
{
    size_t low = 0, high = symbols->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (symbols->destroys[middle] < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < symbols->count && symbols->destroys[low] == address;
}
