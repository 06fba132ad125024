/*
 * What a recording says of the process itself: exe, argv, modules with their build ids.
 *
 * Modules are read from the memory map and from the ELF headers mapped with them, not from the
 * loader, whose lock a stopped thread may hold.
 */
#include "record/modules.h"
#include "base/maps.h"
#include "base/sys.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>


enum { HEADERS_BYTES = 4096, NOTES_BYTES = 1024, BUILD_ID_BYTES_MAX = 64 };

struct module_walk {
    struct crn_draft *draft;
    uint64_t inode;
    struct crn_record_module module; /* the one being collected; start 0: none */
    uintptr_t most_end;              /* where its last segment ends, .bss included */
};

/* The build id among the notes at `address`, as hexadecimal; "" when there is none. */
static void build_id_read(uintptr_t address, size_t bytes, char *text)
{
    char notes[NOTES_BYTES] __attribute__((aligned(8)));
    if (bytes > sizeof notes)
        bytes = sizeof notes;
    if (!crn_memory_read(notes, address, bytes))
        return;
    for (size_t at = 0; at + sizeof(Elf64_Nhdr) <= bytes;) {
        const Elf64_Nhdr *note = (const void *)(notes + at);
        size_t name_at = at + sizeof *note;
        size_t value_at = name_at + ((note->n_namesz + 3u) & ~3u);
        size_t next = value_at + ((note->n_descsz + 3u) & ~3u);
        if (next > bytes || next <= at)
            return;
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
            memcmp(notes + name_at, "GNU", 4) == 0 && note->n_descsz <= BUILD_ID_BYTES_MAX) {
            for (size_t i = 0; i < note->n_descsz; i++) {
                unsigned char byte = (unsigned char)notes[value_at + i];
                *text++ = "0123456789abcdef"[byte >> 4];
                *text++ = "0123456789abcdef"[byte & 15];
            }
            *text = 0;
            return;
        }
        at = next;
    }
}

/*
 * Reads the headers at the start of a module: its bias and build id, and where its last segment
 * ends.  False: no ELF there.
 */
static bool headers_read(struct crn_draft *draft, uintptr_t start, struct crn_record_module *module,
                         uintptr_t *most_end)
{
    char bytes[HEADERS_BYTES] __attribute__((aligned(8)));
    char build_id[2 * BUILD_ID_BYTES_MAX + 1] = "";
    const Elf64_Ehdr *header = (const void *)bytes;
    if (!crn_memory_read(bytes, start, sizeof bytes) ||
        memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64 ||
        header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phoff > sizeof bytes ||
        header->e_phoff + (size_t)header->e_phnum * sizeof(Elf64_Phdr) > sizeof bytes)
        return false;
    const Elf64_Phdr *segments = (const void *)(bytes + header->e_phoff);
    bool has_bias = false;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        const Elf64_Phdr *segment = &segments[i];
        if (segment->p_type == PT_LOAD && !has_bias) {
            /* The first segment maps the start of the file, give or take a page. */
            module->bias = start - crn_align_down(segment->p_vaddr - segment->p_offset,
                                                  CRN_PAGE_BYTES);
            has_bias = true;
        }
    }
    *most_end = 0;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        uintptr_t end = module->bias + segments[i].p_vaddr + segments[i].p_memsz;
        if (segments[i].p_type == PT_LOAD && end > *most_end)
            *most_end = crn_align_up(end, CRN_PAGE_BYTES);
        if (segments[i].p_type == PT_NOTE && build_id[0] == 0)
            build_id_read(module->bias + segments[i].p_vaddr, segments[i].p_memsz, build_id);
    }
    module->build_id = crn_draft_string(draft, build_id);
    return has_bias;
}

static void module_end(struct module_walk *walk)
{
    if (walk->module.start != 0)
        crn_draft_rows(walk->draft, CRN_SECTION_MODULES, &walk->module, 1);
    walk->module.start = 0;
}

static bool module_visit(const struct crn_map_entry *entry, void *user)
{
    struct module_walk *walk = user;
    bool is_file = (entry->flags & CRN_MAP_FILE) != 0 && entry->path[0] == '/';
    if (is_file && walk->module.start != 0 && entry->inode == walk->inode && entry->offset != 0) {
        walk->module.end = entry->end;
        return true;
    }
    if (!is_file) {
        /*
         * .bss belongs to the module it touches; other memory may lie between segments.  The
         * kernel joins .bss with what was mapped behind it: that is not the module's, and may lie
         * where another one was before.
         */
        if (walk->module.start != 0 && entry->start == walk->module.end && entry->path[0] == 0 &&
            (entry->flags & CRN_MAP_WRITE) != 0)
            walk->module.end = entry->end < walk->most_end ? entry->end : walk->most_end;
        else if (strcmp(entry->path, "[vdso]") != 0)
            return true;
    }
    if (!is_file && strcmp(entry->path, "[vdso]") != 0)
        return true;
    module_end(walk);
    struct crn_record_module module = {.start = entry->start, .end = entry->end};
    uintptr_t most_end = 0;
    if (entry->offset == 0 && headers_read(walk->draft, entry->start, &module, &most_end)) {
        module.path = crn_draft_string(walk->draft, entry->path);
        walk->module = module;
        walk->most_end = most_end;
        walk->inode = entry->inode;
    }
    return true;
}

void crn_draft_modules(struct crn_draft *draft)
{
    struct module_walk walk = {.draft = draft};
    crn_maps_for_each(module_visit, &walk);
    module_end(&walk);
}

static void argv_add(struct crn_draft *draft)
{
    char *text = crn_arena_alloc(&draft->arena, 64 * 1024);
    int fd = crn_sys_open_read("/proc/thread-self/cmdline");
    long count = fd < 0 || text == NULL ? 0 : crn_sys_read_all(fd, text, 64 * 1024 - 1);
    if (fd >= 0)
        crn_syscall1(SYS_close, fd);
    for (long at = 0; at < count; at += (long)strlen(text + at) + 1) {
        uint32_t string = crn_draft_string(draft, text + at);
        crn_draft_rows(draft, CRN_SECTION_ARGV, &string, 1);
    }
}

/* Whether the draft has an address that wants a name. */
static bool names_addresses(const struct crn_draft *draft)
{
    return draft->sections[CRN_SECTION_NODES].count > 1 || /* the first is the root */
           draft->sections[CRN_SECTION_LEAKS].count > 0 ||
           draft->sections[CRN_SECTION_FINDINGS].count > 0 ||
           draft->sections[CRN_SECTION_COROS].count > 0;
}

void crn_draft_self(struct crn_draft *draft)
{
    char exe[4096];
    long count = crn_syscall4(SYS_readlinkat, AT_FDCWD, "/proc/thread-self/exe", exe, sizeof exe - 1);
    exe[count > 0 ? count : 0] = 0;
    draft->process.exe = crn_draft_string(draft, exe);
    draft->process.pid = (uint32_t)crn_sys_getpid();
    draft->process.parent_pid = (uint32_t)crn_syscall0(SYS_getppid);
    argv_add(draft);
    if (!names_addresses(draft))
        return; /* most processes have nothing to say, and modules cost more than all before */
    crn_draft_modules(draft);
    crn_modules_add_gone(draft);
}
