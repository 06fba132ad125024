/*
 * What a recording says of the process, and where it goes.  See recording.h.
 */
#include "check/recording.h"
#include "check/host.h"
#include "base/session.h"
#include "base/sys.h"
#include "coro/coro.h"
#include "coro/probe.h"
#include "record/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

void crn_recording_fill(struct crn_draft *draft, const struct crn_recording_facts *facts)
{
    struct crn_record_process *process = &draft->process;
    process->allocations = crn_heap.allocations;
    process->frees = crn_heap.frees;
    for (uint32_t i = 0, count = crn_threads_count(); i < count; i++) {
        const struct crn_heap_counts *counts = &crn_thread_at(i)->counts;
        process->allocations += counts->allocations;
        process->frees += counts->frees;
    }
    process->peak_bytes = (uint64_t)(crn_heap.peak_bytes > 0 ? crn_heap.peak_bytes : 0);
    process->flags = (process->flags & CRN_PROCESS_LIVE) |
                     (facts->has_verdict || (crn_host.process->is_forked && !facts->has_failed)
                          ? CRN_PROCESS_CHECKED
                          : 0) |
                     (crn_host.process->is_first ? CRN_PROCESS_FIRST : 0) |
                     (crn_host.process->is_forked ? CRN_PROCESS_FORKED : 0);
    process->exit_code = facts->exit_signal != 0 ? -1 : facts->exit_code;
    process->exit_signal = facts->exit_signal;
    process->started_unix_ns = crn_host.process->started_unix_ns;
    process->duration_ns = crn_now_ns() - crn_host.process->started_ns;
    process->check_kind = CRN_CHECK_END;
    process->check_number = facts->check_number > 0 ? facts->check_number : 1;
    process->unseen_threads = facts->unseen_threads;
    process->double_frees = crn_heap.bad_frees;
    process->check_pause_ns = facts->pause_ns;
    process->check_ns = facts->check_ns;
    process->check_bytes = facts->check_bytes;
    process->coroutines[CRN_CORO_DESTROYED] = facts->coros_destroyed;
    process->coroutines_seen = 0;
    for (unsigned i = 0; i < CRN_CORO_STATE_COUNT; i++)
        process->coroutines_seen += process->coroutines[i];
    if (!facts->has_verdict && !crn_host.process->is_forked)
        process->coroutines_seen = crn_coros.seen + crn_probes.seen;
    if (process->peak_bytes < process->live_bytes)
        process->peak_bytes = process->live_bytes;
    if (facts->obstacle != NULL) {
        process->flags &= ~(uint32_t)CRN_PROCESS_CHECKED;
        crn_draft_warning(draft, "not checked: %s", facts->obstacle);
    }
    if (crn_host.process->trouble != NULL) {
        process->flags = (process->flags & ~(uint32_t)CRN_PROCESS_CHECKED) | CRN_PROCESS_INCOMPLETE;
        crn_draft_warning(draft, "Coroner stood down: %s", crn_host.process->trouble);
    }
}

void crn_recording_describe(struct crn_draft *draft)
{
    crn_draft_self(draft);
    crn_host.describe(draft);
}

bool crn_recording_has_leak(const struct crn_draft *draft)
{
    const struct crn_draft_section *leaks = &draft->sections[CRN_SECTION_LEAKS];
    for (size_t i = 0; i < leaks->count; i++)
        if (((const struct crn_record_leak *)leaks->rows)[i].confidence == CRN_PROVEN ||
            crn_host.options->strict)
            return true;
    return false;
}

/* Whether the launcher is gone for sure: then its lock can be had. */
static bool is_deserted(int session)
{
    enum { LOCK_SHARED = 1, LOCK_AT_ONCE = 4 }; /* LOCK_SH, LOCK_NB */
    int fd = (int)crn_syscall4(SYS_openat, session, CRN_SESSION_LOCK,
                               O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool is_had = crn_syscall2(SYS_flock, fd, LOCK_SHARED | LOCK_AT_ONCE) == 0;
    crn_syscall1(SYS_close, fd);
    return is_had;
}

/*
 * Opens the session's directory.  When the launcher has gone, somebody else may have made one of
 * that name: only our own, which nobody else may read, is taken.  A negative errno: there is none.
 */
static int session_open(bool *is_gone)
{
    struct stat status;
    int fd = (int)crn_syscall4(SYS_openat, AT_FDCWD, crn_host.process->session,
                               O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    *is_gone = false; /* out of sight, perhaps; the mailbox knows better */
    if (fd < 0)
        return fd;
    bool is_ours = crn_syscall2(SYS_fstat, fd, &status) == 0 &&
                   status.st_uid == (uint32_t)crn_syscall0(SYS_geteuid) &&
                   (status.st_mode & (S_IRWXG | S_IRWXO)) == 0;
    *is_gone = is_ours && is_deserted(fd);
    if (is_ours && !*is_gone)
        return fd;
    crn_syscall1(SYS_close, fd);
    return -ENOENT;
}

/* The launcher's directory, and how this process's recording is called there. */
struct session {
    int fd; /* negative: there is none */
    char name[32];
};

/*
 * Hands the recording to the launcher; false: it has gone, or has no room, or there is no way to
 * it. The session stays open.
 */
static bool session_write(struct crn_draft *draft, struct session *session)
{
    enum { IMAGES_MAX = 64 };
    bool is_gone;
    session->fd = session_open(&is_gone);
    for (unsigned n = 0; session->fd >= 0 && n < IMAGES_MAX; n++) {
        snprintf(session->name, sizeof session->name, "%d.%u.crn", crn_host.process->pid, n);
        if (crn_syscall3(SYS_faccessat, session->fd, session->name, 0) == 0)
            continue; /* what this process was before it called exec */
        if (crn_draft_write(draft, session->fd, session->name) == 0)
            return true;
        break;
    }
    return !is_gone && crn_mailbox_put(draft);
}

/* Tells the launcher where the recording is; for a short link a disk need not have room. */
static bool session_refer(const struct session *session, const char *path)
{
    return session->fd >= 0 && path[0] == '/' &&
           crn_syscall3(SYS_symlinkat, path, session->fd, session->name) == 0;
}

/*
 * Writes the recording to a place that others may write to as well, under a name that nobody can
 * foresee.
 */
static bool apart_write(struct crn_draft *draft, const char *place, char *path, size_t path_bytes)
{
    enum { AT_ONCE = 1 }; /* GRND_NONBLOCK */
    uint32_t number = 0;
    if (crn_syscall3(SYS_getrandom, &number, sizeof number, AT_ONCE) != sizeof number)
        number = (uint32_t)crn_now_ns();
    snprintf(path, path_bytes, "%s/coroner-%d-%08x.crn", place, crn_host.process->pid, number);
    return crn_draft_write(draft, AT_FDCWD, path) == 0;
}

enum crn_recording_place crn_recording_write(struct crn_draft *draft, char *path, size_t path_bytes)
{
    static const char *const places[] = {NULL, "/tmp", "/var/tmp", "."};
    struct session session = {.fd = -1};
    enum crn_recording_place where = CRN_RECORDED_NOWHERE;
    path[0] = 0;
    if (crn_host.process->session != NULL && session_write(draft, &session))
        where = CRN_RECORDED_LAUNCHER;
    for (unsigned i = 0; i < CRN_COUNT_OF(places) && where == CRN_RECORDED_NOWHERE; i++) {
        const char *place = i == 0 ? crn_host.temporary() : places[i];
        if (place != NULL && apart_write(draft, place, path, path_bytes))
            where = session_refer(&session, path) ? CRN_RECORDED_LAUNCHER : CRN_RECORDED_APART;
    }
    if (session.fd >= 0)
        crn_syscall1(SYS_close, session.fd);
    if (where == CRN_RECORDED_NOWHERE)
        path[0] = 0;
    return where;
}

bool crn_recording_write_passing(struct crn_draft *draft, char *path, size_t path_bytes)
{
    const char *place = crn_host.temporary();
    return apart_write(draft, place != NULL ? place : "/tmp", path, path_bytes);
}

void crn_recording_remove(const char *path)
{
    crn_syscall3(SYS_unlinkat, AT_FDCWD, path, 0);
}
