/*
 * A plugin is loaded and unloaded again and again, while threads use it; what it holds in its
 * globals and thread-local variables is live as long as it is there.
 */
#include "motion.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { WORKERS = 2, TURNS = 200 };

static char path[4096];

static void use(unsigned long *random)
{
    void *plugin = dlopen(path, motion_random(random, 2) != 0 ? RTLD_NOW : RTLD_LAZY);
    MOTION_REQUIRE(plugin != NULL);
    int (*work)(int) = (int (*)(int))dlsym(plugin, "plugin_work");
    void (*end)(void) = (void (*)(void))dlsym(plugin, "plugin_thread_end");
    MOTION_REQUIRE(work != NULL && end != NULL);
    for (unsigned turn = motion_random(random, TURNS); turn > 0; turn--)
        work((int)motion_random(random, 10000));
    end();
    MOTION_REQUIRE(dlclose(plugin) == 0);
}

/* Only one thread at a time may work with the plugin's blocks. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *work_too(void *argument)
{
    unsigned long random = (uintptr_t)argument;
    while (motion_is_on()) {
        pthread_mutex_lock(&lock);
        use(&random);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t workers[WORKERS];
    unsigned long random = 17;
    snprintf(path, sizeof path, "%s.plugin.so", argv[0]);
    motion_begin(argc, argv);
    for (uintptr_t i = 0; i < WORKERS; i++)
        MOTION_REQUIRE(pthread_create(&workers[i], NULL, work_too, (void *)(i + 1)) == 0);
    while (motion_goes_on()) {
        pthread_mutex_lock(&lock);
        use(&random);
        pthread_mutex_unlock(&lock);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    motion_wipe();
    return motion_end("the plugin did its work");
}
