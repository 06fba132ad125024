#ifndef CORONER_HPP
#define CORONER_HPP
/*
 * Coroner's probes for C++: scopes and locals that end themselves (C++17), and a promise that
 * tells what happens to its coroutine (C++20).
 *
 *     struct task {
 *         struct promise_type : coroner::promise<promise_type> {
 *             task get_return_object();
 *             void return_void() {}
 *             void unhandled_exception() { std::terminate(); }
 *         };
 *     };
 *
 * A coroutine is announced when it starts, and named after its function.  Its promise sees each
 * suspension through await_transform, the last one in final_suspend, and its end in the destructor:
 *
 *     ramp            initial_suspend   co_await x              final_suspend      destroy
 *     operator new -> begin          -> suspend ... resume ...  -> complete     -> destroy
 *
 * A frame that the compiler put into its caller's (it elided the allocation) is part of that one
 * and is not announced.  With CORONER_DISABLED defined nothing of this is left: awaitables are passed on
 * as they are.
 */
#include <coroner/coroner.h>

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#if __cplusplus >= 202002L && defined(__has_include)
#if __has_include(<coroutine>)
#include <coroutine>
#endif
#endif

namespace coroner
{

/* A piece of work that ends with the C++ scope: judged there, unless end() was called before. */
class scope
{
public:
    explicit scope(const char *name, unsigned flags = CORONER_REPORT) noexcept
        : handle_(coroner_scope_begin(name)), flags_(flags)
    {
    }
    scope(const scope &) = delete;
    scope &operator=(const scope &) = delete;
    ~scope()
    {
        end(flags_);
    }

    /* Ends it now; answers how many entries were found. */
    std::size_t end(unsigned flags) noexcept
    {
        coroner_scope ending = std::exchange(handle_, coroner_scope{0});
        return ending.id != 0 ? coroner_scope_end(ending, flags) : 0;
    }
    coroner_scope handle() const noexcept
    {
        return handle_;
    }

private:
    coroner_scope handle_;
    unsigned flags_;
};

/* Works in a scope that was begun elsewhere, and then again in the one before. */
class entered
{
public:
    explicit entered(coroner_scope scope) noexcept : previous_(coroner_scope_enter(scope))
    {
    }
    entered(const entered &) = delete;
    entered &operator=(const entered &) = delete;
    ~entered()
    {
        coroner_scope_enter(previous_);
    }

private:
    coroner_scope previous_;
};

/* What is allocated while it lives is never reported. */
class disabled
{
public:
    disabled() noexcept
    {
        coroner_disable();
    }
    disabled(const disabled &) = delete;
    disabled &operator=(const disabled &) = delete;
    ~disabled()
    {
        coroner_enable();
    }
};

/*
 * A pointer in a local of the coroutine that runs, with a name; `done` from its end on.
 *
 *     coroner::local<bitmap *> picture("picture", make_bitmap());
 */
template <typename Pointer> class local
{
public:
    explicit local(const char *name, Pointer value = Pointer()) noexcept
        : value_(value), co_(coroner_co_current())
    {
        coroner_local(co_, name, &value_, sizeof value_);
    }
    local(const local &) = delete;
    local &operator=(const local &) = delete;
    ~local()
    {
        done();
    }

    /* It will not be read again, whatever it still says. */
    void done() noexcept
    {
        coroner_local_done(std::exchange(co_, coroner_co{0}), &value_);
    }
    local &operator=(Pointer value) noexcept
    {
        value_ = value;
        return *this;
    }
    operator Pointer() const noexcept
    {
        return value_;
    }
    Pointer operator->() const noexcept
    {
        return value_;
    }

private:
    Pointer value_;
    coroner_co co_;
};

#if defined(__cpp_lib_coroutine)

/* What co_await waits for, with what cancelling would do: see coroner_co_suspend_cancellable. */
template <typename Awaitable> struct cancellable_awaitable {
    Awaitable awaitable;
    bool has_hook;
};

/* co_await coroner::cancellable(call(), true): waits for call(), which a hook can end. */
template <typename Awaitable>
cancellable_awaitable<Awaitable &&> cancellable(Awaitable &&awaitable, bool has_hook) noexcept
{
    return {std::forward<Awaitable>(awaitable), has_hook};
}

namespace detail
{

/* The frame that this thread allocated last: the promise that is made next lies in it. */
struct frame {
    void *start;
    std::size_t bytes;
};
inline thread_local constinit frame last_frame = {nullptr, 0};

template <typename Awaitable> decltype(auto) awaiter_of(Awaitable &&awaitable)
{
    if constexpr (requires { static_cast<Awaitable &&>(awaitable).operator co_await(); })
        return static_cast<Awaitable &&>(awaitable).operator co_await();
    else if constexpr (requires { operator co_await(static_cast<Awaitable &&>(awaitable)); })
        return operator co_await(static_cast<Awaitable &&>(awaitable));
    else
        return static_cast<Awaitable &&>(awaitable);
}

enum class wait { plain, without_hook, with_hook };

/* Around the awaiter of a co_await.  Once the inner one has suspended, this may be gone. */
template <typename Awaitable> class observed
{
public:
    observed(Awaitable &&awaitable, coroner_co co, wait kind)
        : inner_(awaiter_of(std::forward<Awaitable>(awaitable))), co_(co), kind_(kind)
    {
    }

    decltype(auto) await_ready()
    {
        return inner_.await_ready();
    }
    /* Not inlined: compilers have kept an inlined one's variables in the frame it gives away. */
    template <typename Promise>
    __attribute__((noinline)) auto await_suspend(std::coroutine_handle<Promise> handle)
    {
        using answer = decltype(inner_.await_suspend(handle));
        const coroner_co co = co_;
        was_suspended_ = true;
        if (kind_ == wait::plain)
            coroner_co_suspend(co);
        else
            coroner_co_suspend_cancellable(co, kind_ == wait::with_hook);
        if constexpr (std::is_void_v<answer>) {
            refusal refused(*this);
            inner_.await_suspend(handle);
            refused.did_not_happen();
        } else if constexpr (std::is_same_v<answer, bool>) {
            refusal refused(*this);
            const bool is_suspended = inner_.await_suspend(handle);
            if (is_suspended)
                refused.did_not_happen();
            return is_suspended;
        } else {
            refusal refused(*this);
            answer next = inner_.await_suspend(handle);
            refused.did_not_happen();
            return next;
        }
    }
    decltype(auto) await_resume()
    {
        if (was_suspended_)
            coroner_co_resume(co_);
        return inner_.await_resume();
    }

private:
    /* The inner awaiter answered false or threw: it runs on, and `observed` is there still. */
    class refusal
    {
    public:
        explicit refusal(observed &waiting) noexcept : waiting_(&waiting)
        {
        }
        ~refusal()
        {
            if (waiting_ == nullptr)
                return;
            waiting_->was_suspended_ = false;
            coroner_co_resume(waiting_->co_);
        }
        void did_not_happen() noexcept
        {
            waiting_ = nullptr;
        }

    private:
        observed *waiting_;
    };

    decltype(awaiter_of(std::declval<Awaitable>())) inner_;
    coroner_co co_;
    wait kind_;
    bool was_suspended_ = false;
};

/* Around the awaiter of initial_suspend. */
template <typename Awaiter> class beginning
{
public:
    beginning(Awaiter &&inner, coroner_co co) : inner_(std::forward<Awaiter>(inner)), co_(co)
    {
    }
    bool await_ready() noexcept(noexcept(std::declval<Awaiter &>().await_ready()))
    {
        return inner_.await_ready();
    }
    template <typename Promise> auto await_suspend(std::coroutine_handle<Promise> handle)
    {
        return inner_.await_suspend(handle);
    }
    void await_resume()
    {
        coroner_co_resume(co_);
        inner_.await_resume();
    }

private:
    Awaiter inner_;
    coroner_co co_;
};

/* Around the awaiter of final_suspend. */
template <typename Awaiter> class ending
{
public:
    ending(Awaiter &&inner, coroner_co co) noexcept
        : inner_(std::forward<Awaiter>(inner)), co_(co)
    {
    }
    bool await_ready() noexcept
    {
        coroner_co_complete(co_);
        return inner_.await_ready();
    }
    template <typename Promise> auto await_suspend(std::coroutine_handle<Promise> handle) noexcept
    {
        return inner_.await_suspend(handle);
    }
    void await_resume() noexcept
    {
        inner_.await_resume();
    }

private:
    Awaiter inner_;
    coroner_co co_;
};

} // namespace detail

/*
 * The base of a promise that tells everything.  Starts suspended and stays at its end, unless
 * the derived promise says otherwise in functions of its own:
 *
 *     auto initial_suspend(const char *name = __builtin_FUNCTION())
 *     {
 *         return this->begins(std::suspend_never{}, name);
 *     }
 *     auto final_suspend() noexcept { return this->ends(resume_who_waits{}); }
 *     auto await_transform(some awaitable) { return this->waits(awaitable); }
 *
 * One that defines operator new itself tells frame_is(address, bytes) in it.
 */
template <typename Derived> class promise
{
public:
    promise() noexcept = default;
    promise(const promise &) = delete;
    promise &operator=(const promise &) = delete;

    auto initial_suspend(const char *name = __builtin_FUNCTION())
    {
        return begins(std::suspend_always{}, name);
    }
    auto final_suspend() noexcept
    {
        return ends(std::suspend_always{});
    }
    template <typename Awaitable> decltype(auto) await_transform(Awaitable &&awaitable)
    {
        return waits(std::forward<Awaitable>(awaitable));
    }

#if defined(CORONER_DISABLED)
    coroner_co co() const noexcept
    {
        return coroner_co{0};
    }

protected:
    ~promise() = default;
    template <typename Awaiter> Awaiter begins(Awaiter awaiter, const char *) noexcept
    {
        return awaiter;
    }
    template <typename Awaiter> Awaiter ends(Awaiter awaiter) noexcept
    {
        return awaiter;
    }
    template <typename Awaitable> Awaitable &&waits(Awaitable &&awaitable) noexcept
    {
        return std::forward<Awaitable>(awaitable);
    }
    template <typename Awaitable>
    Awaitable waits(cancellable_awaitable<Awaitable> &&waiting) noexcept
    {
        return std::forward<Awaitable>(waiting.awaitable);
    }
    static void frame_is(void *, std::size_t) noexcept
    {
    }
#else
    /* Its handle, to cancel it, move it or name its locals. */
    coroner_co co() const noexcept
    {
        return co_;
    }

    static void *operator new(std::size_t bytes)
    {
        void *frame = ::operator new(bytes);
        frame_is(frame, bytes);
        return frame;
    }
    static void operator delete(void *frame) noexcept
    {
        ::operator delete(frame);
    }

protected:
    ~promise()
    {
        coroner_co_destroy(co_);
    }
    static void frame_is(void *start, std::size_t bytes) noexcept
    {
        detail::last_frame = {start, bytes};
    }

    template <typename Awaiter>
    detail::beginning<Awaiter> begins(Awaiter awaiter, const char *name)
    {
        char *here = reinterpret_cast<char *>(this), *start = static_cast<char *>(frame_.start);
        if (start != nullptr && here >= start && here < start + frame_.bytes)
            co_ = coroner_co_begin_in(coroner_scope{0}, name, frame_.start, frame_.bytes,
                                      CORONER_RESULT);
        return {std::move(awaiter), co_};
    }
    template <typename Awaiter> detail::ending<Awaiter> ends(Awaiter awaiter) noexcept
    {
        return {std::move(awaiter), co_};
    }
    template <typename Awaitable> detail::observed<Awaitable> waits(Awaitable &&awaitable)
    {
        return {std::forward<Awaitable>(awaitable), co_, detail::wait::plain};
    }
    template <typename Awaitable>
    detail::observed<Awaitable> waits(cancellable_awaitable<Awaitable> &&waiting)
    {
        return {std::forward<Awaitable>(waiting.awaitable), co_,
                waiting.has_hook ? detail::wait::with_hook : detail::wait::without_hook};
    }

private:
    detail::frame frame_ = std::exchange(detail::last_frame, detail::frame{nullptr, 0});
    coroner_co co_ = {0};
#endif
};

#endif

} // namespace coroner

#endif
