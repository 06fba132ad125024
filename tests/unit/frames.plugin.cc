/*
 * Coroutine frames, and blocks that look alike, as one compiler makes them at one level.
 * test_cxx20.c opens a library of this for each and asks the recogniser about every block.
 */
#include <coroutine>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <string>

struct made {
    const char *name;
    void *block;
    bool is_frame, is_final;
    unsigned offset;  /* of the frame in the block */
    bool needs_names; /* clang may leave nothing but its name to tell that it is one */
};

namespace {

template <typename Initial, bool has_header> struct coroutine {
    struct promise_type {
        coroutine get_return_object()
        {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        Initial initial_suspend()
        {
            return {};
        }
        std::suspend_always final_suspend() noexcept
        {
            return {};
        }
        void return_void()
        {
        }
        void unhandled_exception()
        {
            std::terminate();
        }
        static void *operator new(size_t bytes)
        {
            uintptr_t *block = (uintptr_t *)malloc(bytes + (has_header ? 16 : 0));
            if (has_header)
                block[0] = block[1] = 7;
            return block + (has_header ? 2 : 0);
        }
        static void operator delete(void *frame)
        {
            free((uintptr_t *)frame - (has_header ? 2 : 0));
        }
    };
    std::coroutine_handle<promise_type> handle;
};

using lazy = coroutine<std::suspend_always, false>;
using eager = coroutine<std::suspend_never, false>;
using headed = coroutine<std::suspend_never, true>;

/* One that never ends: it has no final suspension point to speak of. */
struct endless {
    struct promise_type {
        endless get_return_object()
        {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_never initial_suspend()
        {
            return {};
        }
        std::suspend_never final_suspend() noexcept
        {
            return {};
        }
        void return_void()
        {
        }
        void unhandled_exception()
        {
            std::terminate();
        }
    };
    std::coroutine_handle<> handle;
};

volatile unsigned sink;

lazy nothing()
{
    co_return;
}

eager once(int number)
{
    sink = sink + (unsigned)number;
    co_await std::suspend_always{};
    sink = sink + (unsigned)number;
}

lazy many(std::string text, int count)
{
    for (int i = 0; i < count; i++) {
        std::string more = text + text;
        sink = sink + (unsigned)more.size();
        co_await std::suspend_always{};
        sink = sink + (unsigned)(more + text).size();
    }
    co_await std::suspend_always{};
}

template <typename Type> eager generic(Type value)
{
    co_await std::suspend_always{};
    sink = sink + (unsigned)value;
}

headed behind_a_header(int number)
{
    co_await std::suspend_always{};
    sink = sink + (unsigned)number;
}

endless for_ever()
{
    for (;;) {
        sink = sink + 1;
        co_await std::suspend_always{};
    }
}

/* Things that begin with two words of which the second is, or both are, functions. */
struct job {
    job *next;
    void (*destroy)(job *);
    job *self;
    unsigned short state, flags;
    char rest[64];
};

__attribute__((noinline)) void job_unlink(job *one)
{
    one->next = nullptr;
    sink = sink + one->flags;
}

__attribute__((noinline)) void job_destroy(job *one)
{
    sink = sink + one->state;
    free(one);
}

struct callbacks {
    void (*begin)(callbacks *);
    void (*end)(callbacks *);
    callbacks *self;
    unsigned short state, flags;
    char rest[64];
};

__attribute__((noinline)) void callbacks_begin(callbacks *self)
{
    sink = sink + self->state;
    self->state = 2;
}

__attribute__((noinline)) void callbacks_end(callbacks *self)
{
    self->flags |= 1;
    callbacks_begin(self);
}

job *job_make()
{
    job *one = (job *)calloc(1, sizeof *one);
    one->self = one;
    one->destroy = job_destroy;
    job_unlink(one);
    return one;
}

/* Not one after the other, and not as a coroutine's ramp stores them. */
callbacks *callbacks_make(bool is_second_only)
{
    static void (*volatile const table[2])(callbacks *) = {callbacks_end, callbacks_begin};
    callbacks *one = (callbacks *)calloc(1, sizeof *one);
    one->begin = is_second_only ? nullptr : table[0];
    one->end = table[1];
    return one;
}

/* What gcc's function that destroys a frame looks like, in a block that is none. */
callbacks *flagged_make()
{
    callbacks *one = (callbacks *)calloc(1, sizeof *one);
    one->state = 2;
    one->flags = 2;
    one->end = callbacks_end;
    callbacks_begin(one);
    return one;
}

/* A hash table as libiberty has it: two neighbouring functions come as arguments. */
struct table {
    unsigned (*hash)(const char *);
    bool (*is_equal)(const char *, const char *);
    char rest[64];
};

__attribute__((noinline)) unsigned text_hash(const char *text)
{
    unsigned hash = 0;
    while (*text != 0)
        hash = hash * 67 + (unsigned)*text++;
    return hash;
}

__attribute__((noinline)) bool text_is_equal(const char *one, const char *other)
{
    return text_hash(one) == text_hash(other) && *one == *other;
}

__attribute__((noinline)) table *table_new(unsigned (*hash)(const char *),
                                           bool (*is_equal)(const char *, const char *))
{
    table *one = (table *)calloc(1, sizeof *one);
    one->hash = hash;
    one->is_equal = is_equal;
    return one;
}

table *(*volatile const table_maker)(unsigned (*)(const char *),
                                     bool (*)(const char *, const char *)) = table_new;

struct virtuals {
    virtual void first()
    {
        sink = sink + 1;
    }
    virtual ~virtuals()
    {
    }
    void (*function)(job *) = job_destroy;
    char rest[64];
};

template <typename Made> void *resumed(Made coroutine, int times)
{
    for (; times > 0; times--)
        coroutine.handle.resume();
    return coroutine.handle.address();
}

} // namespace

extern "C" size_t frames_make(made *rows)
{
    size_t count = 0;
    rows[count++] = {"nothing, not begun", resumed(nothing(), 0), true, false, 0};
    rows[count++] = {"nothing, at its end", resumed(nothing(), 1), true, true, 0, true};
    rows[count++] = {"once, suspended", resumed(once(1), 0), true, false, 0};
    rows[count++] = {"once, at its end", resumed(once(1), 1), true, true, 0, true};
    rows[count++] = {"many, not begun", resumed(many("a", 3), 0), true, false, 0};
    rows[count++] = {"many, suspended", resumed(many("a", 3), 1), true, false, 0};
    rows[count++] = {"many, suspended again", resumed(many("a", 3), 4), true, false, 0};
    rows[count++] = {"many, at its end", resumed(many("a", 3), 5), true, true, 0};
    rows[count++] = {"generic<int>", resumed(generic(1), 0), true, false, 0};
    rows[count++] = {"generic<long>, at its end", resumed(generic(1l), 1), true, true, 0, true};
    rows[count++] = {"for_ever", resumed(for_ever(), 3), true, false, 0};
    rows[count++] = {"behind_a_header", (uintptr_t *)resumed(behind_a_header(1), 0) - 2, true,
                     false, 16};
    rows[count++] = {"behind_a_header, at its end",
                     (uintptr_t *)resumed(behind_a_header(1), 1) - 2,
                     true,
                     true,
                     16,
                     true};
    rows[count++] = {"a job", job_make(), false, false, 0};
    rows[count++] = {"callbacks", callbacks_make(false), false, false, 0};
    rows[count++] = {"callbacks, one cleared", callbacks_make(true), false, false, 0};
    rows[count++] = {"flagged callbacks", flagged_make(), false, false, 0};
    rows[count++] = {"a table", table_maker(text_hash, text_is_equal), false, false, 0, false};
    rows[count++] = {"an object", new virtuals, false, false, 0};
    return count;
}
