/*
 * A system call changes rax, rcx and r11 and no other register, also when a check stops its thread
 * and the call goes on: general registers, vector registers and the alternate signal stack are as
 * they were, for calls of every kind.
 *
 * BUILD: once
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: stdout     /^kept$/
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE own-stack
 * EXPECT: none
 * EXPECT: stdout     /^kept$/
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

__attribute__((weak)) int __lsan_do_recoverable_leak_check(void);

enum { ARGUMENTS = 6, VECTORS = 16, LIMIT_MS = 100 };
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

/* What goes into the registers, and what they hold behind the call. */
struct registers {
    uint64_t result, arguments[ARGUMENTS]; /* rdi rsi rdx r10 r8 r9 */
    uint64_t others[5];                    /* rbx r12 r13 r14 r15 */
    unsigned char vectors[VECTORS][16];
};

/*
 * Makes a call with all registers from *in, and stores them in *out.  Its number is in the code.
 * 128: the compiler may have put something below rsp.
 */
#define CALL(name)                                                                               \
    NOINLINE static long call_##name(const struct registers *in, struct registers *out)          \
    {                                                                                            \
        long result;                                                                             \
        __asm__ volatile(                                                                        \
            "subq $128, %%rsp\n pushq %%rbp\n pushq %[out]\n movq %[in], %%rbp\n"                \
            "movq 8(%%rbp), %%rdi\n movq 16(%%rbp), %%rsi\n"                                     \
            "movq 24(%%rbp), %%rdx\n movq 32(%%rbp), %%r10\n movq 40(%%rbp), %%r8\n"             \
            "movq 48(%%rbp), %%r9\n movq 56(%%rbp), %%rbx\n movq 64(%%rbp), %%r12\n"             \
            "movq 72(%%rbp), %%r13\n movq 80(%%rbp), %%r14\n movq 88(%%rbp), %%r15\n"            \
            ".set n, 0\n .macro load r\n movdqu 96 + 16 * n(%%rbp), %%xmm\\r\n"                  \
            ".set n, n + 1\n .endm\n"                                                            \
            ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"                                    \
            "load \\r\n .endr\n .purgem load\n"                                                  \
            "movl %[number], %%eax\n syscall\n"                                                  \
            "popq %%rbp\n movq %%rax, (%%rbp)\n movq %%rdi, 8(%%rbp)\n movq %%rsi, 16(%%rbp)\n"  \
            "movq %%rdx, 24(%%rbp)\n movq %%r10, 32(%%rbp)\n movq %%r8, 40(%%rbp)\n"             \
            "movq %%r9, 48(%%rbp)\n movq %%rbx, 56(%%rbp)\n movq %%r12, 64(%%rbp)\n"             \
            "movq %%r13, 72(%%rbp)\n movq %%r14, 80(%%rbp)\n movq %%r15, 88(%%rbp)\n"            \
            ".set n, 0\n .macro store r\n movdqu %%xmm\\r, 96 + 16 * n(%%rbp)\n"                 \
            ".set n, n + 1\n .endm\n"                                                            \
            ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"                                    \
            "store \\r\n .endr\n .purgem store\n"                                                \
            "popq %%rbp\n addq $128, %%rsp\n"                                                    \
            : "=a"(result), [in] "+D"(in), [out] "+S"(out)                                       \
            : [number] "i"(SYS_##name)                                                           \
            : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", \
              "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",   \
              "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc", "memory");                      \
        return result;                                                                           \
    }
CALL(nanosleep)
CALL(poll)
CALL(clock_nanosleep)
CALL(ppoll)
CALL(recvfrom)
CALL(read)
CALL(epoll_wait)

static const struct timespec limit = {0, LIMIT_MS * 1000000};
GLOBAL struct timespec left;
GLOBAL int epoll_fd, socket_fd;
GLOBAL char byte, own_stack[65536];
GLOBAL bool has_own_stack;
GLOBAL atomic_bool has_ended;
GLOBAL uintptr_t handled_at;

static void handle(int number)
{
    char here;
    (void)number;
    handled_at = (uintptr_t)&here;
}

/* A call that goes on gets another limit, in the argument that has it; -1: it does not. */
static void one(int number, long (*call)(const struct registers *, struct registers *),
                const uint64_t arguments[ARGUMENTS], int limit_argument, long expect)
{
    struct registers in, out;
    memset(&out, 0, sizeof out);
    for (size_t i = 0; i < sizeof in; i++)
        ((unsigned char *)&in)[i] = (unsigned char)(i * 13 + (size_t)number);
    for (unsigned i = 0; i < ARGUMENTS; i++)
        if (arguments[i] != UINT64_MAX)
            in.arguments[i] = arguments[i];
    left = limit;
    long result = call(&in, &out);
    if (result != expect) {
        fprintf(stderr, "system call %d: %ld\n", number, result);
        _Exit(99);
    }
    if (limit_argument >= 0)
        out.arguments[limit_argument] = in.arguments[limit_argument];
    REQUIRE(memcmp(in.arguments, out.arguments, sizeof in.arguments) == 0);
    REQUIRE(memcmp(in.others, out.others, sizeof in.others) == 0);
    REQUIRE(memcmp(in.vectors, out.vectors, sizeof in.vectors) == 0);
}

#define ANY UINT64_MAX /* the kernel does not look */
static void *run(void *unused)
{
    uint64_t time = (uint64_t)(uintptr_t)&limit, rest = (uint64_t)(uintptr_t)&left;
    uint64_t place = (uint64_t)(uintptr_t)&byte, epoll = (uint64_t)epoll_fd;
    struct epoll_event event;
    stack_t stack = {.ss_sp = own_stack, .ss_size = sizeof own_stack, .ss_flags = SS_AUTODISARM};
    if (has_own_stack)
        REQUIRE(sigaltstack(&stack, NULL) == 0);
    one(SYS_nanosleep, call_nanosleep, (uint64_t[]){time, 0, ANY, ANY, ANY, ANY}, -1, 0);
    one(SYS_poll, call_poll, (uint64_t[]){0, 0, LIMIT_MS, ANY, ANY, ANY}, -1, 0);
    one(SYS_clock_nanosleep, call_clock_nanosleep,
        (uint64_t[]){CLOCK_MONOTONIC, 0, time, 0, ANY, ANY}, -1, 0);
    one(SYS_ppoll, call_ppoll, (uint64_t[]){0, 0, rest, 0, 8, ANY}, -1, 0);
    one(SYS_recvfrom, call_recvfrom, (uint64_t[]){(uint64_t)socket_fd, place, 1, 0, 0, 0}, -1,
        -EAGAIN);
    one(SYS_read, call_read, (uint64_t[]){(uint64_t)socket_fd, place, 1, ANY, ANY, ANY}, -1,
        -EAGAIN);
    one(SYS_epoll_wait, call_epoll_wait,
        (uint64_t[]){epoll, (uint64_t)(uintptr_t)&event, 1, LIMIT_MS, ANY, ANY}, 3, 0);
    if (has_own_stack) {
        raise(SIGUSR1);
        REQUIRE(handled_at - (uintptr_t)own_stack < sizeof own_stack);
        REQUIRE(sigaltstack(NULL, &stack) == 0 && stack.ss_sp == own_stack);
    }
    has_ended = true;
    return unused;
}

int main(int argc, char **argv)
{
    (void)argc;
    pthread_t thread;
    int ends[2];
    const struct timeval limit_us = {0, LIMIT_MS * 1000};
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
    has_own_stack = said(argv, "own-stack");
    REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
    REQUIRE((epoll_fd = epoll_create1(0)) >= 0);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    socket_fd = ends[0];
    REQUIRE(setsockopt(socket_fd, SOL_SOCKET, SO_RCVTIMEO, &limit_us, sizeof limit_us) == 0);
    REQUIRE(pthread_create(&thread, NULL, run, NULL) == 0);
    REQUIRE(__lsan_do_recoverable_leak_check != NULL);
    while (!has_ended)
        __lsan_do_recoverable_leak_check();
    REQUIRE(pthread_join(thread, NULL) == 0);
    puts("kept");
    return 0;
}
