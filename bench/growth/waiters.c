/*
 * Threads that only wait, as many as the argument says, and a block that is lost: the figure is
 * what the check at the end took.
 */
#include "growth.h"

#include <pthread.h>
#include <unistd.h>

static void *wait_for_ever(void *unused)
{
    free(malloc(100));
    pause();
    return unused;
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 1000;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        REQUIRE(pthread_create(&thread, &attributes, wait_for_ever, NULL) == 0);
    }
    void *volatile lost = malloc(777);
    lost = NULL;
    (void)lost;
    usleep(300000);
    return 0;
}
