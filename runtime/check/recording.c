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

#include <fcntl.h>
#include <stdio.h>

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
    process->flags = (facts->has_verdict || crn_host.process->is_forked ? CRN_PROCESS_CHECKED : 0) |
                     (crn_host.process->is_first ? CRN_PROCESS_FIRST : 0) |
                     (crn_host.process->is_forked ? CRN_PROCESS_FORKED : 0);
    process->exit_code = facts->exit_signal != 0 ? -1 : facts->exit_code;
    process->exit_signal = facts->exit_signal;
    process->started_unix_ns = crn_host.process->started_unix_ns;
    process->duration_ns = crn_now_ns() - crn_host.process->started_ns;
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

/* The launcher left files that have a size already (base/session.h). */
static bool spare_take(struct crn_draft *draft, const char *path)
{
    char spare[4096];
    for (unsigned n = 0; n < CRN_SESSION_SPARES; n++) {
        snprintf(spare, sizeof spare, "%s/" CRN_SESSION_SPARE, crn_host.process->session, n);
        if (crn_draft_write_into(draft, spare, path) == 0)
            return true;
    }
    return false;
}

enum crn_recording_place crn_recording_write(struct crn_draft *draft, char *path, size_t path_bytes)
{
    static const char *const places[] = {NULL, "/tmp", "/var/tmp", "."};
    if (crn_host.process->session != NULL) {
        for (unsigned n = 0; n < 64; n++) {
            snprintf(path, path_bytes, "%s/%d.%u.crn", crn_host.process->session,
                     crn_host.process->pid, n);
            if (crn_syscall3(SYS_faccessat, AT_FDCWD, path, 0) == 0)
                continue; /* what this process was before it called exec */
            if (crn_draft_write(draft, path) == 0 || crn_mailbox_put(draft) ||
                spare_take(draft, path))
                return CRN_RECORDED_LAUNCHER;
            break; /* the launcher has gone: render it ourselves */
        }
    }
    for (unsigned i = 0; i < CRN_COUNT_OF(places); i++) {
        const char *place = i == 0 ? crn_host.temporary() : places[i];
        if (place == NULL)
            continue;
        snprintf(path, path_bytes, "%s/coroner-%d.crn", place, crn_host.process->pid);
        if (crn_draft_write(draft, path) == 0)
            return CRN_RECORDED_APART;
    }
    path[0] = 0;
    return CRN_RECORDED_NOWHERE;
}

bool crn_recording_write_passing(struct crn_draft *draft, char *path, size_t path_bytes)
{
    static _Atomic uint32_t number;
    const char *place = crn_host.temporary();
    snprintf(path, path_bytes, "%s/coroner-%d.%u.crn", place != NULL ? place : "/tmp",
             crn_host.process->pid, number++);
    return crn_draft_write(draft, path) == 0;
}

void crn_recording_remove(const char *path)
{
    crn_syscall3(SYS_unlinkat, AT_FDCWD, path, 0);
}
