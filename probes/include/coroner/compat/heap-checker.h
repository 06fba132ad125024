#ifndef CORONER_COMPAT_HEAP_CHECKER_H
#define CORONER_COMPAT_HEAP_CHECKER_H
/*
 * gperftools' HeapLeakChecker, which gperftools itself dropped in 2.17, on Coroner's scopes.  C++11
 * and later.
 *
 *     #include <coroner/compat/heap-checker.h>        // was <gperftools/heap-checker.h>
 *
 *     HeapLeakChecker checker("parse");
 *     parse(input);
 *     assert(checker.NoLeaks());
 *
 * A checker is a scope: it judges what its thread allocated since it was made, and what the threads
 * and coroutines did that were made meanwhile.  A leak is what Coroner calls proven: memory that
 * nothing can use again.  Without Coroner there are no leaks.
 *
 * Other than in gperftools, a checker that was never asked is not fatal but asks itself when it
 * goes, blocks that other threads allocate are not its business, and there are no profiles, so the
 * Quick and Brief forms are the same as the others.
 */
#include "../coroner.h"

#include <cstddef>
#include <cstdint>

extern "C" {
void coroner_v1_end_check_cancel(void) CORONER_WEAK;
}

class HeapLeakChecker {
public:
    explicit HeapLeakChecker(const char *name) : scope_(coroner_scope_begin(name)) {}
    ~HeapLeakChecker()
    {
        coroner_scope_end(scope_, has_checked_ ? CORONER_SILENT : CORONER_REPORT);
    }
    HeapLeakChecker(const HeapLeakChecker &) = delete;
    HeapLeakChecker &operator=(const HeapLeakChecker &) = delete;

    /* Whether anybody looks; Coroner looks at the whole program from its start. */
    static bool IsActive() { return coroner_is_active() != 0; }

    /* True: nothing was leaked.  What was is reported on standard error. */
    bool NoLeaks()
    {
        coroner_summary summary = coroner_summary();
        has_checked_ = true;
        coroner_check_scope(scope_, CORONER_SILENT, &summary);
        bytes_ = static_cast<std::ptrdiff_t>(summary.leaked_bytes - summary.likely_bytes);
        objects_ = static_cast<std::ptrdiff_t>(summary.leaked_blocks - summary.likely_blocks);
        if (objects_ != 0)
            coroner_check_scope(scope_, CORONER_REPORT, &summary);
        return objects_ == 0;
    }
    bool QuickNoLeaks() { return NoLeaks(); }
    bool BriefNoLeaks() { return NoLeaks(); }
    bool SameHeap() { return NoLeaks(); }
    bool QuickSameHeap() { return NoLeaks(); }
    bool BriefSameHeap() { return NoLeaks(); }

    /* What the last of these calls found. */
    std::ptrdiff_t BytesLeaked() const { return bytes_; }
    std::ptrdiff_t ObjectsLeaked() const { return objects_; }

    /* The whole program.  There is no checker object for it. */
    static HeapLeakChecker *GlobalChecker() { return nullptr; }
    static bool NoGlobalLeaks()
    {
        coroner_summary summary = coroner_summary();
        coroner_check(CORONER_SILENT, &summary);
        if (summary.leaked_blocks == summary.likely_blocks)
            return true;
        coroner_check(CORONER_REPORT, &summary);
        return false;
    }

    /* The program's end is not checked; what was asked before stays asked. */
    static void CancelGlobalCheck() { CORONER_TELL(coroner_v1_end_check_cancel, ()); }

    /* Neither the object nor what it leads to is a leak; and again, it may be one. */
    template <typename T> static T *IgnoreObject(T *object)
    {
        coroner_ignore(object);
        return object;
    }
    static void UnIgnoreObject(const void *object) { coroner_detach(object); }

    /* What the thread allocates while one exists is no leak. */
    class Disabler {
    public:
        Disabler() { coroner_disable(); }
        ~Disabler() { coroner_enable(); }
        Disabler(const Disabler &) = delete;
        Disabler &operator=(const Disabler &) = delete;
    };

private:
    coroner_scope scope_;
    bool has_checked_ = false;
    std::ptrdiff_t bytes_ = 0, objects_ = 0;
};

/* A pointer that holds nothing: checks do not see it. */
template <class T> class HiddenPointer {
public:
    explicit HiddenPointer(T *object) : hidden_(~reinterpret_cast<std::uintptr_t>(object)) {}
    T *get() const { return reinterpret_cast<T *>(~hidden_); }

private:
    std::uintptr_t hidden_;
};

/* Code that is to run before the program is judged; it runs with the static destructors. */
class HeapCleaner {
public:
    typedef void (*void_function)(void);
    explicit HeapCleaner(void_function cleanup) : cleanup_(cleanup) {}
    ~HeapCleaner()
    {
        if (HeapLeakChecker::IsActive())
            cleanup_();
    }
    HeapCleaner(const HeapCleaner &) = delete;
    HeapCleaner &operator=(const HeapCleaner &) = delete;

private:
    void_function cleanup_;
};

#define REGISTER_HEAPCHECK_CLEANUP(name, body)                                \
    namespace {                                                               \
    void coroner_heap_cleanup_##name() { body; }                              \
    HeapCleaner coroner_heap_cleaner_##name(&coroner_heap_cleanup_##name);    \
    }

#endif
