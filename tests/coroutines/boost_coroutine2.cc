/*
 * Boost.Coroutine2 on top of Boost.Context, with malloc'ed and with mapped stacks.
 *
 * Healthy: 40 coroutines, 100 switches each way; 20 end and keep their stacks; 20 wait.
 * Planted: 5 of each kind whose objects are lost while they wait.
 *
 * FLAGS:  -l:libboost_context.so.1.81.0
 *
 * RUN:    coroner run $CASE
 * EXPECT: none
 * EXPECT: summary coroutines.seen=40 coroutines.abandoned=0
 * EXPECT: coroutines mechanism=fcontext count=40
 *
 * RUN:    coroner run $CASE planted heap
 * EXPECT: abandoned blocks=5 bytes=5000 allocated_in=payload_new mechanism=fcontext
 * EXPECT: abandoned total_blocks=10
 * EXPECT: lost blocks=5 bytes=40 allocated_in=plant
 *
 * RUN:    coroner run $CASE planted mapped
 * EXPECT: abandoned blocks=5 bytes=5000 allocated_in=payload_new mechanism=fcontext
 * EXPECT: lost blocks=5 bytes=40 allocated_in=plant
 */
#include "../cases/case.h"

#include <boost/context/protected_fixedsize_stack.hpp>
#include <boost/coroutine2/all.hpp>
#include <vector>

enum { COROUTINES = 40, PLANTED = 5, ROUNDS = 100 };

using coroutine = boost::coroutines2::coroutine<long>;

static std::vector<coroutine::pull_type> *coroutines;
GLOBAL coroutine::pull_type *volatile last;
GLOBAL long total;

NOINLINE static char *payload_new(void)
{
    char *payload = static_cast<char *>(malloc(1000));
    fill(payload, 1000);
    return payload;
}

struct body {
    long rounds;
    void operator()(coroutine::push_type &yield)
    {
        char *volatile payload = payload_new();
        for (long i = 0; i < rounds; i++)
            yield(i);
        free(payload);
    }
};

NOINLINE static void work(void)
{
    coroutines = new std::vector<coroutine::pull_type>;
    for (int i = 0; i < COROUTINES; i++) {
        body one{i % 4 < 2 ? ROUNDS : 2 * ROUNDS};
        if (i % 2)
            coroutines->emplace_back(boost::context::fixedsize_stack(), one);
        else
            coroutines->emplace_back(boost::context::protected_fixedsize_stack(), one);
    }
    for (int round = 0; round < ROUNDS; round++)
        for (auto &one : *coroutines) {
            total += one.get();
            one();
        }
}

NOINLINE static void plant(bool is_mapped)
{
    for (int i = 0; i < PLANTED; i++) {
        if (is_mapped)
            last = new coroutine::pull_type(boost::context::protected_fixedsize_stack(),
                                            body{ROUNDS});
        else
            last = new coroutine::pull_type(boost::context::fixedsize_stack(), body{ROUNDS});
        (*last)();
    }
    last = nullptr;
}

int main(int argc, char **argv)
{
    (void)argc;
    if (said(argv, "planted"))
        plant(said(argv, "mapped"));
    else
        work();
    printf("total %ld\n", total);
    fflush(stdout);
    wipe();
    _exit(0);
}
