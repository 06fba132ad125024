/*
 * The process that is to be asked.  See target.h.
 */
#include "shim/launcher/ask/target.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "live/ask.h"
#include "shim/launcher/ask/shim_note.h"
#include "shim/launcher/output.h"
#include "shim/launcher/proc.h"
#include "snap/stop.h"

/* Says why the process cannot be asked; false. */
#define REFUSE(...) (crn_say(__VA_ARGS__), false)

enum { KERNEL_THREAD = 0x200000 /* of the flags in /proc/PID/stat: PF_KTHREAD */ };

/* What /proc/PID/stat says behind the name, which may hold anything: the field `number` from 3. */
static bool stat_field(const char *stat, unsigned number, char *state, uint64_t *value)
{
    const char *field = strrchr(stat, ')');
    if (field == NULL)
        return false;
    field += 1 + strspn(field + 1, " ");
    *state = *field;
    for (unsigned i = 3; i < number && field != NULL; i++) {
        field = strchr(field, ' ');
        field += field != NULL;
    }
    *value = field != NULL ? strtoull(field, NULL, 10) : 0;
    return field != NULL;
}

/* Whether that stat is of a process that has ended; its first thread may have ended alone. */
static bool is_dead(const char *stat)
{
    char state;
    uint64_t threads;
    return !stat_field(stat, 20, &state, &threads) ||
           ((state == 'Z' || state == 'X') && threads <= 1);
}

static void label_make(struct crn_target *target, const char *stat)
{
    const char *from = strchr(stat, '('), *to = strrchr(stat, ')');
    int length = from != NULL && to > from ? (int)(to - from) - 1 : 0;
    snprintf(target->label, sizeof target->label, "process %d%s%.*s%s", target->pid,
             length > 0 ? " (" : "", length, length > 0 ? from + 1 : "", length > 0 ? ")" : "");
}

/* Opens what holds the process, and takes down when it was started. */
static bool find(struct crn_target *target)
{
    char path[32], state;
    size_t count;
    uint64_t flags, started;
    snprintf(path, sizeof path, "/proc/%d", target->pid);
    target->proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char *stat = target->proc >= 0 ? crn_proc_read(target->proc, "stat", &count) : NULL;
    if (stat == NULL) {
        if (access("/proc/self/stat", R_OK) != 0)
            return REFUSE("cannot look at processes: /proc is not mounted; mount it");
        if (kill(target->pid, 0) == 0 || errno == EPERM)
            return REFUSE("process %d is hidden from you (/proc has hidepid); ask as root",
                          target->pid);
        return REFUSE("there is no process %d", target->pid);
    }
    label_make(target, stat);
    bool is_known = stat_field(stat, 9, &state, &flags) && stat_field(stat, 22, &state, &started);
    if (is_known)
        stat_field(stat, 28, &state, &target->stack_start);
    target->started = is_known ? started : 0;
    bool has_ended = is_dead(stat);
    free(stat);
    if (!is_known)
        return REFUSE("there is no process %d", target->pid);
    if (has_ended)
        return REFUSE("%s has ended; its parent has not yet waited for it (a zombie)",
                      target->label);
    if ((flags & KERNEL_THREAD) != 0)
        return REFUSE("%s is a thread of the kernel: it has no heap to check", target->label);
    return true;
}

/* Opens the directory of a thread that is alive, by which memory and files can be looked at. */
static void view_open(struct crn_target *target)
{
    struct dirent *entry;
    size_t count;
    int fd = openat(target->proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *threads = fd >= 0 ? fdopendir(fd) : NULL;
    while (threads != NULL && target->view < 0 && (entry = readdir(threads)) != NULL) {
        char path[300], state = 'X';
        uint64_t nothing;
        snprintf(path, sizeof path, "%s/stat", entry->d_name);
        char *stat = *entry->d_name != '.' ? crn_proc_read(fd, path, &count) : NULL;
        if (stat != NULL && stat_field(stat, 3, &state, &nothing) && state != 'Z' && state != 'X')
            target->view = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        free(stat);
    }
    if (threads != NULL)
        closedir(threads);
}

/* The first three numbers of a line "Uid: real effective saved file". */
static bool ids_read(const char *status, const char *key, uint64_t ids[3])
{
    const char *field = crn_proc_field(status, key);
    char *end;
    for (unsigned i = 0; i < 3 && field != NULL; i++, field = end)
        ids[i] = strtoull(field, &end, 10);
    return field != NULL;
}

/* Whose it is, and whether the number means all of it. */
static bool is_ours(struct crn_target *target, const char *status)
{
    uint64_t uids[3], gids[3], leader = crn_proc_number(status, "Tgid", 10, 0);
    if (leader != (uint64_t)target->pid && leader != 0)
        return REFUSE("%d is a thread of process %llu: ask that", target->pid,
                      (unsigned long long)leader);
    if (!ids_read(status, "Uid", uids) || !ids_read(status, "Gid", gids))
        return REFUSE("%s has ended", target->label);
    target->uid = (uid_t)uids[1];
    target->gid = (gid_t)gids[1];
    target->threads = crn_proc_number(status, "Threads", 10, 1);
    if (geteuid() == 0)
        return true;
    if (uids[0] != geteuid() && uids[1] != geteuid())
        return REFUSE("%s belongs to another user (uid %u): ask as that user or as root",
                      target->label, target->uid);
    if (uids[0] != uids[1] || uids[1] != uids[2])
        return REFUSE("%s runs with the rights of two users (uid %u and %u): ask as root",
                      target->label, (unsigned)uids[0], target->uid);
    return true;
}

static bool exe_look(const struct crn_target *target, struct stat *exe)
{
    return fstatat(target->view, "exe", exe, 0) == 0;
}

/* Said of what the kernel shows to nobody who might not attach a debugger. */
static bool refuse_unreadable(const struct crn_target *target)
{
    int error = errno;
    if (crn_target_has_ended(target))
        return REFUSE("%s has ended", target->label);
    if (geteuid() == 0)
        return REFUSE("cannot look into %s (%s): root of this container may not; ask with the "
                      "capability CAP_SYS_PTRACE, or from outside of it",
                      target->label, strerror(error));
    return REFUSE("cannot look into %s (%s): its memory is protected (PR_SET_DUMPABLE, or a "
                  "program with more rights); ask as root",
                  target->label, strerror(error));
}

/* The image that runs, as it can be told from others. */
static bool image_look(struct crn_target *target)
{
    struct stat exe;
    unsigned char ident[EI_NIDENT] = {0};
    if (!exe_look(target, &exe))
        return refuse_unreadable(target);
    target->exe_device = exe.st_dev;
    target->exe_inode = exe.st_ino;
    int fd = openat(target->view, "exe", O_RDONLY | O_CLOEXEC);
    bool is_short = fd >= 0 && read(fd, ident, sizeof ident) == (ssize_t)sizeof ident &&
                    memcmp(ident, ELFMAG, SELFMAG) == 0 && ident[EI_CLASS] == ELFCLASS32;
    if (fd >= 0)
        close(fd);
    return !is_short ||
           REFUSE("%s is a 32-bit program: Coroner knows 64-bit ones only", target->label);
}

/* Finds the shim among the mappings, as the first of its file, and counts them all. */
static bool shim_look(struct crn_target *target)
{
    static const char name[] = "/libcoroner.so";
    struct crn_shim_file shim = {0};
    bool is_found = false;
    char *line = NULL;
    size_t room = 0;
    int fd = openat(target->view, "maps", O_RDONLY | O_CLOEXEC);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (file == NULL)
        return refuse_unreadable(target);
    for (; getline(&line, &room, file) > 0; target->mappings++) {
        const char *path = strchr(line, '/'), *slash = strrchr(line, '/');
        if (is_found || path == NULL || strncmp(slash, name, sizeof name - 1) != 0)
            continue;
        is_found = crn_shim_file_read(&shim, line);
    }
    bool is_unreadable = ferror(file) != 0 || target->mappings == 0;
    int error = errno;
    fclose(file);
    free(line);
    errno = error;
    if (is_unreadable)
        return refuse_unreadable(target);
    if (!is_found)
        return REFUSE("%s does not run under Coroner; start it by `coroner run`, or with "
                      "LD_PRELOAD=libcoroner.so",
                      target->label);
    char why[256];
    return crn_shim_file_is_understood(&shim, target->view, why, sizeof why) ||
           REFUSE("%s %s", target->label, why);
}

enum signal_look { TAKES, BLOCKED, TRACED };

/* All threads block it while they stand still for somebody else's check, and their handlers run. */
enum { LOOK_TRIES = 200, LOOK_EVERY_NS = 10000000 };

static void moment_wait(void)
{
    const struct timespec moment = {.tv_nsec = LOOK_EVERY_NS};
    nanosleep(&moment, NULL);
}

/* How the threads would take the signal; the first that is traced by `tracer` decides. */
static enum signal_look threads_look(const struct crn_target *target, uint64_t *tracer)
{
    enum signal_look look = BLOCKED;
    struct dirent *entry;
    int fd = openat(target->proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *threads = fd >= 0 ? fdopendir(fd) : NULL;
    if (threads == NULL)
        return TAKES; /* it has ended: sending will tell */
    while (look != TRACED && (entry = readdir(threads)) != NULL) {
        char path[300];
        size_t count;
        if (*entry->d_name == '.')
            continue;
        snprintf(path, sizeof path, "%s/status", entry->d_name);
        char *status = crn_proc_read(dirfd(threads), path, &count);
        *tracer = crn_proc_number(status, "TracerPid", 10, 0);
        if (*tracer != 0)
            look = TRACED;
        else if ((crn_proc_number(status, "SigBlk", 16, UINT64_MAX) & CRN_STOP_SIGNAL_BIT) == 0)
            look = TAKES;
        free(status);
    }
    closedir(threads);
    return look;
}

/* Whether the process catches the signal, and can do so now. */
static bool signal_look(const struct crn_target *target, const char *status)
{
    uint64_t tracer = 0;
    const char *state = crn_proc_field(status, "State");
    if ((crn_proc_number(status, "SigCgt", 16, 0) & CRN_STOP_SIGNAL_BIT) == 0)
        return REFUSE("%s has Coroner loaded, but it is not at work there (signal %d is not "
                      "caught): it starts just now, or has stood down",
                      target->label, CRN_STOP_SIGNAL);
    enum signal_look look = threads_look(target, &tracer);
    for (int tries = LOOK_TRIES; look == BLOCKED && tries > 0; tries--) {
        moment_wait();
        look = threads_look(target, &tracer);
    }
    if (look == TRACED)
        return REFUSE("%s is traced by process %llu (a debugger, strace), which would see our "
                      "signal; detach it first",
                      target->label, (unsigned long long)tracer);
    if (state != NULL && (*state == 'T' || *state == 't'))
        return REFUSE("%s is stopped; let it go on first: kill -CONT %d", target->label,
                      target->pid);
    if (look == BLOCKED)
        return REFUSE("%s blocks signal %d in every thread, by which it would be asked",
                      target->label, CRN_STOP_SIGNAL);
    return true;
}

/* What is to be known of a process whose user we are. */
static bool own_look(struct crn_target *target, const char *status)
{
    target->uid = geteuid();
    target->gid = getegid();
    target->threads = crn_proc_number(status, "Threads", 10, 1);
    return true;
}

bool crn_target_hold(struct crn_target *target, pid_t pid, bool is_own)
{
    size_t count;
    *target = (struct crn_target){.pid = pid, .proc = -1, .view = -1, .is_own = is_own};
    if (!find(target))
        return false;
    view_open(target);
    char *status = crn_proc_read(target->proc, "status", &count);
    bool is_known = status != NULL &&
                    (is_own ? own_look(target, status)
                            : is_ours(target, status) && image_look(target) && shim_look(target));
    bool can_be_asked = is_known && signal_look(target, status);
    if (status == NULL)
        crn_say("%s has ended", target->label);
    free(status);
    return can_be_asked;
}

bool crn_target_is_same(const struct crn_target *target, bool is_quiet)
{
    char state = 0;
    size_t count;
    uint64_t stack_start = 0;
    struct stat exe;
    char *stat = crn_proc_read(target->proc, "stat", &count);
    char *status = crn_proc_read(target->proc, "status", &count);
    bool is_there = stat != NULL && status != NULL && stat_field(stat, 28, &state, &stack_start) &&
                    !is_dead(stat);
    bool is_same = is_there &&
                   (target->is_own ||
                    (exe_look(target, &exe) && exe.st_dev == target->exe_device &&
                     exe.st_ino == target->exe_inode && stack_start == target->stack_start)) &&
                   (crn_proc_number(status, "SigCgt", 16, 0) & CRN_STOP_SIGNAL_BIT) != 0;
    free(stat);
    free(status);
    if (!is_same && !is_quiet)
        crn_say(is_there ? "%s became another program before it was asked" : "%s has ended",
                target->label);
    return is_same;
}

/*
 * Calls `visit` with the number of each thread, the first one first, until it answers true; whether
 * it did.  Of those that have ended in between nothing is left to be read.
 */
static bool threads_any(const struct crn_target *target,
                        bool (*visit)(const struct crn_target *target, pid_t tid, void *user),
                        void *user)
{
    struct dirent *entry;
    bool is_found = visit(target, target->pid, user);
    int fd = is_found ? -1 : openat(target->proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *threads = fd >= 0 ? fdopendir(fd) : NULL;
    while (threads != NULL && !is_found && (entry = readdir(threads)) != NULL) {
        pid_t tid = (pid_t)atoi(entry->d_name);
        is_found = tid > 0 && tid != target->pid && visit(target, tid, user);
    }
    if (threads != NULL)
        closedir(threads);
    return is_found;
}

/* A set of signals of a thread, and its state ('X': there is none). */
static uint64_t thread_set(const struct crn_target *target, pid_t tid, const char *name,
                           uint64_t otherwise, char *state)
{
    char path[64];
    size_t count;
    snprintf(path, sizeof path, "task/%d/status", (int)tid);
    char *status = crn_proc_read(target->proc, path, &count);
    uint64_t set = crn_proc_number(status, name, 16, otherwise);
    const char *field = crn_proc_field(status, "State");
    *state = field != NULL ? *field : 'X';
    free(status);
    return set;
}

/*
 * To one thread, not to the process: of a signal that any thread may take, the one that was woken
 * for it may find it taken; then its blocked call ends with EINTR, though no handler has run.
 * To one that has ended (the first may, alone) it could be sent, and would be lost.
 */
struct sending {
    siginfo_t info;
    const char *states; /* of threads that do not get it */
    int error;          /* of the one that was to */
};

static bool thread_signal(const struct crn_target *target, pid_t tid, void *user)
{
    struct sending *sending = user;
    char state;
    uint64_t blocked = thread_set(target, tid, "SigBlk", UINT64_MAX, &state);
    if ((blocked & CRN_STOP_SIGNAL_BIT) != 0 || strchr(sending->states, state) != NULL)
        return false;
    long result = syscall(SYS_rt_tgsigqueueinfo, target->pid, tid, CRN_STOP_SIGNAL, &sending->info);
    sending->error = result == 0 ? 0 : errno;
    return sending->error != ESRCH && sending->error != EINVAL;
}

static bool has_pending(const struct crn_target *target, pid_t tid, void *unused)
{
    char state;
    (void)unused;
    return (thread_set(target, tid, "SigPnd", 0, &state) & CRN_STOP_SIGNAL_BIT) != 0;
}

bool crn_target_signal(const struct crn_target *target, uint64_t cookie)
{
    struct sending sending = {.error = 0};
    siginfo_t *info = &sending.info;
    info->si_signo = CRN_STOP_SIGNAL;
    info->si_code = SI_QUEUE;
    info->si_pid = getpid();
    info->si_uid = getuid();
    info->si_value.sival_ptr = (void *)(uintptr_t)cookie;
    bool is_tried = false;
    for (int tries = LOOK_TRIES; !is_tried && tries > 0; tries--) {
        if (tries != LOOK_TRIES && crn_target_has_ended(target))
            break;
        if (tries != LOOK_TRIES)
            moment_wait();
        sending.states = "ZXDIPTt";
        is_tried = threads_any(target, thread_signal, &sending);
        sending.states = "ZX"; /* it will be taken later, then */
        is_tried = is_tried || threads_any(target, thread_signal, &sending);
    }
    if (is_tried && sending.error == 0)
        return true;
    if (!is_tried && crn_target_has_ended(target))
        return REFUSE("%s has ended", target->label);
    if (!is_tried)
        return REFUSE("%s has no thread that takes signal %d now; ask again", target->label,
                      CRN_STOP_SIGNAL);
    if (sending.error == EAGAIN)
        return REFUSE("%s can be sent no signal now: its user has too many waiting "
                      "(RLIMIT_SIGPENDING)",
                      target->label);
    return REFUSE("%s cannot be sent a signal: %s; ask as root, from outside of this container",
                  target->label, strerror(sending.error));
}

bool crn_target_is_signal_pending(const struct crn_target *target, char *state)
{
    size_t count;
    char *status = crn_proc_read(target->proc, "status", &count);
    const char *field = crn_proc_field(status, "State");
    *state = field != NULL ? *field : 0;
    free(status);
    return threads_any(target, has_pending, NULL);
}

bool crn_target_has_ended(const struct crn_target *target)
{
    size_t count;
    char *stat = crn_proc_read(target->proc, "stat", &count);
    bool has_ended = stat == NULL || is_dead(stat);
    free(stat);
    return has_ended;
}

int crn_target_root(const struct crn_target *target)
{
    const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    return target->is_own ? open("/", flags) : openat(target->view, "root", flags);
}

void crn_target_release(struct crn_target *target)
{
    if (target->proc >= 0)
        close(target->proc);
    if (target->view >= 0)
        close(target->view);
    target->proc = target->view = -1;
}
