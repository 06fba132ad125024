/*
 * Watches what is submitted to AIO contexts.  See aio.h.
 */
#include "shim/aio.h"
#include "shim/state.h"
#include "snap/aio.h"

static long call_make(const long *words)
{
    return crn_syscall_always(words[0], words[1], words[2], words[3], words[4], words[5], words[6]);
}

static long submit_call(const long *words, int tid)
{
    uintptr_t ring = (uintptr_t)words[1], blocks = (uintptr_t)words[3];
    crn_aio_note_submit(ring, words[2], blocks, tid);
    long result = call_make(words);
    crn_aio_note_submitted(ring, words[2], blocks, result, tid);
    return result;
}

long crn_aio_call(const long *words)
{
    if (crn_shim.phase == CRN_SHIM_OFF || !crn_shim.options.detect_leaks)
        return call_make(words);
    const struct crn_thread *self = crn_shim_thread();
    int tid = self != NULL ? self->tid : crn_sys_gettid();
    if (words[0] == SYS_io_submit)
        return submit_call(words, tid);
    long result = call_make(words);
    if (result == 0 && words[0] == SYS_io_setup)
        crn_aio_note_setup(*(const uintptr_t *)words[2], tid);
    else if (result == 0)
        crn_aio_note_destroy((uintptr_t)words[1], tid);
    return result;
}
