/*
 * Loads Zydis when the program makes its first thread or coroutine, or asks for a check itself:
 * short programs without either never pay for it.  See decoder.h.
 *
 * It stays private: a program that has a Zydis of its own keeps that, and ours its own functions.
 */
#include "shim/decoder.h"
#include "shim/state.h"
#include "base/switch.h"
#include "base/sys.h"
#include "code/decode.h"
#include "coro/thread.h"
#include "snap/take.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>

enum { STACK_BYTES = 256 * 1024 }; /* the loader's; the program's own may be small */

/* A filter would end the program for what the loader does: then without. */
static bool loader_is_forbidden(void)
{
    static const int calls[] = {SYS_openat, SYS_read,     SYS_pread64, SYS_newfstatat,
                                SYS_mmap,   SYS_mprotect, SYS_munmap,  SYS_close};
    for (unsigned i = 0; i < CRN_COUNT_OF(calls); i++)
        if (crn_call_is_forbidden(calls[i]))
            return true;
    return false;
}

static void library_load(void *unused, const struct crn_saved_registers *registers)
{
    (void)unused;
    (void)registers;
    /* Ours takes RTLD_DEEPBIND away, for the sake of libraries that allocate; this one does not. */
    void *(*real_dlopen)(const char *, int) = crn_shim_next("dlopen");
    void *library = real_dlopen("libZydis.so.4.0", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    const struct crn_decoder functions = {
        .init = library == NULL ? NULL
                                : (uint32_t(*)(void *, int, int))dlsym(library, "ZydisDecoderInit"),
        .decode = library == NULL ? NULL
                                  : (uint32_t(*)(const void *, const void *, size_t, void *,
                                                 void *))dlsym(library, "ZydisDecoderDecodeFull"),
    };
    if (functions.init != NULL && functions.decode != NULL && crn_decoder_use(&functions))
        crn_snap_exclude_module((const void *)functions.decode);
    else if (crn_shim.options.sources[crn_option_find("stale")] != CRN_SOURCE_DEFAULT)
        crn_log("libZydis.so.4.0 is missing: slots and registers that will not be read again count "
                "as holders (install libzydis4.0)");
}

void crn_decoder_load(void)
{
    static atomic_bool is_begun;
    if (!crn_shim.options.stale || !crn_shim.options.detect_leaks ||
        crn_shim.phase != CRN_SHIM_ON || atomic_load_explicit(&is_begun, memory_order_relaxed) ||
        atomic_exchange(&is_begun, true))
        return;
    struct crn_thread *self = crn_shim_thread();
    int error = errno;
    if (self == NULL || loader_is_forbidden())
        return;
    uint32_t was_busy = self->is_busy;
    crn_busy_begin(self); /* what the loader allocates is nobody's leak */
    crn_stack_call_mapped(library_load, NULL, STACK_BYTES);
    self->is_busy = was_busy;
    errno = error;
}
