/*
 * Where a file of ours goes that nobody gave a place.  See place.h.
 */
#include "shim/launcher/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sym/store.h"

enum { PRIVATE_MODE = 0700, OTHERS_MAY_WRITE = S_IWGRP | S_IWOTH };

static bool is_private(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_uid == geteuid() &&
           (status.st_mode & OTHERS_MAY_WRITE) == 0;
}

static bool place_open(struct crn_place *place, const char *path, bool must_be_private)
{
    *place = (struct crn_place){.fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (place->fd < 0)
        return false;
    if ((must_be_private && !is_private(place->fd)) ||
        faccessat(place->fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        crn_place_close(place);
        return false;
    }
    place->path = strdup(path);
    if (place->path == NULL)
        crn_out_of_memory();
    return true;
}

bool crn_place_open(struct crn_place *place, const char *path)
{
    return place_open(place, path, true);
}

void crn_place_close(struct crn_place *place)
{
    if (place->fd >= 0)
        close(place->fd);
    free(place->path);
    *place = (struct crn_place){.fd = -1};
}

/* The current directory; the root of all is no place for what nobody asked for. */
static bool here_open(struct crn_place *place, bool must_be_private)
{
    char *here = getcwd(NULL, 0);
    bool is_open =
        here != NULL && strcmp(here, "/") != 0 && place_open(place, here, must_be_private);
    free(here);
    return is_open;
}

/* Makes the missing directories of an absolute path, the last one ours as well. */
static void directories_make(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, PRIVATE_MODE);
        *slash = '/';
    }
    mkdir(path, PRIVATE_MODE);
}

/* Whether the directory is ours: in another user's home we would leave what is not theirs. */
static bool is_own_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && status.st_uid == geteuid();
}

/* $XDG_STATE_HOME/coroner, from malloc; NULL: nobody says where that is. */
static char *state_path(void)
{
    const char *given = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    bool is_given = given != NULL && *given == '/';
    char *path;
    if (!is_given && (home == NULL || *home != '/' || !is_own_directory(home)))
        return NULL;
    if (asprintf(&path, "%s%s/coroner", is_given ? given : home, is_given ? "" : "/.local/state") <
        0)
        crn_out_of_memory();
    return path;
}

bool crn_place_make(struct crn_place *place, const char *path)
{
    char *copy = strdup(path);
    if (copy == NULL)
        crn_out_of_memory();
    for (size_t length = strlen(copy); length > 1 && copy[length - 1] == '/'; length--)
        copy[length - 1] = 0;
    directories_make(copy);
    bool is_open = place_open(place, copy, true);
    free(copy);
    return is_open;
}

bool crn_place_state(struct crn_place *place)
{
    char *path = state_path();
    bool is_open = path != NULL && crn_place_make(place, path);
    free(path);
    return is_open;
}

char *crn_place_foresee(void)
{
    struct crn_place place;
    char *path, *foreseen = NULL;
    if (here_open(&place, true)) {
        path = strdup(place.path);
        crn_place_close(&place);
    } else {
        path = state_path();
    }
    if (path != NULL && asprintf(&foreseen, "%s/", path) < 0)
        crn_out_of_memory();
    free(path);
    return foreseen;
}

bool crn_place_find(struct crn_place *place, enum crn_place_order order, unsigned rank)
{
    enum { KINDS = 4 };
    for (unsigned i = 0, found = 0; i < KINDS; i++) {
        unsigned kind = i < 2 && order == CRN_PLACE_STATE_FIRST ? 1 - i : i;
        bool is_there = kind == 0   ? here_open(place, true)
                        : kind == 1 ? crn_place_state(place)
                        : kind == 2 ? here_open(place, false)
                                    : place_open(place, "/var/tmp", false);
        if (is_there && found++ == rank)
            return true;
        if (is_there)
            crn_place_close(place);
    }
    *place = (struct crn_place){.fd = -1};
    return false;
}

int crn_place_create(const struct crn_place *place, const char *stem, const char *ending,
                     char **name)
{
    enum { TRIES = 1000 };
    for (unsigned number = 1; number <= TRIES; number++) {
        char middle[16] = "";
        if (number > 1)
            snprintf(middle, sizeof middle, ".%u", number);
        if (asprintf(name, "%s%s.%s", stem, middle, ending) < 0)
            crn_out_of_memory();
        int fd = openat(place->fd, *name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        int error = errno;
        if (fd >= 0)
            return fd;
        free(*name);
        if (error != EEXIST)
            return -error;
    }
    return -EEXIST;
}

int crn_file_open_own(const char *path)
{
    const int flags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    struct stat status;
    int fd = open(path, flags | O_CREAT | O_EXCL, 0600);
    if (fd >= 0 || errno != EEXIST)
        return fd >= 0 ? fd : -errno;
    fd = open(path, flags);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
        status.st_nlink == 1 && fchmod(fd, 0600) == 0 && ftruncate(fd, 0) == 0)
        return fd;
    close(fd);
    return -EEXIST;
}
