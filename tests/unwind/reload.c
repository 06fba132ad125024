/*
 * A library goes and another one comes to the same place, alike but for the size of a frame: the
 * same return addresses, and other callers.  Two hundred times with the first one's stack
 * remembered when the second one allocates, and two hundred times unseen by the shim, as libc
 * unloads modules of its own.  Another thread allocates all the while, on a stack that none of
 * this touches.
 *
 * STACKS: 2000
 * FLAGS:  -pthread
 * PLUGIN: reload.plugin.c -DFRAME_BYTES=24
 * PLUGIN: reload.plugin.c -DFRAME_BYTES=4104
 * BUILD:  gcc -O0 -O2
 */
#include "unwind.h"

#include <dlfcn.h>
#include <pthread.h>

static void allocate(void)
{
    ALLOCATE();
}

static int (*unload)(void *) = dlclose;

NOINLINE static uintptr_t use(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    REQUIRE(library != NULL);
    void (*call)(void (*)(void)) = (void (*)(void (*)(void)))dlsym(library, "plugin_call");
    REQUIRE(call != NULL);
    for (unsigned i = 0; i < 3; i++)
        call(allocate);
    REQUIRE(unload(library) == 0);
    REQUIRE(dlopen(path, RTLD_NOW | RTLD_NOLOAD) == NULL);
    return (uintptr_t)call;
}

static _Atomic int is_over;

static int compare(const void *left, const void *right)
{
    ALLOCATE();
    return *(const int *)left - *(const int *)right;
}

NOINLINE static void sort(unsigned depth)
{
    int numbers[] = {3, 1, 2};
    if (depth > 0)
        sort(depth - 1);
    qsort(numbers, 3, sizeof numbers[0], compare);
}

static void *bystander(void *unused)
{
    for (unsigned i = 0; !is_over; i++)
        sort(i % 20);
    return unused;
}

int main(int argc, char **argv)
{
    unsigned same = 0;
    pthread_t thread;
    REQUIRE(argc == 3 && pthread_create(&thread, NULL, bystander, NULL) == 0);
    for (unsigned i = 0; i < 200; i++)
        same += use(argv[1]) == use(argv[2]);
    REQUIRE(same > 100);
    unload = (int (*)(void *))dlsym(dlopen("libc.so.6", RTLD_NOW), "dlclose");
    REQUIRE(unload != NULL);
    for (unsigned i = 0; i < 200; i++)
        same += use(argv[1]) == use(argv[2]);
    REQUIRE(same > 200);
    is_over = 1;
    pthread_join(thread, NULL);
    return 0;
}
