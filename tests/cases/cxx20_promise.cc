/*
 * A C++20 coroutine whose promise is coroner::promise tells everything itself, and is judged once:
 * by what it said, not again by what its frame looks like.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: stdout     7
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=2 coroutines.destroyed=2
 * EXPECT: exit       status=0
 *
 * Forgotten while they wait, both are abandoned, and the local has its name.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE forgotten
 * EXPECT: abandoned  blocks=3 mechanism=probe
 * EXPECT: abandoned  blocks=1 bytes=100 mechanism=probe coroutine=child local=buffer \
 *                    allocated_in=make_buffer
 * EXPECT: summary    coroutines.seen=2 coroutines.abandoned=2
 * EXPECT: exit       status=23
 *
 * What a completed one holds may be a result that is yet to be taken, while its handle is held ...
 *
 * RUN:    coroner run --format=json --output=report.json $CASE result
 * EXPECT: completed  blocks=1 bytes=200 mechanism=probe coroutine=compute confidence=likely
 * EXPECT: summary    coroutines.seen=1 coroutines.completed=1
 * EXPECT: exit       status=0
 *
 * ... and is a leak with its frame when nobody has the handle any more, or its scope has ended.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE dropped
 * EXPECT: completed  blocks=2 mechanism=probe coroutine=compute confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE scoped
 * EXPECT: stdout     0 found, then 1
 * EXPECT: completed  blocks=1 bytes=200 mechanism=probe coroutine=compute confidence=proven
 * EXPECT: exit       status=23
 *
 * An awaiter that does not suspend after all, one that throws, a coroutine that is cancelled.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE refusing
 * EXPECT: stdout     thrown 5
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=1 coroutines.destroyed=1
 *
 * Without Coroner it is an ordinary program.
 *
 * RUN:    $CASE
 * EXPECT: stdout     7
 * EXPECT: stderr-lines 0
 */
#include "case.h"

#include <coroner/coroner.hpp>
#include <exception>

struct task {
    struct promise_type : coroner::promise<promise_type> {
        std::coroutine_handle<> awaiting;
        char *value = nullptr;

        struct resume_awaiting {
            bool await_ready() noexcept
            {
                return false;
            }
            std::coroutine_handle<>
            await_suspend(std::coroutine_handle<promise_type> self) noexcept
            {
                std::coroutine_handle<> next = self.promise().awaiting;
                return next ? next : std::noop_coroutine();
            }
            void await_resume() noexcept
            {
            }
        };

        task get_return_object()
        {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        auto final_suspend() noexcept
        {
            return this->ends(resume_awaiting{});
        }
        void return_value(char *given)
        {
            value = given;
        }
        void unhandled_exception()
        {
            std::terminate();
        }
    };

    std::coroutine_handle<promise_type> handle;

    bool await_ready()
    {
        return false;
    }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting)
    {
        handle.promise().awaiting = awaiting;
        return handle;
    }
    void await_resume()
    {
    }
};

static std::coroutine_handle<> waiting;

struct reply {
    bool await_ready()
    {
        return false;
    }
    void await_suspend(std::coroutine_handle<> self)
    {
        waiting = self;
    }
    int await_resume()
    {
        return 7;
    }
};

/* Answers at once, by not suspending or by an exception. */
struct refusing {
    bool throws;

    bool await_ready()
    {
        return false;
    }
    bool await_suspend(std::coroutine_handle<>)
    {
        if (throws)
            throw 5;
        return false;
    }
    void await_resume()
    {
    }
};

NOINLINE static char *make_buffer(size_t bytes)
{
    char *buffer = (char *)malloc(bytes);
    REQUIRE(buffer != nullptr);
    fill(buffer, bytes);
    return buffer;
}

static task child(int *answer)
{
    coroner::local<char *> buffer("buffer", make_buffer(100));
    *answer = co_await coroner::cancellable(reply{}, true);
    free(buffer);
    co_return nullptr;
}

static task parent()
{
    int answer = 0;
    task inner = child(&answer);
    co_await inner;
    inner.handle.destroy();
    printf("%d\n", answer);
    co_return nullptr;
}

static task compute()
{
    co_return make_buffer(200);
}

static task refused()
{
    int thrown = 0;
    co_await refusing{false};
    try {
        co_await refusing{true};
    } catch (int number) {
        thrown = number;
    }
    REQUIRE(!coroner_is_active() || coroner_co_current().id != 0);
    printf("thrown %d\n", thrown);
    co_return nullptr;
}

GLOBAL std::coroutine_handle<task::promise_type> kept;

NOINLINE static void forget()
{
    parent().handle.resume();
    waiting = nullptr;
}

NOINLINE static void finish()
{
    REQUIRE(waiting);
    waiting.resume();
    kept.destroy();
}

NOINLINE static void compute_one()
{
    kept = compute().handle;
    kept.resume();
}

NOINLINE static void in_scope()
{
    coroner::scope scope("request", CORONER_SILENT);
    coroner_summary summary;
    compute_one();
    wipe();
    coroner_check(CORONER_SILENT, &summary);
    printf("%zu found, then ", summary.leaked_blocks - summary.likely_blocks);
    wipe();
    printf("%zu\n", scope.end(CORONER_SILENT));
}

NOINLINE static void refuse()
{
    task one = refused();
    one.handle.resume();
    one.handle.destroy();
}

int main(int, char **argv)
{
    if (said(argv, "forgotten")) {
        forget();
    } else if (said(argv, "result") || said(argv, "dropped")) {
        compute_one();
        if (said(argv, "dropped"))
            kept = nullptr;
    } else if (said(argv, "scoped")) {
        in_scope();
    } else if (said(argv, "refusing")) {
        refuse();
    } else {
        kept = parent().handle;
        kept.resume();
        finish();
    }
    fflush(stdout);
    wipe();
    return 0;
}
