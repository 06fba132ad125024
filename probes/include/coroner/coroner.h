#ifndef CORONER_H
#define CORONER_H
/*
 * What a program may tell Coroner, and ask of it.  C11 and C++17.
 *
 * Five nouns.  A scope is a piece of work with an end: a request, a test, an activity.  A coroutine
 * runs in a scope and has a frame.  A local is a named slot of a coroutine that holds a pointer.
 * A watch says that an object should be gone by now.  A check looks for what is left.
 *
 *     coroner_scope request = coroner_scope_begin("request");
 *     coroner_co co = coroner_co_begin("fetch", frame, sizeof *frame);
 *     CORONER_LOCAL(co, frame->buffer);
 *     coroner_co_suspend(co);
 *     ...
 *     coroner_scope_end(request, CORONER_REPORT);     // says what is still held, and by whom
 *
 * Everything works, and does nothing, where Coroner is not loaded: the functions here are inline and
 * reach it by weak symbols, so nothing need be linked.  With CORONER_DISABLED defined they
 * vanish.  Handles are numbers, safe to keep and to copy; one that is not valid any more is
 * noticed, and costs one line on standard error.
 *
 * Unless a function says otherwise it may be called from any thread and coroutine, preserves
 * errno, and must not be called from a signal handler.
 */
#include <stddef.h>
#include <stdint.h>

#define CORONER_VERSION_MAJOR 0
#define CORONER_VERSION_MINOR 1
#define CORONER_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/* Handles; {0} is none: the current one, where a function takes one. */
typedef struct coroner_scope {
    uint64_t id;
} coroner_scope;
typedef struct coroner_co {
    uint64_t id;
} coroner_co;

/* What to do with what a check finds: add them up. */
enum coroner_check_flags {
    CORONER_SILENT = 0, /* only answer */
    CORONER_REPORT = 1, /* print a report to standard error */
    CORONER_ABORT = 2,  /* and abort() when there is anything proven */
    CORONER_LATER = 4,  /* scope ends: leave it to the next check, or the program's end */
};

/* Of which memory a coroutine's frame is. */
enum coroner_frame_kind {
    CORONER_FRAME = 0,  /* a record in a block: what a live one reads is all of it */
    CORONER_STACK = 1,  /* a stack of its own; sp is what it was when it suspended itself */
    CORONER_RESULT = 2, /* a record whose result may be taken by who holds it, when it has ended */
};

enum coroner_finding_kind {
    CORONER_LEAK,             /* blocks; `verdict` says which */
    CORONER_OUTLIVED,         /* a coroutine lives on after its scope */
    CORONER_ZOMBIE,           /* it runs on after it was cancelled */
    CORONER_SWALLOWED,        /* it was told of its cancellation, and suspended again */
    CORONER_NO_CANCEL_HOOK,   /* it was cancelled while nobody could tell it */
    CORONER_UNFINISHED_WATCH, /* an object that should be gone is still held */
};

/* One thing that a check found.  Texts are good until the next check or scope end of this thread. */
struct coroner_finding {
    enum coroner_finding_kind kind;
    const char *verdict;   /* of a leak: "stale", "completed", "cancelled", "abandoned", "lost" */
    int is_proven;         /* 0: likely */
    const char *coroutine; /* its name; NULL: none is involved */
    const char *local;     /* the registered local that holds it; NULL: none, or not known */
    const char *why;
    const void *address;   /* one of the blocks, or the object watched */
    size_t blocks, bytes;  /* with what only they lead to */
};

/* What one check found. */
struct coroner_summary {
    size_t findings;     /* entries that coroner_finding_get knows */
    size_t leaked_blocks, leaked_bytes;
    size_t likely_blocks, likely_bytes; /* the part of them that is only likely */
    uint64_t pause_ns;   /* how long other threads stood still */
};

/*
 * Whether Coroner watches this process: 1, or 0 after it has stood down.  A weak symbol, not there
 * where the shim is not loaded: ask coroner_is_active() instead.  From any thread, coroutine or
 * signal handler.
 */
int coroner_active(void) __attribute__((weak));

#define CORONER_WEAK __attribute__((weak))
uint64_t coroner_v1_scope_begin(uint64_t parent, const char *name, int enters) CORONER_WEAK;
size_t coroner_v1_scope_end(uint64_t scope, unsigned flags) CORONER_WEAK;
uint64_t coroner_v1_scope_enter(uint64_t scope) CORONER_WEAK;
uint64_t coroner_v1_scope_current(void) CORONER_WEAK;
uint64_t coroner_v1_co_begin(uint64_t scope, const char *name, const void *frame, size_t bytes,
                             int kind) CORONER_WEAK;
void coroner_v1_co_note(uint64_t co, int event) CORONER_WEAK;
void coroner_v1_co_move(uint64_t co, uint64_t scope) CORONER_WEAK;
uint64_t coroner_v1_co_current(void) CORONER_WEAK;
void coroner_v1_local(uint64_t co, const char *name, const void *slot, size_t bytes) CORONER_WEAK;
void coroner_v1_local_done(uint64_t co, const void *slot) CORONER_WEAK;
void coroner_v1_watch(const void *object, const char *why) CORONER_WEAK;
void coroner_v1_ignore(const void *object, int detaches) CORONER_WEAK;
size_t coroner_v1_check(uint64_t scope, unsigned flags, struct coroner_summary *summary)
    CORONER_WEAK;
void coroner_v1_check_request(void) CORONER_WEAK;
int coroner_v1_finding(size_t index, struct coroner_finding *finding) CORONER_WEAK;
void coroner_v1_region(const void *start, size_t bytes, int is_root) CORONER_WEAK;
void coroner_v1_disable(int by) CORONER_WEAK;
void coroner_v1_assert_failed(const char *file, int line, size_t count) CORONER_WEAK;

/* Events of a coroutine, for coroner_v1_co_note. */
enum coroner_co_event {
    CORONER_CO_SUSPENDED,
    CORONER_CO_SUSPENDED_WITH_HOOK,
    CORONER_CO_SUSPENDED_WITHOUT_HOOK,
    CORONER_CO_RESUMED,
    CORONER_CO_COMPLETED,
    CORONER_CO_DESTROYED,
    CORONER_CO_CANCEL_REQUESTED,
    CORONER_CO_CANCEL_SEEN,
    CORONER_CO_RETIRED,
};

/*
 * Where a function is; 0: Coroner is not loaded.  In a program that is linked to run at a fixed
 * address (-no-pie) the linker itself would answer 0 for what a preload brings, so the global
 * offset table is asked.
 */
#if defined(__x86_64__) && !defined(__PIC__)
#define CORONER_FIND(function)                                                       \
    __extension__({                                                                  \
        __typeof__(&function) coroner_found;                                         \
        __asm__(".weak " #function "\n\tmovq " #function "@GOTPCREL(%%rip), %0"      \
                : "=r"(coroner_found));                                              \
        coroner_found;                                                               \
    })
#else
#define CORONER_FIND(function) (&function)
#endif

#if defined(CORONER_DISABLED)
#define CORONER_CALL(function, arguments) 0
#define CORONER_TELL(function, arguments) ((void)0)
#else
#define CORONER_CALL(function, arguments) \
    (CORONER_FIND(function) != 0 ? CORONER_FIND(function) arguments : 0)
#define CORONER_TELL(function, arguments)     \
    do {                                      \
        if (CORONER_FIND(function) != 0)      \
            CORONER_FIND(function) arguments; \
    } while (0)
#endif
#define CORONER_INLINE static inline __attribute__((unused))

CORONER_INLINE int coroner_is_active(void)
{
#if defined(CORONER_DISABLED)
    return 0;
#else
    return CORONER_CALL(coroner_active, ());
#endif
}

/*
 * Scopes.
 *
 * A scope begins inside the calling coroutine's or thread's current one, and becomes current
 * itself until it ends.  Coroutines and threads that are made inside belong to it, and what they
 * allocate.  `name` is copied as a pointer: a literal, or text that outlives the process' report.
 */
CORONER_INLINE coroner_scope coroner_scope_begin(const char *name)
{
    coroner_scope scope = {CORONER_CALL(coroner_v1_scope_begin, (0, name, 1))};
    (void)name;
    return scope;
}

/* A scope that does not become current: for work that is handed to others.  See scope_enter. */
CORONER_INLINE coroner_scope coroner_scope_make(coroner_scope parent, const char *name)
{
    coroner_scope scope = {CORONER_CALL(coroner_v1_scope_begin, (parent.id, name, 0))};
    (void)parent, (void)name;
    return scope;
}

/*
 * Ends a scope, on whatever thread, and judges it: whatever was launched or allocated for it and is
 * held only by a dead continuation, or by nothing; its coroutines that are still alive are
 * `outlived`.  Answers how many entries there are; coroner_finding_get reads them.  Costs nothing
 * to speak of when the scope left nothing behind.
 */
CORONER_INLINE size_t coroner_scope_end(coroner_scope scope, unsigned flags)
{
    (void)scope, (void)flags;
    return CORONER_CALL(coroner_v1_scope_end, (scope.id, flags));
}

/* Makes a scope current for the calling thread or coroutine; answers the one that was. */
CORONER_INLINE coroner_scope coroner_scope_enter(coroner_scope scope)
{
    coroner_scope previous = {CORONER_CALL(coroner_v1_scope_enter, (scope.id))};
    (void)scope;
    return previous;
}

CORONER_INLINE coroner_scope coroner_scope_current(void)
{
    coroner_scope scope = {CORONER_CALL(coroner_v1_scope_current, ())};
    return scope;
}

/* No scope: enter it to work for nobody's account. */
CORONER_INLINE coroner_scope coroner_scope_global(void)
{
    coroner_scope scope = {UINT64_MAX};
    return scope;
}

/*
 * Coroutines.
 *
 * Tell of each what happens to it, in the order in which it happens.  `frame` is the memory that it
 * reads when it is resumed: a record of `bytes` bytes (0: the block it lies in).  It stays
 * the program's.
 */
CORONER_INLINE coroner_co coroner_co_begin_in(coroner_scope scope, const char *name,
                                              const void *frame, size_t bytes,
                                              enum coroner_frame_kind kind)
{
    coroner_co co = {CORONER_CALL(coroner_v1_co_begin, (scope.id, name, frame, bytes, (int)kind))};
    (void)scope, (void)name, (void)frame, (void)bytes, (void)kind;
    return co;
}

/* The same in the current scope. */
CORONER_INLINE coroner_co coroner_co_begin(const char *name, const void *frame, size_t bytes)
{
    coroner_scope current = {0};
    return coroner_co_begin_in(current, name, frame, bytes, CORONER_FRAME);
}

/* It waits; whether cancelling it would have an effect is not said, or does not matter. */
CORONER_INLINE void coroner_co_suspend(coroner_co co)
{
    (void)co;
    CORONER_TELL(coroner_v1_co_note, (co.id, CORONER_CO_SUSPENDED));
}

/* It waits and can be cancelled: with a hook that ends what it waits for, or without. */
CORONER_INLINE void coroner_co_suspend_cancellable(coroner_co co, int has_hook)
{
    (void)co, (void)has_hook;
    CORONER_TELL(coroner_v1_co_note, (co.id,
                 has_hook ? CORONER_CO_SUSPENDED_WITH_HOOK : CORONER_CO_SUSPENDED_WITHOUT_HOOK));
}

/* It runs, on the calling thread: until it suspends, its scope is current there. */
CORONER_INLINE void coroner_co_resume(coroner_co co)
{
    (void)co;
    CORONER_TELL(coroner_v1_co_note, (co.id, CORONER_CO_RESUMED));
}

/* It has run to its end: nothing will read its frame and locals again. */
CORONER_INLINE void coroner_co_complete(coroner_co co)
{
    (void)co;
    CORONER_TELL(coroner_v1_co_note, (co.id, CORONER_CO_COMPLETED));
}

/* It is no more: its frame is freed, or about to be.  The handle is not valid afterwards. */
CORONER_INLINE void coroner_co_destroy(coroner_co co)
{
    (void)co;
    CORONER_TELL(coroner_v1_co_note, (co.id, CORONER_CO_DESTROYED));
}

/* Somebody wants it to end. */
CORONER_INLINE void coroner_co_cancel(coroner_co co)
{
    (void)co;
    CORONER_TELL(coroner_v1_co_note, (co.id, CORONER_CO_CANCEL_REQUESTED));
}

/* It was told so: an error came out of what it waited for, or it asked. */
CORONER_INLINE void coroner_co_cancel_seen(coroner_co co)
{
    (void)co;
    CORONER_TELL(coroner_v1_co_note, (co.id, CORONER_CO_CANCEL_SEEN));
}

/*
 * It was handed to a reclaimer: what it holds counts as live until its scope ends.  Say so before
 * coroner_co_complete: between the two a check would see a completed coroutine that holds things.
 */
CORONER_INLINE void coroner_co_retire(coroner_co co)
{
    (void)co;
    CORONER_TELL(coroner_v1_co_note, (co.id, CORONER_CO_RETIRED));
}

/* It belongs to another scope from now on; coroner_scope_global(): it may outlive all of them. */
CORONER_INLINE void coroner_co_move(coroner_co co, coroner_scope scope)
{
    (void)co, (void)scope;
    CORONER_TELL(coroner_v1_co_move, (co.id, scope.id));
}

/* The one that was resumed last on the calling thread and has not suspended. */
CORONER_INLINE coroner_co coroner_co_current(void)
{
    coroner_co co = {CORONER_CALL(coroner_v1_co_current, ())};
    return co;
}

/*
 * Locals.
 *
 * CORONER_LOCAL(co, bitmap) names the variable in which a coroutine keeps a pointer, in its frame
 * or anywhere else.  CORONER_LOCAL_DONE(co, bitmap): it will not be read again, so what only it
 * holds is `stale`.  Registering it again makes it current again.
 */
#define CORONER_LOCAL(co, variable) coroner_local((co), #variable, &(variable), sizeof(variable))
#define CORONER_LOCAL_DONE(co, variable) coroner_local_done((co), &(variable))

CORONER_INLINE void coroner_local(coroner_co co, const char *name, const volatile void *slot,
                                  size_t bytes)
{
    (void)co, (void)name, (void)slot, (void)bytes;
    CORONER_TELL(coroner_v1_local, (co.id, name, (const void *)slot, bytes));
}

CORONER_INLINE void coroner_local_done(coroner_co co, const volatile void *slot)
{
    (void)co, (void)slot;
    CORONER_TELL(coroner_v1_local_done, (co.id, (const void *)slot));
}

/*
 * Watched objects: this should be freed, or become unreachable, soon.  The next check, or the end
 * of its scope, reports it if it is still held, with the shortest chain from a root.  Freed
 * objects drop out by themselves.
 */
CORONER_INLINE void coroner_watch(const void *object, const char *why)
{
    (void)object, (void)why;
    CORONER_TELL(coroner_v1_watch, (object, why));
}

/* Never report the block that holds `object`, nor what it leads to. */
CORONER_INLINE void coroner_ignore(const void *object)
{
    (void)object;
    CORONER_TELL(coroner_v1_ignore, (object, 0));
}

/* The block that holds `object` belongs to no scope any more: it is meant to outlive them. */
CORONER_INLINE void coroner_detach(const void *object)
{
    (void)object;
    CORONER_TELL(coroner_v1_ignore, (object, 1));
}

/*
 * Checks.
 *
 * Judges everything (or what belongs to one scope) now.  Other threads stand still meanwhile.
 * Answers how many entries there are, and fills *summary unless it is NULL.
 */
CORONER_INLINE size_t coroner_check(unsigned flags, struct coroner_summary *summary)
{
    (void)flags, (void)summary;
    return CORONER_CALL(coroner_v1_check, (0, flags, summary));
}

CORONER_INLINE size_t coroner_check_scope(coroner_scope scope, unsigned flags,
                                          struct coroner_summary *summary)
{
    (void)scope, (void)flags, (void)summary;
    return CORONER_CALL(coroner_v1_check, (scope.id, flags, summary));
}

/*
 * Asks for a check, at once, also of a program that does nothing: its report is written as those of
 * --check-signal are.  Where the coroner command is not found, the check is made at the next probe
 * that any thread passes.  Async-signal-safe.
 */
CORONER_INLINE void coroner_check_request(void)
{
    CORONER_TELL(coroner_v1_check_request, ());
}

/* Reads entry `index` of the calling thread's last check; 0: there is none. */
CORONER_INLINE int coroner_finding_get(size_t index, struct coroner_finding *finding)
{
    (void)index, (void)finding;
    return CORONER_CALL(coroner_v1_finding, (index, finding));
}

/* Memory that Coroner cannot know: pointers in it keep what they point to live; or do no longer. */
CORONER_INLINE void coroner_root_add(const void *start, size_t bytes)
{
    (void)start, (void)bytes;
    CORONER_TELL(coroner_v1_region, (start, bytes, 1));
}

CORONER_INLINE void coroner_root_remove(const void *start, size_t bytes)
{
    (void)start, (void)bytes;
    CORONER_TELL(coroner_v1_region, (start, bytes, 0));
}

/* What the calling thread allocates between these two is never reported.  They nest. */
CORONER_INLINE void coroner_disable(void)
{
    CORONER_TELL(coroner_v1_disable, (1));
}

CORONER_INLINE void coroner_enable(void)
{
    CORONER_TELL(coroner_v1_disable, (-1));
}

/*
 * For tests.  Checks everything, and when something proven is found prints the report and a line
 * with file and line number, and aborts: any framework notices that.  CORONER_COUNT() answers the
 * number instead, for the framework's own assertions.
 */
#define CORONER_ASSERT_NONE() coroner_assert_none(__FILE__, __LINE__)
#define CORONER_COUNT() coroner_check(CORONER_SILENT, NULL)

CORONER_INLINE void coroner_assert_none(const char *file, int line)
{
    struct coroner_summary summary = {0, 0, 0, 0, 0, 0};
    size_t count = coroner_check(CORONER_SILENT, &summary);
    (void)file, (void)line;
    if (count != 0)
        CORONER_TELL(coroner_v1_assert_failed, (file, line, count));
}

#ifdef __cplusplus
}
#endif

#endif
