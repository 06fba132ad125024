/*
 * Frees of what is no block.  See bad_free.h.
 *
 * The record of a freed block keeps its exact size and its allocation stack until the page gets
 * blocks of another size, so the line can name them.  Functions are named from the symbol table of
 * their file, read by system calls: dladdr would lock, and does not know static ones.
 */
#include "shim/bad_free.h"
#include "base/sys.h"
#include "stack/tree.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES_MAX = 4, LINES_MAX = 20, PATH_BYTES = 512, NAME_BYTES = 80, SYMBOLS_AT_ONCE = 64 };

/* All that a line needs; one at a time, and none on the program's stack, which may be small. */
static struct {
    _Atomic bool is_used;
    char text[480], path[PATH_BYTES], name[NAME_BYTES];
    Elf64_Shdr sections[SYMBOLS_AT_ONCE];
    Elf64_Sym symbols[SYMBOLS_AT_ONCE];
} work;

static bool file_read(int fd, void *to, size_t bytes, uint64_t offset)
{
    return crn_syscall4(SYS_pread64, fd, to, bytes, offset) == (long)bytes;
}

/* The function of a symbol table that holds `address`: answers where its name stands; 0: none. */
static uint64_t symbol_find(int fd, const Elf64_Shdr *table, uint64_t address, uint64_t *offset)
{
    uint64_t name = 0;
    size_t count = table->sh_size / sizeof(Elf64_Sym);
    for (size_t at = 0; at < count && name == 0; at += SYMBOLS_AT_ONCE) {
        size_t some = count - at < SYMBOLS_AT_ONCE ? count - at : SYMBOLS_AT_ONCE;
        if (!file_read(fd, work.symbols, some * sizeof(Elf64_Sym),
                       table->sh_offset + at * sizeof(Elf64_Sym)))
            break;
        for (size_t i = 0; i < some; i++) {
            const Elf64_Sym *symbol = &work.symbols[i];
            if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC &&
                address - symbol->st_value < symbol->st_size) {
                *offset = address - symbol->st_value;
                name = symbol->st_name;
            }
        }
    }
    return name;
}

/* Names the function in work.name; false: the file does not tell. */
static bool function_find(int fd, uint64_t address, uint64_t *offset)
{
    Elf64_Ehdr header;
    if (!file_read(fd, &header, sizeof header, 0) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shnum > SYMBOLS_AT_ONCE ||
        !file_read(fd, work.sections, header.e_shnum * sizeof(Elf64_Shdr), header.e_shoff))
        return false;
    for (unsigned i = 0; i < header.e_shnum; i++) {
        const Elf64_Shdr *table = &work.sections[i];
        bool has_symbols = table->sh_type == SHT_SYMTAB || table->sh_type == SHT_DYNSYM;
        uint64_t name = has_symbols && table->sh_link < header.e_shnum
                            ? symbol_find(fd, table, address, offset)
                            : 0;
        if (name == 0)
            continue;
        memset(work.name, 0, sizeof work.name);
        long count = crn_syscall4(SYS_pread64, fd, work.name, sizeof work.name - 1,
                                  work.sections[table->sh_link].sh_offset + name);
        if (count > 0 && work.name[0] != 0)
            return true;
    }
    return false;
}

/* Appends "function+0x1a (module+0x11ba)", or what is known of it. */
static size_t frame_append(size_t length, uint64_t pc)
{
    struct dl_find_object object;
    uint64_t offset = 0;
    size_t room = sizeof work.text - length;
    if (_dl_find_object((void *)(pc - 1), &object) != 0)
        return length + (size_t)snprintf(work.text + length, room, " 0x%lx", (unsigned long)pc);
    const char *path = object.dlfo_link_map->l_name;
    if (path == NULL || path[0] == 0) {
        long count =
            crn_syscall4(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", work.path, PATH_BYTES - 1);
        work.path[count > 0 ? count : 0] = 0;
        path = work.path;
    }
    const char *slash = strrchr(path, '/'), *module = slash != NULL ? slash + 1 : path;
    unsigned long address = pc - 1 - object.dlfo_link_map->l_addr;
    int fd = crn_sys_open_read(path == work.path ? "/proc/self/exe" : path);
    bool is_named = fd >= 0 && function_find(fd, address, &offset);
    if (fd >= 0)
        crn_syscall1(SYS_close, fd);
    int count =
        is_named ? snprintf(work.text + length, room, " %s (%s+0x%lx)", work.name, module, address)
                 : snprintf(work.text + length, room, " %s+0x%lx", module, address);
    return length + (size_t)count;
}

static void stack_append(size_t length, uint32_t node)
{
    for (unsigned i = 0; node != 0 && i < FRAMES_MAX && length + NAME_BYTES < sizeof work.text;
         i++) {
        const struct crn_node *frame = crn_tree_node(&crn_tree, node);
        struct dl_find_object object, ours;
        if (_dl_find_object((void *)(frame->pc - 1), &object) == 0 &&
            _dl_find_object(&crn_shim, &ours) == 0 && object.dlfo_link_map == ours.dlfo_link_map)
            break; /* what called main */
        if (i > 0)
            length += (size_t)snprintf(work.text + length, sizeof work.text - length, ",");
        length = frame_append(length, frame->pc);
        node = frame->parent;
    }
}

static void line_say(const struct crn_bad_free *bad)
{
    struct crn_block block;
    const struct crn_record *record = bad->record;
    size_t length;
    if (record != NULL && record->meta != 0) {
        length =
            (size_t)snprintf(work.text, sizeof work.text,
                             "a block of %zu bytes that was freed before", crn_record_size(record));
    } else if (crn_index_find(&crn_heap.index, bad->address, &block)) {
        record = block.record;
        length =
            (size_t)snprintf(work.text, sizeof work.text, "%zu byte%s into a block of %zu bytes",
                             (size_t)(bad->address - block.start),
                             bad->address - block.start == 1 ? "" : "s", block.size);
    } else {
        record = NULL;
        length = (size_t)snprintf(work.text, sizeof work.text, "not a block of malloc's");
    }
    if (record != NULL && record->stack != 0) {
        length += (size_t)snprintf(work.text + length, sizeof work.text - length, ", allocated in");
        stack_append(length, record->stack);
    }
    work.text[sizeof work.text - 1] = 0;
    crn_log("%s of 0x%lx: %s", bad->function, (unsigned long)bad->address, work.text);
}

void crn_bad_free_note(struct crn_bad_free bad)
{
    static _Atomic unsigned lines;
    if (crn_shim.phase != CRN_SHIM_ON)
        return;
    crn_heap.bad_frees++;
    if (crn_shim.options.on_bad_free == CRN_BAD_FREE_IGNORE)
        return;
    bool is_last = crn_shim.options.on_bad_free == CRN_BAD_FREE_ABORT;
    if ((is_last || lines++ < LINES_MAX) && !atomic_exchange(&work.is_used, true)) {
        line_say(&bad);
        work.is_used = false;
    }
    if (is_last)
        abort();
}
