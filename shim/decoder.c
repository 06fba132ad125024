/*
 * Loads Zydis.  See decoder.h.
 *
 * Privately: a program that brings a Zydis of its own keeps it, and ours does not use that one.
 * What is missing is no harm: nothing is judged stale then.
 */
#include "shim/decoder.h"
#include "code/decode.h"
#include "snap/take.h"

#include <dlfcn.h>
#include <errno.h>

void crn_decoder_load(void)
{
    static _Atomic bool is_tried;
    if (atomic_load_explicit(&is_tried, memory_order_relaxed) || atomic_exchange(&is_tried, true))
        return;
    int saved_errno = errno;
    void *library = dlopen("libZydis.so.4.0", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    struct crn_decoder functions = {.init = NULL};
    if (library != NULL) {
        *(void **)&functions.init = dlsym(library, "ZydisDecoderInit");
        *(void **)&functions.decode = dlsym(library, "ZydisDecoderDecodeFull");
        if (crn_decoder_use(&functions))
            crn_snap_exclude_module((const void *)functions.decode);
    }
    errno = saved_errno;
}
