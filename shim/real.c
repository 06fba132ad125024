/*
 * The functions behind ours.  See real.h.
 *
 * Our malloc hides jemalloc's, and our mallocx too, so its functions are looked up in its symbol
 * table, found through one that we leave alone (sallocx).  That is done before the first
 * allocation, when the loader's own look-up cannot be called yet.
 */
#include "shim/real.h"
#include "base/sys.h"

#include <dlfcn.h>
#include <elf.h>
#include <jemalloc/jemalloc.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>

/* A module's dynamic symbols, and the table of hashes that leads to them (DT_GNU_HASH). */
struct symbols {
    uintptr_t base;
    const Elf64_Sym *symbols;
    const char *names;
    const uint32_t *hashes;
};

static bool is_equal(const char *a, const char *b)
{
    while (*a != 0 && *a == *b)
        a++, b++;
    return *a == *b;
}

static uint32_t hash_of(const char *name)
{
    uint32_t hash = 5381;
    for (; *name != 0; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

static void symbols_read(struct symbols *symbols, const struct link_map *module)
{
    symbols->base = module->l_addr;
    for (const Elf64_Dyn *row = module->l_ld; row->d_tag != DT_NULL; row++) {
        /* The loader writes addresses over offsets, where the section can be written. */
        uintptr_t address = row->d_un.d_ptr;
        if (address < symbols->base)
            address += symbols->base;
        if (row->d_tag == DT_SYMTAB)
            symbols->symbols = (const Elf64_Sym *)address;
        else if (row->d_tag == DT_STRTAB)
            symbols->names = (const char *)address;
        else if (row->d_tag == DT_GNU_HASH)
            symbols->hashes = (const uint32_t *)address;
    }
}

static void *symbol_find(const struct symbols *symbols, const char *name)
{
    uint32_t hash = hash_of(name);
    const uint32_t *head = symbols->hashes; /* buckets, first symbol, words of filter, shift */
    const uint32_t *buckets = head + 4 + 2 * head[2];
    const uint32_t *chains = buckets + head[0];
    uint32_t at = buckets[hash % head[0]];
    for (; at >= head[1]; at++) {
        const Elf64_Sym *symbol = &symbols->symbols[at];
        uint32_t found = chains[at - head[1]];
        if ((found | 1) == (hash | 1) && symbol->st_shndx != SHN_UNDEF &&
            is_equal(symbols->names + symbol->st_name, name))
            return (void *)(symbols->base + symbol->st_value);
        if ((found & 1) != 0)
            break;
    }
    return NULL;
}

static void *function_get(const struct symbols *symbols, const char *name)
{
    void *found = symbols->hashes != NULL ? symbol_find(symbols, name) : NULL;
    if (found == NULL) {
        crn_log("jemalloc has no %s; cannot go on", name);
        crn_syscall1(SYS_exit_group, 127);
    }
    return found;
}

void crn_jemalloc_find(struct crn_real *real)
{
    struct dl_find_object object;
    struct symbols symbols = {0};
    if (_dl_find_object((void *)sallocx, &object) == 0)
        symbols_read(&symbols, object.dlfo_link_map);
    real->je_malloc = (void *(*)(size_t))function_get(&symbols, "malloc");
    real->je_calloc = (void *(*)(size_t, size_t))function_get(&symbols, "calloc");
    real->je_free = (void (*)(void *))function_get(&symbols, "free");
    real->je_mallocx = (void *(*)(size_t, int))function_get(&symbols, "mallocx");
    real->je_rallocx = (void *(*)(void *, size_t, int))function_get(&symbols, "rallocx");
    real->je_xallocx = (size_t(*)(void *, size_t, size_t, int))function_get(&symbols, "xallocx");
    real->je_nallocx = (size_t(*)(size_t, int))function_get(&symbols, "nallocx");
    real->je_dallocx = (void (*)(void *, int))function_get(&symbols, "dallocx");
    real->je_sdallocx = (void (*)(void *, size_t, int))function_get(&symbols, "sdallocx");
}

bool crn_is_jemalloc(const void *caller)
{
    static uintptr_t start, end;
    if (end == 0) {
        struct dl_find_object object;
        if (_dl_find_object((void *)sallocx, &object) != 0)
            return false;
        start = (uintptr_t)object.dlfo_map_start;
        end = (uintptr_t)object.dlfo_map_end;
    }
    return (uintptr_t)caller - start < end - start;
}

void *crn_shim_next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        crn_log("libc has no %s behind us; cannot go on", name);
        abort();
    }
    return found;
}

int crn_sigaction_real(int signal, const struct sigaction *action, struct sigaction *old)
{
    static int (*real)(int, const struct sigaction *, struct sigaction *);
    if (real == NULL)
        real =
            (int (*)(int, const struct sigaction *, struct sigaction *))crn_shim_next("sigaction");
    return real(signal, action, old);
}
