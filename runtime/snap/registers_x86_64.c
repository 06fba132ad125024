/*
 * Registers on x86-64.  See registers.h.
 */
#include "snap/registers.h"
#include "snap/machine.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

/*
 * How many arguments a call takes that may wait, and 1.  What is not in the table is taken to need
 * all registers.  futex(2) has a fifth and a sixth one only where it wakes others.
 */
static const uint8_t arguments_and_1[] = {
    [SYS_read] = 4,    [SYS_write] = 4,         [SYS_poll] = 4,
    [SYS_ioctl] = 4,   [SYS_pread64] = 5,       [SYS_pwrite64] = 5,
    [SYS_readv] = 4,   [SYS_writev] = 4,        [SYS_sched_yield] = 1,
    [SYS_select] = 6,  [SYS_pause] = 1,         [SYS_nanosleep] = 3,
    [SYS_connect] = 4, [SYS_accept] = 4,        [SYS_recvmsg] = 4,
    [SYS_sendmsg] = 4, [SYS_wait4] = 5,         [SYS_semop] = 4,
    [SYS_msgsnd] = 5,  [SYS_msgrcv] = 6,        [SYS_fcntl] = 4,
    [SYS_flock] = 3,   [SYS_fsync] = 2,         [SYS_fdatasync] = 2,
    [SYS_futex] = 5,   [SYS_rt_sigsuspend] = 3, [SYS_semtimedop] = 5,
    [SYS_waitid] = 6,  [SYS_epoll_wait] = 5,    [SYS_clock_nanosleep] = 5,
    [SYS_ppoll] = 6,   [SYS_accept4] = 5,       [SYS_rt_sigtimedwait] = 5,
};

static uintptr_t libc_start, libc_end;

void crn_registers_learn_libc(const void *address)
{
    struct dl_find_object found;
    if (_dl_find_object((void *)address, &found) != 0)
        return;
    libc_start = (uintptr_t)found.dlfo_map_start;
    libc_end = (uintptr_t)found.dlfo_map_end;
}

/* How many arguments the call of libc's takes that the thread is in; -1: not known, or in none. */
static int call_read(const ucontext_t *context, struct crn_call *call)
{
    uintptr_t pc = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    if (pc - libc_start >= libc_end - libc_start)
        return -1;
    ucontext_t copy = *context;
    *call = crn_call_read(&copy);
    return call->state != CRN_CALL_NONE && call->number >= 0 &&
                   call->number < (long)CRN_COUNT_OF(arguments_and_1)
               ? arguments_and_1[call->number] - 1
               : -1;
}

/* The kernel saves vector registers with every context of its own. */
static bool is_made(const ucontext_t *context)
{
    return context->uc_mcontext.fpregs == NULL;
}

void crn_registers_make(ucontext_t *context, const struct crn_saved_registers *registers)
{
    greg_t *general = context->uc_mcontext.gregs;
    memset(context, 0, sizeof *context);
    general[REG_RBX] = (greg_t)registers->rbx;
    general[REG_RBP] = (greg_t)registers->rbp;
    general[REG_R12] = (greg_t)registers->r12;
    general[REG_R13] = (greg_t)registers->r13;
    general[REG_R14] = (greg_t)registers->r14;
    general[REG_R15] = (greg_t)registers->r15;
    general[REG_RSP] = (greg_t)registers->rsp;
    general[REG_RIP] = (greg_t)registers->pc;
}

struct crn_frame crn_registers_frame(const ucontext_t *context)
{
    const greg_t *general = context->uc_mcontext.gregs;
    return (struct crn_frame){(uintptr_t)general[REG_RIP], (uintptr_t)general[REG_RSP],
                              (uintptr_t)general[REG_RBP], !is_made(context)};
}

bool crn_registers_are_waiting(const ucontext_t *context)
{
    struct crn_call call;
    return is_made(context) || call_read(context, &call) >= 0;
}

bool crn_registers_output(const ucontext_t *context, struct crn_range *output)
{
    enum { ROOM_MAX = 65536 };
    struct crn_call call;
    if (is_made(context) || call_read(context, &call) < 0 || call.number != SYS_epoll_wait ||
        call.arguments[2] - 1 >= ROOM_MAX)
        return false;
    *output = (struct crn_range){
        call.arguments[1], call.arguments[1] + call.arguments[2] * sizeof(struct epoll_event)};
    return true;
}

uintptr_t crn_registers_low(const ucontext_t *context)
{
    enum { RED_ZONE_BYTES = 128 }; /* System V ABI: a leaf function keeps data below sp */
    uintptr_t sp = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
    return crn_registers_are_waiting(context) ? sp : sp - RED_ZONE_BYTES;
}

unsigned crn_registers_read(const ucontext_t *context, uintptr_t out[CRN_REGISTERS_MAX])
{
    static const uint8_t kept[] = {REG_RBX, REG_RBP, REG_R12, REG_R13, REG_R14, REG_R15, REG_RSP};
    enum { OF_CALLEES = 6 };
    const greg_t *registers = context->uc_mcontext.gregs;
    struct crn_call call;
    int arguments = is_made(context) ? 0 : call_read(context, &call);
    size_t kept_count = is_made(context) ? OF_CALLEES : CRN_COUNT_OF(kept);
    unsigned count = 0;
    for (unsigned i = 0; i <= REG_RIP && arguments < 0; i++)
        out[count++] = (uintptr_t)registers[i];
    for (unsigned i = 0; i < kept_count && arguments >= 0; i++)
        out[count++] = (uintptr_t)registers[kept[i]];
    for (int i = 0; i < arguments; i++)
        out[count++] = call.arguments[i];
    return count;
}
