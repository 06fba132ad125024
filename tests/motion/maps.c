/*
 * Memory that the program maps itself holds the only pointers to its blocks: private and shared
 * mappings that come, grow, are protected and made readable again, and go.
 */
#include "motion.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { WORKERS = 2, AREAS = 12, PAGE = 4096 };

struct area {
    char **slots; /* at its start, a block each */
    size_t pages, used;
    bool is_shared; /* of fixed size: pages behind the end of its object are no memory */
    bool is_closed; /* PROT_NONE right now */
};

static size_t room_of(const struct area *area)
{
    return area->pages * PAGE / sizeof(char *);
}

static void area_begin(struct area *area, unsigned long *random)
{
    area->is_shared = motion_random(random, 3) == 0;
    area->pages = 1 + motion_random(random, 8);
    area->used = 0;
    area->is_closed = false;
    area->slots = mmap(NULL, area->pages * PAGE, PROT_READ | PROT_WRITE,
                       (area->is_shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
    MOTION_REQUIRE(area->slots != MAP_FAILED);
}

static void area_end(struct area *area)
{
    for (size_t i = 0; i < area->used; i++) {
        MOTION_REQUIRE(area->slots[i][0] == 'm');
        free(area->slots[i]);
        area->slots[i] = NULL;
    }
    MOTION_REQUIRE(munmap(area->slots, area->pages * PAGE) == 0);
    area->slots = NULL;
}

static void area_fill(struct area *area, unsigned long *random)
{
    for (unsigned i = motion_random(random, 60); i > 0 && area->used < room_of(area); i--) {
        char *block = malloc(16 + motion_random(random, 300));
        block[0] = 'm';
        area->slots[area->used++] = block;
    }
}

static void area_grow(struct area *area)
{
    area->slots = mremap(area->slots, area->pages * PAGE, (area->pages + 1) * PAGE, MREMAP_MAYMOVE);
    MOTION_REQUIRE(area->slots != MAP_FAILED);
    area->pages++;
}

static void area_protect(struct area *area, bool closes)
{
    MOTION_REQUIRE(mprotect(area->slots, area->pages * PAGE,
                            closes ? PROT_NONE : PROT_READ | PROT_WRITE) == 0);
    area->is_closed = closes;
}

static void turn(struct area *areas, unsigned long *random)
{
    struct area *area = &areas[motion_random(random, AREAS)];
    if (area->slots == NULL) {
        area_begin(area, random);
        return;
    }
    if (area->is_closed)
        area_protect(area, false);
    switch (motion_random(random, 6)) {
    case 0:
        area_end(area);
        break;
    case 1:
        if (area->pages < 40 && !area->is_shared)
            area_grow(area);
        break;
    case 2:
        area_protect(area, true);
        break;
    default:
        area_fill(area, random);
    }
}

static void areas_end(struct area *areas)
{
    for (unsigned i = 0; i < AREAS; i++) {
        if (areas[i].slots == NULL)
            continue;
        if (areas[i].is_closed)
            area_protect(&areas[i], false);
        area_end(&areas[i]);
    }
}

static void *work(void *argument)
{
    struct area areas[AREAS] = {{NULL, 0, 0, false, false}};
    unsigned long random = (uintptr_t)argument;
    while (motion_is_on())
        turn(areas, &random);
    areas_end(areas);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t workers[WORKERS];
    static struct area areas[AREAS];
    unsigned long random = 31;
    motion_begin(argc, argv);
    for (uintptr_t i = 0; i < WORKERS; i++)
        MOTION_REQUIRE(pthread_create(&workers[i], NULL, work, (void *)(i + 1)) == 0);
    while (motion_goes_on())
        turn(areas, &random);
    areas_end(areas);
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    motion_wipe();
    quick_exit(motion_end("all areas kept their blocks"));
}
