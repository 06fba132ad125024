/*
 * Entry trampolines written by hand come to functions with rsp off by 8 from what the ABI says.  libc
 * bears it in malloc and its relatives, in the switches of ucontext, in calls that wait and in those
 * for signals; so it is with Coroner, on a stack with room and on one without.
 *
 * RUN:    $CASE
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE drop
 * EXPECT: lost       blocks=1 bytes=4000 allocated_in=call_off
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <coroner/coroner.h>

#include <dlfcn.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Calls a function with four arguments, and rsp off by 8. */
uintptr_t call_off(void *function, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d);
__asm__(
    ".text\n.type call_off, @function\ncall_off:\n.cfi_startproc\n"
    "mov %rdi, %r11\n mov %rsi, %rdi\n mov %rdx, %rsi\n mov %rcx, %rdx\n mov %r8, %rcx\n xor %eax, %eax\n"
    ".cfi_remember_state\n call *%r11\n ret\n.cfi_endproc\n.size call_off, .-call_off");

#define OFF(function, ...) OFF_(function, __VA_ARGS__, 0, 0, 0, 0)
#define OFF_(function, a, b, c, d, ...)                                                     \
    call_off((void *)(uintptr_t)(function), (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), \
             (uintptr_t)(d))

enum { SMALL_STACK_BYTES = 9216 };

static void *kept(uintptr_t address, size_t bytes)
{
    REQUIRE(address != 0);
    fill((void *)address, bytes);
    return (void *)address;
}

static void allocate_and_free(void)
{
    for (unsigned i = 0; i < 2000; i++) {
        void *block = kept(OFF(malloc, 10 + i), 10 + i);
        block = kept(OFF(realloc, block, 12 + i), 12 + i);
        block = kept(OFF(realloc, block, 5000 + i), 5000 + i);
        OFF(free, block);
    }
    void *block = kept(OFF(calloc, 20, 30), 600);
    REQUIRE(OFF(malloc_usable_size, block) >= 600);
    OFF(free, block);
    OFF(free, kept(OFF(reallocarray, 0, 50, 60), 3000));
    OFF(free, kept(OFF(memalign, 128, 1000), 1000));
    OFF(free, kept(OFF(aligned_alloc, 4096, 8192), 8192));
    OFF(free, kept(OFF(valloc, 100), 100));
    OFF(free, kept(OFF(pvalloc, 100), 4096));
    OFF(free, kept(OFF(malloc, 20 << 20), 20 << 20));
    REQUIRE(OFF(posix_memalign, &block, 64, 100) == 0);
    OFF(free, block);
    REQUIRE(OFF(malloc, SIZE_MAX / 2) == 0);
    void *(*operator_new)(size_t) = dlsym(RTLD_DEFAULT, "_Znwm");
    void (*operator_delete)(void *) = dlsym(RTLD_DEFAULT, "_ZdlPv");
    void *(*mallocx)(size_t, int) = dlsym(RTLD_DEFAULT, "mallocx");
    void (*dallocx)(void *, int) = dlsym(RTLD_DEFAULT, "dallocx");
    if (operator_new != NULL && operator_delete != NULL)
        OFF(operator_delete, kept(OFF(operator_new, 200), 200));
    if (mallocx != NULL && dallocx != NULL)
        OFF(dallocx, kept(OFF(mallocx, 200, 8), 200), 0);
}

static void handle(int signal)
{
    (void)signal;
}

static void call_for_signals(void)
{
    static char stack[STACK_BYTES];
    struct sigaction action = {.sa_handler = handle};
    stack_t signal_stack = {.ss_sp = stack, .ss_size = sizeof stack};
    siginfo_t news;
    sigset_t set;
    int number;
    OFF(sigfillset, &set);
    OFF(sigemptyset, &set);
    OFF(sigaddset, &set, SIGUSR1);
    REQUIRE(OFF(sigaction, SIGUSR1, &action, 0) == 0);
    REQUIRE(OFF(signal, SIGUSR2, handle) != (uintptr_t)SIG_ERR);
    OFF(sigaltstack, &signal_stack, 0);
    OFF(sigprocmask, SIG_BLOCK, &set, 0);
    OFF(raise, SIGUSR1);
    OFF(sigwait, &set, &number);
    REQUIRE(number == SIGUSR1);
    OFF(raise, SIGUSR1);
    REQUIRE(OFF(sigwaitinfo, &set, &news) == SIGUSR1);
    OFF(raise, SIGUSR1);
    REQUIRE(OFF(sigtimedwait, &set, &news, 0) == SIGUSR1);
    close((int)OFF(signalfd, -1, &set, 0));
    OFF(pthread_sigmask, SIG_UNBLOCK, &set, 0);
    OFF(sigaltstack, &(stack_t){.ss_flags = SS_DISABLE}, 0);
}

static void call_what_waits(void)
{
    struct timeval limit = {5, 0};
    char text[8] = "abc";
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    for (int i = 0; i < 2; i++) {
        OFF(write, pair[0], text, 4);
        REQUIRE(OFF(read, pair[1], text, 4) == 4);
        REQUIRE(OFF(send, pair[0], text, 4, 0) == 4);
        REQUIRE(OFF(recv, pair[1], text, 4, 0) == 4);
        setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    close(pair[0]);
    close(pair[1]);
}

static void call_probes(void)
{
    static char frame[100];
    void *co_begin = dlsym(RTLD_DEFAULT, "coroner_v1_co_begin");
    void *co_note = dlsym(RTLD_DEFAULT, "coroner_v1_co_note");
    void *scope_begin = dlsym(RTLD_DEFAULT, "coroner_v1_scope_begin");
    void *scope_end = dlsym(RTLD_DEFAULT, "coroner_v1_scope_end");
    void *check = dlsym(RTLD_DEFAULT, "coroner_v1_check");
    if (co_begin == NULL || co_note == NULL || scope_begin == NULL || scope_end == NULL ||
        check == NULL)
        return;
    uintptr_t scope = OFF(scope_begin, 0, "scope", 1);
    OFF(co_note, OFF(co_begin, scope, "coroutine", frame), CORONER_CO_DESTROYED);
    REQUIRE(OFF(check, 0, 0, 0) == 0);
    OFF(scope_end, scope, 0);
}

static void call_others(void)
{
    call_for_signals();
    call_what_waits();
    call_probes();
    void *memory = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(OFF(mprotect, memory, 4096, PROT_READ | PROT_WRITE) == 0);
    REQUIRE(OFF(munmap, memory, 8192) == 0);
    void *library = dlopen("libm.so.6", RTLD_NOW);
    REQUIRE(library == NULL || OFF(dlclose, library) == 0);
}

static ucontext_t back, context;

static void run(void)
{
    allocate_and_free();
    OFF(swapcontext, &context, &back);
    allocate_and_free();
    OFF(setcontext, &back);
}

static void run_on(char *stack, size_t bytes)
{
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = bytes;
    context.uc_link = &back;
    OFF(makecontext, &context, run, 0);
    OFF(swapcontext, &back, &context);
    OFF(swapcontext, &back, &context);
    free(stack);
}

NOINLINE static void drop(void)
{
    kept(OFF(malloc, 4000), 4000);
}

int main(int argc, char **argv)
{
    (void)argc;
    allocate_and_free();
    call_others();
    run_on(malloc(STACK_BYTES), STACK_BYTES);
    run_on(malloc(SMALL_STACK_BYTES), SMALL_STACK_BYTES);
    if (said(argv, "drop"))
        drop();
    wipe();
    return 0;
}
