/*
 * libcoroner-probes.a: the probe API for languages that cannot call inline functions.
 *
 * coroner/coroner.h needs no library: its functions are inline and find the shim by weak symbols.
 * Here the same functions are ordinary symbols, coroner_ffi_NAME for coroner_NAME, with handles as
 * plain 64-bit numbers; they too do nothing where the shim is not loaded.  A binding declares those
 * that it uses.
 */
#include <coroner/coroner.h>

#define FFI __attribute__((visibility("default")))
#define SCOPE(number) ((coroner_scope){number})
#define CO(number) ((coroner_co){number})

FFI int coroner_ffi_is_active(void);
FFI uint64_t coroner_ffi_scope_begin(const char *name);
FFI uint64_t coroner_ffi_scope_make(uint64_t parent, const char *name);
FFI size_t coroner_ffi_scope_end(uint64_t scope, unsigned flags);
FFI uint64_t coroner_ffi_scope_enter(uint64_t scope);
FFI uint64_t coroner_ffi_scope_current(void);
FFI uint64_t coroner_ffi_co_begin(uint64_t scope, const char *name, const void *frame, size_t bytes,
                                  int kind);
FFI void coroner_ffi_co_note(uint64_t co, int event);
FFI void coroner_ffi_co_move(uint64_t co, uint64_t scope);
FFI uint64_t coroner_ffi_co_current(void);
FFI void coroner_ffi_local(uint64_t co, const char *name, const void *slot, size_t bytes);
FFI void coroner_ffi_local_done(uint64_t co, const void *slot);
FFI void coroner_ffi_watch(const void *object, const char *why);
FFI void coroner_ffi_ignore(const void *object);
FFI void coroner_ffi_detach(const void *object);
FFI size_t coroner_ffi_check(uint64_t scope, unsigned flags, struct coroner_summary *summary);
FFI void coroner_ffi_check_request(void);
FFI int coroner_ffi_finding_get(size_t index, struct coroner_finding *finding);
FFI void coroner_ffi_root_add(const void *start, size_t bytes);
FFI void coroner_ffi_root_remove(const void *start, size_t bytes);
FFI void coroner_ffi_disable(void);
FFI void coroner_ffi_enable(void);

int coroner_ffi_is_active(void)
{
    return coroner_is_active();
}

uint64_t coroner_ffi_scope_begin(const char *name)
{
    return coroner_scope_begin(name).id;
}

uint64_t coroner_ffi_scope_make(uint64_t parent, const char *name)
{
    return coroner_scope_make(SCOPE(parent), name).id;
}

size_t coroner_ffi_scope_end(uint64_t scope, unsigned flags)
{
    return coroner_scope_end(SCOPE(scope), flags);
}

uint64_t coroner_ffi_scope_enter(uint64_t scope)
{
    return coroner_scope_enter(SCOPE(scope)).id;
}

uint64_t coroner_ffi_scope_current(void)
{
    return coroner_scope_current().id;
}

/* `kind`: enum coroner_frame_kind. */
uint64_t coroner_ffi_co_begin(uint64_t scope, const char *name, const void *frame, size_t bytes,
                              int kind)
{
    return coroner_co_begin_in(SCOPE(scope), name, frame, bytes, (enum coroner_frame_kind)kind).id;
}

/* `event`: enum coroner_co_event. */
void coroner_ffi_co_note(uint64_t co, int event)
{
    (void)co, (void)event;
    CORONER_TELL(coroner_v1_co_note, (co, event));
}

void coroner_ffi_co_move(uint64_t co, uint64_t scope)
{
    coroner_co_move(CO(co), SCOPE(scope));
}

uint64_t coroner_ffi_co_current(void)
{
    return coroner_co_current().id;
}

void coroner_ffi_local(uint64_t co, const char *name, const void *slot, size_t bytes)
{
    coroner_local(CO(co), name, slot, bytes);
}

void coroner_ffi_local_done(uint64_t co, const void *slot)
{
    coroner_local_done(CO(co), slot);
}

void coroner_ffi_watch(const void *object, const char *why)
{
    coroner_watch(object, why);
}

void coroner_ffi_ignore(const void *object)
{
    coroner_ignore(object);
}

void coroner_ffi_detach(const void *object)
{
    coroner_detach(object);
}

/* `scope` 0: everything. */
size_t coroner_ffi_check(uint64_t scope, unsigned flags, struct coroner_summary *summary)
{
    return scope != 0 ? coroner_check_scope(SCOPE(scope), flags, summary)
                      : coroner_check(flags, summary);
}

void coroner_ffi_check_request(void)
{
    coroner_check_request();
}

int coroner_ffi_finding_get(size_t index, struct coroner_finding *finding)
{
    return coroner_finding_get(index, finding);
}

void coroner_ffi_root_add(const void *start, size_t bytes)
{
    coroner_root_add(start, bytes);
}

void coroner_ffi_root_remove(const void *start, size_t bytes)
{
    coroner_root_remove(start, bytes);
}

void coroner_ffi_disable(void)
{
    coroner_disable();
}

void coroner_ffi_enable(void)
{
    coroner_enable();
}
