/*
 * Modules that are mapped, and that were mapped once.  See modules.h.
 *
 * The history is a draft of its own, whose modules section is kept free of doubles.
 */
#include "record/modules.h"
#include "base/lock.h"
#include "base/maps.h"
#include "base/sort.h"
#include "base/sys.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

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
    /* Shared ones are no module's: a device's memory, or pages that somebody serves. */
    bool is_file = (entry->flags & (CRN_MAP_FILE | CRN_MAP_SHARED)) == CRN_MAP_FILE &&
                   entry->path[0] == '/';
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

static struct crn_lock lock;
static struct crn_draft history; /* what was seen, in order; guarded by the lock */

static struct crn_record_module *modules_of(const struct crn_draft *draft)
{
    return (struct crn_record_module *)draft->sections[CRN_SECTION_MODULES].rows;
}

static const char *text_of(const struct crn_draft *draft, uint32_t string)
{
    return draft->sections[CRN_SECTION_STRINGS].rows + string;
}

static bool is_same(const struct crn_draft *a, const struct crn_record_module *x,
                    const struct crn_draft *b, const struct crn_record_module *y)
{
    return x->start == y->start && x->end == y->end &&
           strcmp(text_of(a, x->path), text_of(b, y->path)) == 0 &&
           strcmp(text_of(a, x->build_id), text_of(b, y->build_id)) == 0;
}

/* Copies a module's row from one draft to another. */
static void module_copy(struct crn_draft *to, const struct crn_draft *from,
                        struct crn_record_module module)
{
    module.path = crn_draft_string(to, text_of(from, module.path));
    module.build_id = crn_draft_string(to, text_of(from, module.build_id));
    crn_draft_rows(to, CRN_SECTION_MODULES, &module, 1);
}

/* Forgets what the addresses of `module` meant before. */
static void overlapping_drop(struct crn_draft *draft, uint64_t start, uint64_t end)
{
    struct crn_draft_section *section = &draft->sections[CRN_SECTION_MODULES];
    struct crn_record_module *rows = modules_of(draft);
    size_t kept = 0;
    for (size_t i = 0; i < section->count; i++)
        if (rows[i].end <= start || rows[i].start >= end)
            rows[kept++] = rows[i];
    section->count = kept;
}

/* Adds what a draft has to the history. */
static void history_add(const struct crn_draft *now, int tid)
{
    crn_lock_acquire(&lock, tid);
    if (history.sections[CRN_SECTION_MODULES].row_bytes == 0)
        crn_draft_init(&history);
    for (size_t i = 0; i < now->sections[CRN_SECTION_MODULES].count; i++) {
        const struct crn_record_module *module = &modules_of(now)[i];
        bool is_known = false;
        for (size_t j = 0; j < history.sections[CRN_SECTION_MODULES].count && !is_known; j++)
            is_known = is_same(now, module, &history, &modules_of(&history)[j]);
        if (is_known)
            continue;
        overlapping_drop(&history, module->start, module->end);
        module_copy(&history, now, *module);
    }
    crn_lock_release(&lock);
}

void crn_modules_note(int tid)
{
    struct crn_draft now;
    crn_draft_init(&now);
    crn_draft_modules(&now);
    history_add(&now, tid);
    crn_draft_free(&now);
}

/*
 * Whether a file begins as the module at `start` does: with the same headers, which have the sizes
 * and places of all its parts.  (Notes with a build id mostly follow right behind them.)
 */
static bool has_same_headers(int fd, uintptr_t start)
{
    char mapped[HEADERS_BYTES] __attribute__((aligned(8))), read[HEADERS_BYTES];
    struct stat status;
    const Elf64_Ehdr *header = (const void *)mapped;
    /* Asked first: to read some devices does something. */
    return crn_syscall2(SYS_fstat, fd, &status) == 0 && S_ISREG(status.st_mode) &&
           crn_memory_read(mapped, start, sizeof mapped) &&
           crn_syscall4(SYS_pread64, fd, read, sizeof read, 0) == sizeof read &&
           memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && memcmp(mapped, read, sizeof read) == 0;
}

/* The name of an open file as the memory map has it. */
static bool path_read(int fd, char *path, size_t bytes)
{
    char link[32], digits[12];
    unsigned at = sizeof digits;
    digits[--at] = 0;
    do {
        digits[--at] = (char)('0' + fd % 10);
    } while ((fd /= 10) > 0);
    strcpy(link, "/proc/self/fd/");
    strcat(link, digits + at);
    long count = crn_syscall4(SYS_readlinkat, AT_FDCWD, link, path, bytes - 1);
    path[count > 0 ? count : 0] = 0;
    return path[0] == '/';
}

bool crn_module_note(uintptr_t start, uintptr_t end, const char *name, int tid)
{
    char path[4096];
    struct crn_record_module module = {.start = start, .end = end};
    uintptr_t most_end;
    int fd = (int)crn_syscall4(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    bool is_known = fd >= 0 && has_same_headers(fd, start) && path_read(fd, path, sizeof path);
    if (fd >= 0)
        crn_syscall1(SYS_close, fd);
    if (!is_known)
        return false;
    struct crn_draft now;
    crn_draft_init(&now);
    if (headers_read(&now, start, &module, &most_end)) {
        module.path = crn_draft_string(&now, path);
        crn_draft_rows(&now, CRN_SECTION_MODULES, &module, 1);
        history_add(&now, tid);
    }
    crn_draft_free(&now);
    return true;
}

static bool module_less(const void *a, const void *b)
{
    return ((const struct crn_record_module *)a)->start <
           ((const struct crn_record_module *)b)->start;
}

void crn_modules_add_gone(struct crn_draft *draft)
{
    size_t mapped = draft->sections[CRN_SECTION_MODULES].count;
    for (size_t i = 0; i < history.sections[CRN_SECTION_MODULES].count; i++) {
        const struct crn_record_module *module = &modules_of(&history)[i];
        bool is_free = true;
        for (size_t j = 0; j < mapped && is_free; j++)
            is_free = modules_of(draft)[j].end <= module->start ||
                      modules_of(draft)[j].start >= module->end;
        if (is_free)
            module_copy(draft, &history, *module);
    }
    crn_sort(modules_of(draft), draft->sections[CRN_SECTION_MODULES].count,
             sizeof(struct crn_record_module), module_less);
}

void crn_modules_after_fork(void)
{
    if (lock.word != 0)
        memset(&history, 0, sizeof history); /* it may be half changed */
    crn_lock_init(&lock);
}
