/*
 * Who is left of the program's processes.  See kin.h; proc(5).
 */
#include "shim/launcher/kin.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/launcher/proc.h"

enum { DEPTH_MAX = 16 };

/* A file of /proc; from malloc, or NULL. */
static char *file_read(const char *path)
{
    size_t count;
    return crn_proc_read(AT_FDCWD, path, &count);
}

static char *children_read(int pid, int tid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, tid);
    return file_read(path);
}

/* The parent of a process; 0: there is none that we can see. */
static int parent_of(int pid)
{
    char path[32];
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    char *text = file_read(path);
    const char *name_end =
        text != NULL ? strrchr(text, ')') : NULL; /* the name may have anything */
    if (name_end == NULL || sscanf(name_end, ") %*c %d", &parent) != 1)
        parent = 0;
    free(text);
    return parent;
}

void crn_kin_note(struct crn_kin *kin)
{
    *kin = (struct crn_kin){.is_known = true};
    for (int pid = getppid(); pid > 0; pid = parent_of(pid)) {
        char *children = kin->count < CRN_KIN_MAX ? children_read(pid, pid) : NULL;
        kin->is_known &= children != NULL;
        if (children == NULL)
            return;
        kin->ancestors[kin->count] = pid;
        kin->children[kin->count++] = children;
    }
}

void crn_kin_forget(struct crn_kin *kin)
{
    for (unsigned i = 0; i < kin->count; i++)
        free(kin->children[i]);
    *kin = (struct crn_kin){.is_known = false};
}

/* The next number of a list, *at being behind it then; 0: there is none. */
static long number_next(const char **at)
{
    char *end;
    long number = strtol(*at, &end, 10);
    *at = end;
    return number;
}

/*
 * Whether a list has a number.  Lists are asked for the numbers of a later state of theirs, which
 * has the same order, and new ones behind: so *at, where the last one was found, is where to begin.
 */
static bool has_number(const char *list, const char **at, long number)
{
    const char *from = *at;
    for (long each; (each = number_next(&from)) != 0;)
        if (each == number) {
            *at = from;
            return true;
        }
    from = list;
    for (long each; from < *at && (each = number_next(&from)) != 0;)
        if (each == number)
            return true;
    return false;
}

struct visiting {
    void (*visit)(int pid, void *user);
    void *user;
};

/* Visits a process and what descends from it. */
static void tree_visit(const struct visiting *visiting, int pid, unsigned depth)
{
    char path[32];
    struct dirent *entry;
    visiting->visit(pid, visiting->user);
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *threads = depth < DEPTH_MAX ? opendir(path) : NULL;
    while (threads != NULL && (entry = readdir(threads)) != NULL) {
        char *children = atoi(entry->d_name) > 0 ? children_read(pid, atoi(entry->d_name)) : NULL;
        const char *at = children;
        for (long child; at != NULL && (child = number_next(&at)) != 0;)
            tree_visit(visiting, (int)child, depth + 1);
        free(children);
    }
    if (threads != NULL)
        closedir(threads);
}

static void all_visit(const struct visiting *visiting)
{
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    while (processes != NULL && (entry = readdir(processes)) != NULL)
        if (atoi(entry->d_name) > 0)
            visiting->visit(atoi(entry->d_name), visiting->user);
    if (processes != NULL)
        closedir(processes);
}

void crn_kin_for_each(const struct crn_kin *kin, void (*visit)(int pid, void *user), void *user)
{
    const struct visiting visiting = {visit, user};
    if (!kin->is_known)
        all_visit(&visiting);
    for (unsigned i = 0; i < kin->count && kin->is_known; i++) {
        char *children = children_read(kin->ancestors[i], kin->ancestors[i]);
        const char *at = children, *old = kin->children[i];
        for (long child; at != NULL && (child = number_next(&at)) != 0;)
            if (!has_number(kin->children[i], &old, child))
                tree_visit(&visiting, (int)child, 0);
        free(children);
    }
}
