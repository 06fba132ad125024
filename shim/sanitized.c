/*
 * Leaves a process that has a sanitizer, before it begins.
 *
 * AddressSanitizer ends a program whose first library is another one than its own, and does so
 * before any library's constructor runs.  ThreadSanitizer finds our memory where its own should be.
 * So it must be earlier: the dynamic loader calls the resolver of an IFUNC symbol while it still
 * relocates us.  There the list of libraries stands and nothing of the program has run, so the
 * process can be replaced by itself, without us in LD_PRELOAD, and nobody sees a difference: pid,
 * arguments, descriptors, signal dispositions and limits stay.
 *
 *     exec (the user's)  -->  loader maps libraries  -->  relocates us: resolver
 *                                                           sanitizer?  exec once more, without us
 *                                                           none?       go on
 *
 * Where we are linked rather than preloaded, or the file cannot be executed again, the process
 * goes on and we stand down.  In a resolver calls of libc may not be bound yet: none here.
 */
#include "shim/sanitized.h"
#include "base/characters.h"
#include "base/sanitizers.h"
#include "base/sys.h"
#include "record/door.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>

extern void *__libc_stack_end; /* the loader's: where the kernel put argc */
extern const char __ehdr_start __attribute__((visibility("hidden"))); /* our first byte */

static const char self_path[] = "/proc/self/exe";
static const char *trouble;

static bool is_equal(const char *a, const char *b)
{
    while (*a != 0 && *a == *b)
        a++, b++;
    return *a == *b;
}

/* Where a DT_ entry points to.  The loader has made most of them absolute. */
static const void *dynamic_find(const struct link_map *map, ElfW(Sxword) tag)
{
    for (const ElfW(Dyn) *row = map->l_ld; row->d_tag != DT_NULL; row++)
        if (row->d_tag == tag)
            return (const void *)(row->d_un.d_ptr +
                                  (row->d_un.d_ptr < map->l_addr ? map->l_addr : 0));
    return NULL;
}

/*
 * The symbol of this name that a module exports; NULL: it does not.
 * (The table: https://flapenguin.me/elf-dt-gnu-hash)
 */
static const ElfW(Sym) * symbol_find(const struct link_map *map, const char *name)
{
    const ElfW(Sym) *symbols = dynamic_find(map, DT_SYMTAB);
    const char *strings = dynamic_find(map, DT_STRTAB);
    const uint32_t *table = dynamic_find(map, DT_GNU_HASH);
    if (symbols == NULL || strings == NULL || table == NULL)
        return NULL;
    uint32_t bucket_count = table[0], first = table[1], bloom_words = table[2], hash = 5381;
    for (const char *at = name; *at != 0; at++)
        hash = hash * 33 + (unsigned char)*at;
    const uint32_t *buckets = table + 4 + (size_t)bloom_words * (sizeof(ElfW(Addr)) / 4);
    const uint32_t *chains = buckets + bucket_count;
    uint32_t at = bucket_count > 0 ? buckets[hash % bucket_count] : 0;
    if (at < first)
        return NULL;
    for (;; at++) {
        if ((chains[at - first] | 1) == (hash | 1) && is_equal(strings + symbols[at].st_name, name))
            return &symbols[at];
        if ((chains[at - first] & 1) != 0)
            return NULL;
    }
}

uintptr_t *crn_beginning_find(void)
{
    if (__libc_stack_end != NULL)
        return __libc_stack_end;
    for (const struct link_map *map = _r_debug.r_map; map != NULL; map = map->l_next) {
        const ElfW(Sym) *symbol =
            map->l_addr == _r_debug.r_ldbase ? symbol_find(map, "__libc_stack_end") : NULL;
        if (symbol != NULL)
            return *(uintptr_t **)(map->l_addr + symbol->st_value);
    }
    return NULL;
}

/* gcc's runtimes, linked into an executable, export malloc and little else: its file says more. */
static const struct crn_sanitizer *file_search(void)
{
    struct stat status;
    const struct crn_sanitizer *found = NULL;
    int fd = crn_sys_open_read(self_path);
    if (fd < 0)
        return NULL;
    if (crn_syscall2(SYS_fstat, fd, &status) == 0) {
        size_t bytes = (size_t)status.st_size;
        long start = crn_syscall6(SYS_mmap, 0, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (!crn_sys_failed(start)) {
            found = crn_sanitizer_of_file((const unsigned char *)start, bytes);
            crn_syscall2(SYS_munmap, start, bytes);
        }
    }
    crn_syscall1(SYS_close, fd);
    return found;
}

static const struct crn_sanitizer *sanitizer_find(void)
{
    const struct link_map *program = _r_debug.r_map;
    const struct crn_sanitizer *found = NULL;
    if (program == NULL)
        return NULL;
    for (const struct link_map *map = program; map != NULL && found == NULL; map = map->l_next)
        found = crn_sanitizer_of_library(map->l_name);
    for (unsigned i = 0; found == NULL && i < CRN_SANITIZER_COUNT; i++)
        if (symbol_find(program, crn_sanitizers[i].init) != NULL)
            found = &crn_sanitizers[i];
    if (found == NULL && symbol_find(program, "malloc") != NULL)
        found = file_search();
    return found;
}

/* What the kernel put on the stack of a new program. */
struct beginning {
    char **argv, **environment;
    const ElfW(auxv_t) * values;
};

static uintptr_t value_find(const struct beginning *beginning, uintptr_t type)
{
    for (const ElfW(auxv_t) *value = beginning->values; value->a_type != AT_NULL; value++)
        if (value->a_type == type)
            return value->a_un.a_val;
    return 0;
}

/* False: it is not known. */
static bool beginning_read(struct beginning *beginning)
{
    uintptr_t *words = crn_beginning_find();
    if (words == NULL)
        return false;
    char **argv = (char **)(words + 1), **environment = argv + words[0] + 1, **end = environment;
    while (*end != NULL)
        end++;
    *beginning = (struct beginning){argv, environment, (const ElfW(auxv_t) *)(end + 1)};
    return true;
}

/* Our own name in LD_PRELOAD, as the loader took it from there. */
static const char *own_name(void)
{
    for (const struct link_map *map = _r_debug.r_map; map != NULL; map = map->l_next)
        if (map->l_addr == (uintptr_t)&__ehdr_start)
            return crn_text_base_name(map->l_name);
    return "";
}

/* Takes us out of LD_PRELOAD's list, in place; answers whether we were there. */
static bool list_cut(char *list)
{
    const char *own = own_name();
    bool is_cut = false;
    char *to = list;
    for (char *from = list; *from != 0;) {
        char *end = from;
        while (*end != 0 && *end != ':' && *end != ' ')
            end++;
        char separator = *end;
        *end = 0;
        bool is_ours = *from != 0 && is_equal(crn_text_base_name(from), own);
        for (char *at = from; at < end && !is_ours; at++)
            *to++ = *at;
        if (!is_ours && separator != 0)
            *to++ = separator;
        is_cut |= is_ours;
        from = end + (separator != 0);
    }
    *to = 0;
    return is_cut;
}

/* The environment without us, in place.  False: we do not come from there, and nothing changed. */
static bool environment_cut(char **environment)
{
    static const char *const ours[] = {
        "CORONER_SESSION=", "CORONER_LAUNCHER=", "CORONER_FIRST=", CRN_DOOR_VARIABLE "="};
    static const char preload[] = "LD_PRELOAD=";
    bool is_cut = false;
    for (char **each = environment; *each != NULL; each++)
        is_cut |= crn_text_begins(*each, preload) && list_cut(*each + sizeof preload - 1);
    char **to = environment;
    for (char **from = environment; *from != NULL && is_cut; from++) {
        bool is_ours = crn_text_begins(*from, preload) && (*from)[sizeof preload - 1] == 0;
        for (unsigned i = 0; i < CRN_COUNT_OF(ours); i++)
            is_ours |= crn_text_begins(*from, ours[i]);
        if (!is_ours)
            *to++ = *from;
    }
    if (is_cut)
        *to = NULL;
    return is_cut;
}

/* Whether two paths lead to one file. */
static bool is_same_file(const char *a, const char *b)
{
    struct stat of_a, of_b;
    return crn_syscall2(SYS_stat, a, &of_a) == 0 && crn_syscall2(SYS_stat, b, &of_b) == 0 &&
           of_a.st_ino == of_b.st_ino && of_a.st_dev == of_b.st_dev;
}

static size_t text_add(char *line, size_t at, size_t room, const char *text)
{
    while (*text != 0 && at < room)
        line[at++] = *text++;
    return at;
}

static void leave_say(const char *program, const struct crn_sanitizer *sanitizer)
{
    char line[1024];
    size_t begin = text_add(line, 0, sizeof line, "coroner: ");
    size_t at = text_add(line, begin, sizeof line - 128, program);
    line[at] = 0;
    at = begin + crn_text_tame(line + begin);
    at = text_add(line, at, sizeof line, " cannot be watched: ");
    at = text_add(line, at, sizeof line, sanitizer->obstacle);
    at = text_add(line, at, sizeof line, "; running it without Coroner\n");
    crn_sys_write_all(2, line, at);
}

/*
 * By the name that it was started by, so that the process keeps its own; a script's is the
 * script's, and its interpreter goes by the path of its file.
 */
static void start_again(const struct beginning *beginning, const struct crn_sanitizer *sanitizer)
{
    char path[4096];
    const char *program = (const char *)value_find(beginning, AT_EXECFN);
    bool is_by_name = program != NULL && is_same_file(program, self_path);
    long length = crn_syscall4(SYS_readlinkat, AT_FDCWD, self_path, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    leave_say(program != NULL ? program : self_path, sanitizer);
    if (is_by_name)
        crn_syscall3(SYS_execve, program, beginning->argv, beginning->environment);
    if (is_same_file(path, self_path))
        crn_syscall3(SYS_execve, path, beginning->argv, beginning->environment);
    crn_syscall3(SYS_execve, self_path, beginning->argv, beginning->environment);
}

/* Tests may have calls of ours fail, from the first on; see base/fail.h. */
static void failing_plan(const struct beginning *beginning)
{
    static const char variable[] = "CORONER_OPTIONS=";
    for (char **each = beginning->environment; *each != NULL; each++)
        if (crn_text_begins(*each, variable) && value_find(beginning, AT_SECURE) == 0)
            crn_fail_plan(*each + sizeof variable - 1);
}

static void nothing(void)
{
}

/* Called by the loader; see above. */
__attribute__((used)) static void (*first_of_all(void))(void)
{
    const struct crn_sanitizer *sanitizer = sanitizer_find();
    struct beginning beginning;
    bool is_known = beginning_read(&beginning);
    if (sanitizer == NULL) {
        if (is_known)
            failing_plan(&beginning);
        return nothing;
    }
    trouble = sanitizer->obstacle;
    if (!is_known)
        return nothing;
    /* Where the loader was given the program as its argument, it is not what exec would start. */
    if (value_find(&beginning, AT_BASE) != 0 && value_find(&beginning, AT_SECURE) == 0 &&
        environment_cut(beginning.environment))
        start_again(&beginning, sanitizer);
    return nothing;
}

static void first_thing(void) __attribute__((ifunc("first_of_all")));

const char *crn_sanitized_trouble(void)
{
    first_thing();
    return trouble;
}
