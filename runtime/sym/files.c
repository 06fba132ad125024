/*
 * Which files are opened to find names, and how.  See files.h.
 *
 * libdw and libelf call open() through the dynamic linker, which finds ours first, since this is
 * the executable.  They never make a file, so whatever is not plain reading (libdebuginfod's cache)
 * passes through as it is.
 */
#include "sym/files.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static unsigned guards;

int crn_file_open(const char *path, const char **obstacle)
{
    char magic[SELFMAG];
    struct stat file;
    *obstacle = NULL;
    /* First by its name: even opening a device may do something. */
    if (stat(path, &file) != 0) {
        *obstacle = strerror(errno);
        return -1;
    }
    if (!S_ISREG(file.st_mode)) {
        *obstacle = "it is no plain file";
        return -1;
    }
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        *obstacle = strerror(errno);
        return -1;
    }
    if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode))
        *obstacle = "it is no plain file";
    else if (pread(fd, magic, sizeof magic, 0) != sizeof magic ||
             memcmp(magic, ELFMAG, SELFMAG) != 0)
        *obstacle = "it is no ELF file";
    if (*obstacle == NULL)
        return fd;
    close(fd);
    return -1;
}

/* Takes the place of libc's. */
__attribute__((visibility("default"))) int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & (O_CREAT | __O_TMPFILE)) != 0) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    if (guards == 0 || (flags & (O_ACCMODE | O_CREAT | O_DIRECTORY)) != O_RDONLY)
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    const char *obstacle;
    int fd = crn_file_open(path, &obstacle);
    if (fd < 0)
        errno = ENOENT; /* libdw then looks in the next place */
    return fd;
}

static const char urls_name[] = "DEBUGINFOD_URLS";
static bool is_debuginfod_allowed, has_given_up;
static double asked_s; /* how long servers have taken so far */

void crn_files_allow_debuginfod(bool is_allowed)
{
    is_debuginfod_allowed = is_allowed;
}

/* The client reads its variables at each question, so what stands in them decides. */
void crn_files_guard_begin(void)
{
    guards++;
    if (!is_debuginfod_allowed && getenv(urls_name) != NULL)
        unsetenv(urls_name);
}

void crn_files_guard_end(void)
{
    guards--;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int crn_files_ask(int (*find)(void *user), void *user)
{
    static const double limit_s = 20;
    /* A server that takes the connection and says nothing; one that says little, for ever. */
    static const struct {
        const char *name, *value;
    } limits[] = {{"DEBUGINFOD_TIMEOUT", "5"},
                  {"DEBUGINFOD_MAXTIME", "10"},
                  {"DEBUGINFOD_RETRY_LIMIT", "1"}};
    if (!is_debuginfod_allowed || getenv(urls_name) == NULL)
        return find(user);
    for (unsigned i = 0; i < CRN_COUNT_OF(limits); i++) {
        const char *given = getenv(limits[i].name);
        if (given == NULL || atol(given) <= 0 || atol(given) > atol(limits[i].value))
            setenv(limits[i].name, limits[i].value, 1);
    }
    double begin_s = now_s();
    int result = find(user);
    asked_s += now_s() - begin_s;
    if (asked_s > limit_s) {
        unsetenv(urls_name);
        has_given_up = true;
    }
    return result;
}

bool crn_files_gave_up(void)
{
    return has_given_up;
}
