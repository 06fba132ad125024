/*
 * Every way to set a handler shows what the program set itself, never the handler of ours that
 * stands in for SIG_DFL, and after each way back to SIG_DFL the process is still checked when the
 * signal ends it.
 *
 * BUILD: once
 * FLAGS: -Wno-deprecated-declarations
 *
 * RUN:    for style in signal ssignal bsd_signal sysv_signal sigset sigvec sigaction; do coroner run --format=json --output=report.json $CASE $style; echo $?; done
 * EXPECT: lost       blocks=1 bytes=456 allocated_in=make_order
 * EXPECT: stdout     /^(23\n){7}$/
 */
#include "case.h"

#include <dlfcn.h>

struct bsd_action {
    sighandler_t handler;
    int mask, flags;
};
sighandler_t bsd_signal(int number, sighandler_t handler);

GLOBAL char *kept;
GLOBAL volatile sig_atomic_t handled;

static void handle(int number)
{
    handled += number;
}

static sighandler_t by_sigaction(int number, sighandler_t handler)
{
    struct sigaction action = {.sa_handler = handler}, old;
    REQUIRE(sigaction(number, &action, &old) == 0);
    return old.sa_handler;
}

static sighandler_t by_sigvec(int number, sighandler_t handler)
{
    /* The linker does not know it any more; only old binaries have it. */
    int (*sigvec)(int, const struct bsd_action *, struct bsd_action *) =
        (int (*)(int, const struct bsd_action *, struct bsd_action *))dlsym(RTLD_DEFAULT, "sigvec");
    struct bsd_action action = {handler, 1 << (SIGUSR1 - 1), 0}, old;
    REQUIRE(sigvec != NULL && sigvec(number, &action, &old) == 0);
    return old.handler;
}

static const struct style {
    const char *name;
    sighandler_t (*set)(int, sighandler_t);
} styles[] = {
    {"signal", signal},           {"ssignal", ssignal}, {"bsd_signal", bsd_signal},
    {"sysv_signal", sysv_signal}, {"sigset", sigset},   {"sigvec", by_sigvec},
    {"sigaction", by_sigaction},
};

static bool is_blocked(int number)
{
    sigset_t current;
    REQUIRE(sigprocmask(SIG_SETMASK, NULL, &current) == 0);
    return sigismember(&current, number) == 1;
}

static void all_see_the_same(int number, sighandler_t (*set)(int, sighandler_t))
{
    REQUIRE(set(number, handle) == SIG_DFL);
    for (unsigned i = 0; i < sizeof styles / sizeof *styles; i++)
        REQUIRE(styles[i].set(number, handle) == handle);
    REQUIRE(set(number, SIG_IGN) == handle);
    REQUIRE(raise(number) == 0);
    REQUIRE(set(number, SIG_DFL) == SIG_IGN);
    for (unsigned i = 0; i < sizeof styles / sizeof *styles; i++)
        REQUIRE(styles[i].set(number, SIG_DFL) == SIG_DFL);
}

static void system_v(int number)
{
    REQUIRE(sigset(number, SIG_HOLD) == SIG_DFL && is_blocked(number));
    REQUIRE(sigset(number, handle) == SIG_HOLD && !is_blocked(number));
    REQUIRE(sighold(number) == 0 && is_blocked(number));
    handled = 0;
    REQUIRE(raise(number) == 0 && handled == 0);
    REQUIRE(sigrelse(number) == 0 && handled == number);
    REQUIRE(sigignore(number) == 0 && sigset(number, SIG_DFL) == SIG_IGN);
    REQUIRE(siginterrupt(number, 1) == 0 && sigset(number, SIG_DFL) == SIG_DFL);
}

NOINLINE static char *make_order(void)
{
    char *order = malloc(456);
    fill(order, 456);
    return order;
}

int main(int argc, char **argv)
{
    static const int deadly[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    sighandler_t (*set)(int, sighandler_t) = NULL;
    kept = make_order();
    for (unsigned i = 0; i < sizeof styles / sizeof *styles; i++)
        if (argc > 1 && strcmp(argv[1], styles[i].name) == 0)
            set = styles[i].set;
    REQUIRE(set != NULL);
    for (unsigned i = 0; i < sizeof deadly / sizeof *deadly; i++) {
        all_see_the_same(deadly[i], set);
        system_v(deadly[i]);
    }
    set(SIGTERM, handle);
    set(SIGTERM, SIG_DFL);
    kept = NULL;
    wipe();
    raise(SIGTERM);
    return 6;
}
