#ifndef CRN_HELD_H
#define CRN_HELD_H
/*
 * Files of /proc, for a process that may lose its way to them before its end.
 *
 * As a rule nothing is held, and a check opens what it needs.  A program that is about to change
 * who it is, where its root folder is, which calls or how many files it may use, first makes us
 * hold:
 *
 *     descriptor 1   /proc/self/smaps, which says what maps says
 *     descriptor 2   a socket, in whose queue lie /proc/self/pagemap, /proc/self/mem and, if /proc
 * may be out of sight, /proc itself
 *
 * Both lie above 200 and are closed by exec.  Neither helps anybody out of a jail: smaps, pagemap
 * and mem are the process's own, and /proc is held as a copy of its mount (open_tree(2)), which has
 * nothing above it.  Where the process has no right to copy mounts, /proc is not held.
 */
#include "base/base.h"

struct stat;

/* Holds what is not held yet.  `with_proc`: /proc itself, too. */
void crn_held_take(bool with_proc);

/* In a forked child: what the parent held shows the parent. */
void crn_held_after_fork(void);

/* Whether `fd` is one of ours.  Costs nothing while none is held. */
bool crn_held_is_ours(int fd);

/* The first of ours in [from, to]; -1: none is. */
int crn_held_first(unsigned from, unsigned to);

/* Somebody wants the number of one of ours for himself. */
void crn_held_make_way(int fd);

/*
 * Opens /proc/NAME for reading, wherever it can be reached; answers a descriptor for
 * crn_proc_close, or a negative errno.  Of what is held: thread-self/maps and its like are ours.
 */
int crn_proc_open(const char *name);
int crn_proc_open_directory(const char *name);
void crn_proc_close(int fd);

/*
 * The same file as text, read by a child that has descriptors of its own: for a process that has
 * used all of them up.  Answers the text, `*bytes` of it, for crn_proc_text_free; NULL: it cannot
 * be had.
 */
#define CRN_PROC_TEXT_BYTES ((size_t)64 << 20)
char *crn_proc_read_apart(const char *name, size_t *bytes);
void crn_proc_text_free(char *text);

/*
 * A copy of a process looks at what it is a copy of: from here on self/task is that one's, and
 * crn_subject_pid answers its number.
 */
void crn_subject_set(int pid);
int crn_subject_pid(void);

/* Likewise stat(2); 0 or a negative errno. */
long crn_proc_stat(const char *name, struct stat *status);

/* Likewise readlink(2), with a NUL behind it; "" where that is not possible. */
void crn_proc_read_link(const char *name, char *target, size_t bytes);

#endif
