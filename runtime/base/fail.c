/*
 * Counts system calls of Coroner's own, and lets one fail.  See fail.h.
 */
#include "base/fail.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

const struct crn_failing_call crn_failing_calls[CRN_FAILING_CALLS] = {
    {"mmap", SYS_mmap, ENOMEM},   {"open", SYS_openat, EMFILE}, {"clone", SYS_clone, EAGAIN},
    {"write", SYS_write, ENOSPC}, {"pipe", SYS_pipe2, EMFILE},  {"rename", SYS_rename, ENOSPC},
};

struct crn_fail crn_fail;
static _Atomic uint64_t own_counts[CRN_FAILING_CALLS];

CRN_COLD long crn_fail_ask(long number)
{
    for (unsigned kind = 0; kind < CRN_FAILING_CALLS; kind++) {
        if (crn_failing_calls[kind].number != number)
            continue;
        uint64_t count = atomic_fetch_add(&crn_fail.counts[kind], 1) + 1;
        return kind == crn_fail.kind && count == crn_fail.number ? -crn_failing_calls[kind].error
                                                                 : 0;
    }
    return 0;
}

/* Where the value of a key begins in "key=value:key=value"; NULL: it is not there. */
static const char *value_find(const char *options, const char *key)
{
    for (const char *at = options; *at != 0;) {
        const char *wanted = key;
        while (*wanted != 0 && *at == *wanted)
            at++, wanted++;
        if (*wanted == 0 && *at == '=')
            return at + 1;
        while (*at != 0 && *at != ':')
            at++;
        at += *at == ':';
    }
    return NULL;
}

/* Reads "CALL=N". */
static void call_read(const char *value)
{
    for (unsigned kind = 0; kind < CRN_FAILING_CALLS; kind++) {
        const char *at = value, *name = crn_failing_calls[kind].name;
        while (*name != 0 && *at == *name)
            at++, name++;
        if (*name != 0 || *at != '=')
            continue;
        crn_fail.kind = kind;
        for (at++; *at >= '0' && *at <= '9'; at++)
            crn_fail.number = crn_fail.number * 10 + (uint64_t)(*at - '0');
        return;
    }
}

/* Maps the counts of a file, which is long enough. */
static _Atomic uint64_t *counts_map(const char *value)
{
    char path[512];
    size_t length = 0;
    for (; value[length] != 0 && value[length] != ':' && length + 1 < sizeof path; length++)
        path[length] = value[length];
    path[length] = 0;
    long fd = crn_syscall_always(SYS_openat, AT_FDCWD, (long)path, O_RDWR | O_CLOEXEC, 0, 0, 0);
    if (fd < 0)
        return own_counts;
    long start = crn_syscall_always(SYS_mmap, 0, sizeof own_counts, PROT_READ | PROT_WRITE,
                                    MAP_SHARED, fd, 0);
    crn_syscall_always(SYS_close, fd, 0, 0, 0, 0, 0);
    return crn_sys_failed(start) ? own_counts : (_Atomic uint64_t *)start;
}

void crn_fail_plan(const char *options)
{
    const char *call = options != NULL ? value_find(options, "fail_call") : NULL;
    const char *counts = options != NULL ? value_find(options, "count_calls") : NULL;
    if (call == NULL && counts == NULL)
        return;
    if (call != NULL)
        call_read(call);
    crn_fail.counts = counts != NULL ? counts_map(counts) : own_counts;
    crn_fail.is_on = true;
}
