/*
 * What a program set for a signal, sigaction tells it again, word for word: flags and mask of a
 * default action, too, where Coroner has a handler of its own, and also after signal(2).
 *
 * BUILD: once
 *
 * RUN:    $CASE > plain; coroner run --format=json --output=report.json $CASE > watched; \
 *         cmp plain watched && wc -l < plain
 * EXPECT: stdout     /^1425\n$/
 * EXPECT: none
 */
#include "case.h"

#include <signal.h>

enum { LAST = 61 /* the end of the range is ours, so SIGRTMAX differs */ };

static void handle(int number)
{
    (void)number;
}

static const char *name_of(sighandler_t handler)
{
    return handler == SIG_DFL ? "default" : handler == SIG_IGN ? "ignored" : "handled";
}

static void answer_print(int number)
{
    struct sigaction action;
    REQUIRE(sigaction(number, NULL, &action) == 0);
    printf("%d %s %x", number, name_of(action.sa_handler), (unsigned)action.sa_flags);
    for (int i = 1; i <= LAST; i++)
        if (sigismember(&action.sa_mask, i))
            printf(" %d", i);
    putchar('\n');
}

static void try_all(int number)
{
    static const int flags[] = {
        0,
        SA_RESTART,
        SA_NODEFER,
        (int)SA_RESETHAND,
        SA_ONSTACK,
        SA_SIGINFO,
        SA_NOCLDSTOP | SA_NOCLDWAIT,
    };
    static const sighandler_t handlers[] = {SIG_DFL, SIG_IGN, handle};
    answer_print(number);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned k = 0; k < sizeof flags / sizeof *flags; k++) {
            struct sigaction action = {.sa_handler = handlers[i], .sa_flags = flags[k]};
            sigfillset(&action.sa_mask);
            sigdelset(&action.sa_mask, (int)(1 + k));
            REQUIRE(sigaction(number, &action, NULL) == 0);
            answer_print(number);
        }
    }
    for (unsigned i = 0; i < 3; i++) {
        signal(number, handlers[2 - i]);
        answer_print(number);
    }
}

int main(void)
{
    for (int number = 1; number <= LAST; number++)
        if (number != SIGKILL && number != SIGSTOP && number != 32 && number != 33)
            try_all(number);
    wipe();
    return 0;
}
