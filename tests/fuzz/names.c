/*
 * Any text as a mangled name, and as a readable one that is made shorter or names a coroutine.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "report/clean.h"
#include "report/names.h"
#include "sym/demangle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const schemes[] = {"", "_Z", "_ZN", "_R"};
    struct crn_store *store = crn_store_create();
    for (unsigned i = 0; i < CRN_COUNT_OF(schemes); i++) {
        const char *raw =
            crn_store_print(store, "%s%.*s", schemes[i], (int)size, (const char *)data);
        const char *name = crn_demangle(store, raw, i % 2 != 0);
        const char *shown = crn_clean_line(store, name);
        struct crn_named_frame frame = {.function = shown, .raw = raw, .module = raw, .line = 1};
        const struct crn_named_frame *frames[] = {&frame};
        struct crn_stack stack = {frames, 1, 0};
        crn_name_shorten(store, shown, 20);
        crn_name_of_coroutine(store, &frame, &stack);
        frame.file = "/usr/include/boost/any.hpp"; /* a library's, whose user is looked for */
        crn_name_of_coroutine(store, &frame, &stack);
    }
    crn_store_destroy(store);
    return 0;
}
