/*
 * Finds the program to run, and what kind of file it is.  See program.h.
 */
#include "shim/launcher/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/sanitizers.h"
#include "shim/launcher/command.h"
#include "shim/launcher/output.h"
#include "sym/store.h"

enum {
    SCRIPT_DEPTH_MAX = 5, /* as the kernel's */
    HEAD_BYTES = 512,
    PROGRAM_HEADERS_MAX = 128,
};

/* Whether `path` can be executed: 0, or the errno that says why not. */
static int executable_check(const char *path)
{
    struct stat file;
    if (stat(path, &file) != 0)
        return errno;
    if (S_ISDIR(file.st_mode))
        return EISDIR;
    if (!S_ISREG(file.st_mode) || access(path, X_OK) != 0)
        return EACCES;
    return 0;
}

static int not_found(const char *name)
{
    crn_say("%s: not found; give a path or a name on PATH", name);
    return CRN_EXIT_NOT_FOUND;
}

static int not_executable(const char *name, int error)
{
    crn_say("%s: cannot be executed: %s", name, strerror(error));
    return CRN_EXIT_NOT_EXECUTABLE;
}

static int path_search(const char *name, char **path)
{
    const char *directory = getenv("PATH");
    int refusal = 0; /* of a file that is there and cannot be executed */
    if (directory == NULL)
        directory = "/bin:/usr/bin";
    for (;;) {
        int length = (int)strcspn(directory, ":");
        if (asprintf(path, "%.*s%s%s", length, directory, length > 0 ? "/" : "./", name) < 0)
            crn_out_of_memory();
        int error = executable_check(*path);
        if (error == 0)
            return 0;
        free(*path);
        *path = NULL;
        if (error == EACCES || error == EISDIR)
            refusal = error;
        if (directory[length] == 0)
            break;
        directory += length + 1;
    }
    return refusal != 0 ? not_executable(name, refusal) : not_found(name);
}

int crn_program_find(const char *name, char **path)
{
    if (*name == 0)
        return not_found("''");
    if (strchr(name, '/') == NULL)
        return path_search(name, path);
    int error = executable_check(name);
    if (error == ENOENT)
        return not_found(name);
    if (error != 0)
        return not_executable(name, error);
    *path = strdup(name);
    if (*path == NULL)
        crn_out_of_memory();
    return 0;
}

/* Whether the kernel will run the file with rights of its own, and so without a preload. */
static const char *privilege_of(int fd)
{
    struct stat file;
    char capabilities[64];
    if (fstat(fd, &file) != 0)
        return NULL;
    if ((file.st_mode & S_ISUID) && file.st_uid != getuid())
        return "it is setuid";
    if ((file.st_mode & S_ISGID) && (file.st_mode & S_IXGRP) && file.st_gid != getgid())
        return "it is setgid";
    if (getuid() != 0 &&
        fgetxattr(fd, "security.capability", capabilities, sizeof capabilities) > 0)
        return "it has file capabilities";
    return NULL;
}

/* Whether a loader that knows LD_PRELOAD, glibc's, is asked for. */
static const char *loader_obstacle(int fd, const Elf64_Ehdr *header)
{
    Elf64_Phdr rows[PROGRAM_HEADERS_MAX];
    char loader[256] = "";
    if (header->e_phentsize != sizeof rows[0] || header->e_phnum > PROGRAM_HEADERS_MAX)
        return NULL;
    ssize_t bytes = header->e_phnum * (ssize_t)sizeof rows[0];
    if (pread(fd, rows, (size_t)bytes, (off_t)header->e_phoff) != bytes)
        return NULL;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (rows[i].p_type != PT_INTERP)
            continue;
        if (pread(fd, loader, sizeof loader - 1, (off_t)rows[i].p_offset) > 0 &&
            strstr(loader, "ld-musl") != NULL)
            return "it is linked with musl, not glibc";
        return NULL;
    }
    return "it is statically linked";
}

/* Whether it brings a sanitizer, whose runtime must come before any preload. */
static const char *sanitizer_obstacle(int fd)
{
    const struct crn_sanitizer *sanitizer = NULL;
    struct stat file;
    if (fstat(fd, &file) != 0 || file.st_size <= 0)
        return NULL;
    void *bytes = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return NULL;
    sanitizer = crn_sanitizer_of_file(bytes, (size_t)file.st_size);
    munmap(bytes, (size_t)file.st_size);
    return sanitizer != NULL ? sanitizer->obstacle : NULL;
}

/* The same, of a runtime that the user preloads. */
static const char *preload_obstacle(void)
{
    const char *preload = getenv("LD_PRELOAD");
    while (preload != NULL && *preload != 0) {
        char name[256];
        size_t length = strcspn(preload, ": ");
        snprintf(name, sizeof name, "%.*s", (int)length, preload);
        const struct crn_sanitizer *sanitizer = crn_sanitizer_of_library(name);
        if (sanitizer != NULL)
            return sanitizer->obstacle;
        preload += length + (preload[length] != 0);
    }
    return NULL;
}

static const char *elf_obstacle(int fd, const unsigned char *head)
{
    const Elf64_Ehdr *header = (const void *)head;
    if (head[EI_CLASS] == ELFCLASS32)
        return "it is a 32-bit program";
    if (header->e_machine != EM_X86_64 || head[EI_DATA] != ELFDATA2LSB)
        return "it is for another processor";
    const char *obstacle = privilege_of(fd);
    if (obstacle == NULL)
        obstacle = loader_obstacle(fd, header);
    if (obstacle == NULL)
        obstacle = sanitizer_obstacle(fd);
    return obstacle != NULL ? obstacle : preload_obstacle();
}

static const char *obstacle_at(const char *path, int depth)
{
    _Alignas(Elf64_Ehdr) unsigned char head[HEAD_BYTES + 1] = {0};
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    const char *obstacle = NULL;
    if (fd < 0)
        return NULL;
    ssize_t have = read(fd, head, HEAD_BYTES);
    if (have >= (ssize_t)sizeof(Elf64_Ehdr) && memcmp(head, ELFMAG, SELFMAG) == 0) {
        obstacle = elf_obstacle(fd, head);
    } else if (have > 2 && memcmp(head, "#!", 2) == 0 && depth < SCRIPT_DEPTH_MAX) {
        char *interpreter = (char *)head + 2;
        interpreter += strspn(interpreter, " \t");
        interpreter[strcspn(interpreter, " \t\n")] = 0;
        obstacle = obstacle_at(interpreter, depth + 1);
    }
    close(fd);
    return obstacle;
}

const char *crn_program_obstacle(const char *path)
{
    return obstacle_at(path, 0);
}

bool crn_program_is_script(const char *path)
{
    char head[HEAD_BYTES];
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    ssize_t have = fd >= 0 ? read(fd, head, sizeof head) : -1;
    if (fd >= 0)
        close(fd);
    for (ssize_t i = 0; i < have && head[i] != '\n'; i++)
        if (head[i] == 0)
            return false;
    return have >= 0;
}
