/*
 * Programs that have more rights than their users.  See secure.h.
 *
 * The loader drops LD_PRELOAD for them, but a program may be linked with us.  We then read no
 * variable, write no file and start nothing: the program runs on over jemalloc, unwatched.
 */
#include "shim/secure.h"

#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

bool crn_process_is_secure(void)
{
    return getauxval(AT_SECURE) != 0; /* the loader keeps the values; nothing is allocated */
}

void crn_secure_environment_clean(void)
{
    char **to = environ;
    for (char **from = environ; from != NULL && *from != NULL; from++)
        if (strncmp(*from, "CORONER_", 8) != 0)
            *to++ = *from;
    if (to != NULL)
        *to = NULL;
}
