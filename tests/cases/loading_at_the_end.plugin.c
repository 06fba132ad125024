/* The plugin of loading_at_the_end.c: loading it takes a while, under the loader's lock. */
#include <unistd.h>

__attribute__((constructor)) static void load_slowly(void)
{
    if (write(1, "loading\n", 8) == 8)
        usleep(700000);
}
