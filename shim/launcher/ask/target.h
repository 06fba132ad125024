#ifndef CRN_ASK_TARGET_H
#define CRN_ASK_TARGET_H
/*
 * The process that is to be asked, held from the first look at it.
 *
 * A number may name another process a moment later, so the process is held by its directory in
 * /proc, which answers nothing once it has gone.  And it may become another program
 * (exec), which catches no signal of ours: a real-time signal that nobody catches ends a process.
 * So what proves that it can be asked is looked at again right before it is.
 */
#include "base/base.h"

#include <sys/types.h>

struct crn_target {
    pid_t pid;
    int proc;  /* /proc/PID */
    int view;  /* the same of a thread that is alive: memory and files; its first may have ended */
    uint64_t started; /* clock ticks since boot */
    /* Tell its image from another one that it becomes: /proc/PID/exe, where its stack began. */
    dev_t exe_device;
    ino_t exe_inode;
    uint64_t stack_start;
    uid_t uid; /* the effective ones */
    gid_t gid;
    uint64_t threads, mappings;
    char label[64]; /* "process 17 (redis-server)" */
    bool is_own; /* the command works for it: it has Coroner, and we have its rights and places */
};

/*
 * Finds the process and makes sure that it can be asked: it is there, it is no zombie and no
 * thread of the kernel, it belongs to us (or we are root), it runs under Coroner of a version that
 * we understand, and can take a signal now without anybody else seeing it.
 *
 * With `is_own`, what the process itself knows is not looked at: it may have made that unreadable.
 *
 * Answers false after saying why not, in a line.  crn_target_release() is due in either case.
 */
bool crn_target_hold(struct crn_target *target, pid_t pid, bool is_own);

/* Opens its root directory, as a path below which its files are; -1 with errno. */
int crn_target_root(const struct crn_target *target);

/*
 * Whether it is still the image that was looked at, and catches the signal; says why not unless
 * `is_quiet`.
 */
bool crn_target_is_same(const struct crn_target *target, bool is_quiet);

/* Sends it CRN_STOP_SIGNAL with a cookie; answers false after saying why it cannot. */
bool crn_target_signal(const struct crn_target *target, uint64_t cookie);

/* Whether the signal waits for one of its threads to take it; `state` is how that is: 'S', 'D', …
 */
bool crn_target_is_signal_pending(const struct crn_target *target, char *state);

bool crn_target_has_ended(const struct crn_target *target);

void crn_target_release(struct crn_target *target);

#endif
