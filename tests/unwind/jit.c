/*
 * Code made at run time, which no unwind information covers: with a frame pointer, without one,
 * with rbp in use for something else, called by each other; then registered with libgcc, which so
 * knows the truth.  A stack may end there, but must not go astray.
 *
 * Then a library comes to the place where such code was, with calls at the same addresses.
 *
 * STACKS:    4000
 * EXPLAINED: ends_in_unknown_code ends_in_registered_code
 * PLUGIN:    jit.plugin.c
 * BUILD:     gcc -O0 -O2
 * BUILD:     gcc -O2 -fno-omit-frame-pointer
 * BUILD:     clang -O2
 */
#include "unwind.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>

typedef void jitted(void (*callback)(void *), void *argument);
void __register_frame(void *), __deregister_frame(void *);

/* Each calls rdi with rsi as its argument: mov %rdi, %rax; mov %rsi, %rdi; call *%rax. */
#define CALLS 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0xff, 0xd0

/* push %rbp; mov %rsp, %rbp … pop %rbp; ret */
static const unsigned char with_frame_pointer[] = {0x55, 0x48, 0x89, 0xe5, CALLS, 0x5d, 0xc3};
/* sub $24, %rsp … add $24, %rsp; ret */
static const unsigned char without[] = {0x48, 0x83, 0xec, 0x18, CALLS,
                                        0x48, 0x83, 0xc4, 0x18, 0xc3};
/* push %rbp; mov $7, %ebp … pop %rbp; ret */
static const unsigned char counting[] = {0x55, 0xbd, 7, 0, 0, 0, CALLS, 0x5d, 0xc3};
/* push %rbp; lea 16(%rsp), %rbp … pop %rbp; ret */
static const unsigned char with_stack_address[] = {0x55, 0x48,  0x8d, 0x6c, 0x24,
                                                   0x10, CALLS, 0x5d, 0xc3};

enum { KINDS = 4, ROOM = 64 };
static unsigned char *code;
static jitted *kinds[KINDS];

struct way {
    unsigned depth, choices;
};

NOINLINE static void on_stack(void *argument)
{
    struct way way = *(struct way *)argument;
    if (way.depth == 0) {
        ALLOCATE();
        return;
    }
    struct way next = {way.depth - 1, way.choices / KINDS};
    kinds[way.choices % KINDS](on_stack, &next);
    NO_TAIL_CALL();
}

/* From code made at run time straight into more of it. */
static void jit_to_jit(void)
{
    static const unsigned char passes_on[] = {
        0x55, 0x48, 0x89, 0xe5,       /* push %rbp; mov %rsp, %rbp */
        0x48, 0x89, 0xd0, 0xff, 0xd0, /* mov %rdx, %rax; call *%rax */
        0x5d, 0xc3};
    unsigned char *at = code + KINDS * ROOM;
    memcpy(at, passes_on, sizeof passes_on);
    void (*pass)(void (*)(void *), void *, jitted *) = (void *)at;
    for (unsigned i = 0; i < 400; i++) {
        struct way way = {i % 5, i};
        pass(on_stack, &way, kinds[i % KINDS]);
    }
}

/* A CIE, and an FDE for each kind: libgcc then knows the truth. */
struct frame_description {
    uint32_t length, cie_distance;
    uint64_t start, bytes;
    uint8_t instructions[8];
} __attribute__((packed));

static struct {
    uint32_t length, id;
    uint8_t version, augmentation, code_align, data_align, return_register;
    uint8_t def_cfa[3], offset[2], nops[2];
    struct frame_description kinds[KINDS];
    uint32_t end;
} __attribute__((packed))
frames = {.length = 16,
          .version = 1,
          .code_align = 1,
          .data_align = 0x78, /* -8 */
          .return_register = 16,
          .def_cfa = {0x0c, 7, 8}, /* rsp + 8 */
          .offset = {0x80 | 16, 1},
          .kinds = {{28, 24, 0, 0, {0x40 | 4, 0x0c, 6, 16, 0x80 | 6, 2}}, /* rbp + 16; rbp saved */
                    {28, 56, 0, 0, {0x40 | 4, 0x0e, 32}},                 /* rsp + 32 */
                    {28, 88, 0, 0, {0x40 | 1, 0x0e, 16, 0x80 | 6, 2}},    /* rsp + 16; rbp saved */
                    {28, 120, 0, 0, {0x40 | 1, 0x0e, 16, 0x80 | 6, 2}}}};

static void registered(void)
{
    for (unsigned i = 0; i < KINDS; i++) {
        frames.kinds[i].start = (uintptr_t)kinds[i];
        frames.kinds[i].bytes = ROOM;
    }
    __register_frame(&frames);
    for (unsigned i = 0; i < 2000; i++) {
        struct way way = {i % 7, random_below(1 << 14)};
        on_stack(&way);
    }
    __deregister_frame(&frames);
}

static void allocate_once(void)
{
    ALLOCATE();
}

/* Fills the place of a library with code that calls where the library does. */
static void library_in_its_place(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    REQUIRE(library != NULL);
    void (*plugin_call)(void (*)(void)) = (void (*)(void (*)(void)))dlsym(library, "plugin_call");
    unsigned *call_offset = dlsym(library, "plugin_call_offset");
    struct link_map *map;
    REQUIRE(plugin_call != NULL && call_offset != NULL);
    REQUIRE(dlinfo(library, RTLD_DI_LINKMAP, &map) == 0);
    uintptr_t function = (uintptr_t)plugin_call, offset = *call_offset;
    uintptr_t page = function & ~(uintptr_t)4095;
    plugin_call(allocate_once);
    REQUIRE(dlclose(library) == 0);

    unsigned char *made = mmap((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    REQUIRE(made == (void *)page);
    static const unsigned char calls[] = {0xff, 0xd7, 0x48, 0x83, 0xc4, 0x18, 0xc3};
    unsigned char *start = (unsigned char *)function + offset - 6; /* sub; call *%rdi */
    memcpy(start, without, 4);
    memcpy(start + 4, calls, sizeof calls);
    ((void (*)(void (*)(void)))start)(allocate_once);
    REQUIRE(munmap(made, 8192) == 0);

    library = dlopen(path, RTLD_NOW);
    plugin_call = (void (*)(void (*)(void)))dlsym(library, "plugin_call");
    REQUIRE((uintptr_t)plugin_call == function);
    plugin_call(allocate_once);
    plugin_call(allocate_once);
    REQUIRE(dlclose(library) == 0);
}

int main(int argc, char **argv)
{
    code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(argc == 2 && code != MAP_FAILED);
#define MAKE(i, bytes)                             \
    memcpy(code + (i)*ROOM, bytes, sizeof(bytes)); \
    kinds[i] = (jitted *)(code + (i)*ROOM)
    MAKE(0, with_frame_pointer);
    MAKE(1, without);
    MAKE(2, counting);
    MAKE(3, with_stack_address);
    for (unsigned i = 0; i < 2000; i++) {
        struct way way = {i % 7, random_below(1 << 14)};
        on_stack(&way);
    }
    jit_to_jit();
    registered();
    library_in_its_place(argv[1]);
    return 0;
}
