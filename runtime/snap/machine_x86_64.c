/*
 * Interrupted system calls on x86-64.  See machine.h, and leave_x86_64.S for the jumps.
 *
 * A call is `syscall` (0f 05); rip is behind it, rax has the result, the arguments are still in
 * rdi, rsi, rdx, r10, r8, r9.  Its number was in rax and is gone.  Where the kernel lets the call
 * be issued again, rip is before it and rax has the number; rcx still has the address behind it,
 * which tells a call that has begun from one that has not.
 *
 * The number is looked for in the code: nearly always `mov $number, %eax` stands shortly before.
 * What lies between is read forwards, instruction by instruction, so that no byte inside another
 * instruction is taken for one.
 */
#include "snap/machine.h"
#include "snap/resume.h"
#include "base/sys.h"
#include "snap/partial.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

enum { SYSCALL_BYTES = 2, LOOK_BACK_BYTES = 64, NUMBERS_END = 1024, RED_ZONE_BYTES = 128 };

/* Labels in leave_x86_64.S. */
extern const char crn_restart_open[], crn_restart_flags[], crn_restart_zone[], crn_restart_jump[];
extern const char crn_poll_begin[], crn_poll_issued[];
extern const char crn_rest_begin[], crn_rest_first[], crn_rest_second[];

/* What each leaves on the program's stack, below its red zone; their layout is known there. */
struct restart_frame {
    uint64_t mask;
    uintptr_t rdi, rsi, rdx, r10, rip, flags;
};
struct poll_frame {
    struct pollfd wait;
    struct timespec left;
    long at_limit, number;
    uintptr_t arguments[6], rip;
};
struct rest_frame {
    long done;
    uintptr_t rip, arguments[6];
    struct crn_piece first, second; /* number 0: there is no second */
    struct msghdr header;           /* of the second */
};
_Static_assert(sizeof(struct rest_frame) == 248, "leave_x86_64.S");
_Static_assert(sizeof(struct restart_frame) == 56, "leave_x86_64.S");
_Static_assert(sizeof(struct poll_frame) == 96, "leave_x86_64.S");
_Static_assert(offsetof(ucontext_t, uc_mcontext.gregs) == 40, "leave_x86_64.S");
_Static_assert(offsetof(ucontext_t, uc_mcontext.fpregs) == 224, "leave_x86_64.S");

__attribute__((noreturn)) void
crn_restart_leave(const ucontext_t *context, const struct restart_frame *frame, uint64_t features);

static const uint8_t argument_registers[] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};

__thread long crn_syscall_number;
static const void *syscall_issued;

void crn_resume_trust_syscall(const void *issued)
{
    syscall_issued = issued;
}

static uintptr_t get(const ucontext_t *context, int which)
{
    return (uintptr_t)context->uc_mcontext.gregs[which];
}

static void set(ucontext_t *context, int which, uintptr_t value)
{
    context->uc_mcontext.gregs[which] = (greg_t)value;
}

uintptr_t crn_call_sp(const ucontext_t *context)
{
    return get(context, REG_RSP);
}

void crn_call_argument_set(ucontext_t *context, unsigned argument, uintptr_t value)
{
    set(context, argument_registers[argument], value);
}

uint64_t crn_ticks_now(void)
{
    return __builtin_ia32_rdtsc();
}

/* An instruction's general form, as far as we need it: where its ModRM byte and constant are. */
struct form {
    uint8_t has_modrm, constant_bytes;
    bool writes_reg, writes_rm; /* which operand is its target */
};

static const struct opcode {
    uint8_t opcode;
    struct form form;
} opcodes[] = {
    {0x01, {1, 0, false, true}},  {0x09, {1, 0, false, true}},  {0x21, {1, 0, false, true}},
    {0x29, {1, 0, false, true}},  {0x31, {1, 0, false, true}},  {0x89, {1, 0, false, true}},
    {0x03, {1, 0, true, false}},  {0x0b, {1, 0, true, false}},  {0x23, {1, 0, true, false}},
    {0x2b, {1, 0, true, false}},  {0x33, {1, 0, true, false}},  {0x63, {1, 0, true, false}},
    {0x8b, {1, 0, true, false}},  {0x8d, {1, 0, true, false}}, /* add or and sub xor mov lea */
    {0x39, {1, 0, false, false}}, {0x3b, {1, 0, false, false}}, {0x85, {1, 0, false, false}},
    {0x80, {1, 1, false, true}},  {0x83, {1, 1, false, true}},  {0xc0, {1, 1, false, true}},
    {0xc1, {1, 1, false, true}},  {0xc6, {1, 1, false, true}},  {0x81, {1, 4, false, true}},
    {0xc7, {1, 4, false, true}},  {0x90, {0, 0, false, false}},
};

/* Of the opcodes that compilers put between a number and its call; `is_two`: behind 0f. */
static bool form_find(uint8_t opcode, bool is_two, bool is_wide, struct form *form)
{
    *form = (struct form){is_two, 0, false, false};
    if (is_two) {
        form->writes_reg = (opcode & 0xf0) == 0x40 || (opcode & 0xf6) == 0xb6; /* cmov, movzx */
        form->writes_rm = (opcode & 0xf0) == 0x90;                             /* setcc */
        /* and moves of vector registers, and the long nop */
        return form->writes_reg || form->writes_rm || opcode == 0x10 || opcode == 0x11 ||
               opcode == 0x28 || opcode == 0x29 || opcode == 0x6f || opcode == 0x7f ||
               opcode == 0x1f;
    }
    for (unsigned i = 0; i < CRN_COUNT_OF(opcodes); i++) {
        if (opcodes[i].opcode == opcode) {
            *form = opcodes[i].form;
            return true;
        }
    }
    if (opcode >= 0xb9 && opcode <= 0xbf) /* mov of a constant; 0xb8 with REX.B is the same */
        form->constant_bytes = is_wide ? 8 : 4;
    return (opcode >= 0xb9 && opcode <= 0xbf) || (opcode >= 0x50 && opcode <= 0x5f);
}

/* Bytes of the instruction at `code`; 0: it is none that we know, or it writes eax. */
static unsigned stride(const uint8_t *code, unsigned room)
{
    unsigned at = 0;
    uint8_t rex = 0;
    struct form form;
    while (at < room && (code[at] == 0x66 || code[at] == 0x64 || code[at] == 0xf3))
        at++;
    if (at < room && (code[at] & 0xf0) == 0x40)
        rex = code[at++];
    bool is_two = at < room && code[at] == 0x0f;
    at += is_two;
    if (at >= room)
        return 0;
    uint8_t opcode = code[at++];
    if (opcode == 0xb8 && (rex & 1) != 0 && !is_two)
        opcode = 0xbf;
    if (!form_find(opcode, is_two, (rex & 8) != 0, &form) || opcode == 0x58)
        return 0;
    if (form.has_modrm) {
        if (at >= room)
            return 0;
        uint8_t modrm = code[at++], mode = modrm >> 6, rm = modrm & 7, reg = modrm >> 3 & 7;
        if ((form.writes_reg && reg == 0 && (rex & 4) == 0) ||
            (form.writes_rm && mode == 3 && rm == 0 && (rex & 1) == 0))
            return 0;
        if (mode != 3 && rm == 4 && at < room && (code[at++] & 7) == 5 && mode == 0)
            at += 4;
        at += mode == 1 ? 1 : mode == 2 || (mode == 0 && rm == 5) ? 4 : 0;
    }
    at += form.constant_bytes;
    return at <= room ? at : 0;
}

/* Does straight code that leaves eax alone lead from here to the end? */
static bool leads_to_end(const uint8_t *code, unsigned room)
{
    while (room > 0) {
        unsigned bytes = stride(code, room);
        if (bytes == 0)
            return false;
        code += bytes;
        room -= bytes;
    }
    return true;
}

/* `mov %register, %eax` (89, 8b) right before the call: which register; -1: it is not so. */
static int copied_register(const uint8_t *end)
{
    static const uint8_t registers[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                        REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                        REG_R12, REG_R13, REG_R14, REG_R15};
    uint8_t rex = (end[-3] & 0xf0) == 0x40 ? end[-3] : 0, modrm = end[-1];
    unsigned source = 0;
    if (end[-2] == 0x89 && (modrm & 0xc7) == 0xc0 && (rex & 1) == 0)
        source = (modrm >> 3 & 7) | (rex & 4) << 1;
    else if (end[-2] == 0x8b && (modrm & 0xf8) == 0xc0 && (rex & 4) == 0)
        source = (modrm & 7) | (rex & 1) << 3;
    int which = registers[source];
    return which == REG_RAX || which == REG_RCX || which == REG_R11 ? -1 : which;
}

/* The number of the call whose instruction begins at `end`, from the code before it; -1. */
static long number_find(const ucontext_t *context, uintptr_t end)
{
    uint8_t code[LOOK_BACK_BYTES];
    unsigned bytes = LOOK_BACK_BYTES;
    if (!crn_memory_read(code, end - bytes, bytes)) {
        bytes = (unsigned)(end & (CRN_PAGE_BYTES - 1)); /* there is nothing before this page */
        if (bytes >= LOOK_BACK_BYTES || !crn_memory_read(code, end - bytes, bytes))
            return -1;
    }
    int copied = bytes >= 3 ? copied_register(code + bytes) : -1;
    if (copied >= 0)
        return get(context, copied) < NUMBERS_END ? (long)get(context, copied) : -1;
    for (unsigned back = 2; back <= bytes; back++) {
        const uint8_t *at = code + bytes - back;
        uint32_t number = 0;
        unsigned stride_bytes = 2;
        if (back >= 5 && at[0] == 0xb8) { /* mov $number, %eax */
            memcpy(&number, at + 1, sizeof number);
            stride_bytes = 5;
        } else if ((at[0] != 0x31 && at[0] != 0x33) || at[1] != 0xc0) { /* xor %eax, %eax */
            continue;
        }
        if (number < NUMBERS_END && leads_to_end(at + stride_bytes, back - stride_bytes))
            return number;
    }
    return -1;
}

/* Interrupted within the jump of crn_call_restart: as if it were done. */
static void restart_settle(ucontext_t *context)
{
    uintptr_t rip = get(context, REG_RIP), sp = get(context, REG_RSP);
    if (rip == (uintptr_t)crn_restart_jump) {
        set(context, REG_RIP, get(context, REG_RCX));
    } else if (rip >= (uintptr_t)crn_restart_open && rip < (uintptr_t)crn_restart_jump) {
        if (rip >= (uintptr_t)crn_restart_zone)
            sp -= sizeof(struct restart_frame);
        else if (rip >= (uintptr_t)crn_restart_flags)
            sp -= offsetof(struct restart_frame, flags);
        const struct restart_frame *frame = (const struct restart_frame *)sp;
        set(context, REG_RDI, frame->rdi);
        set(context, REG_RSI, frame->rsi);
        set(context, REG_RDX, frame->rdx);
        set(context, REG_R10, frame->r10);
        set(context, REG_EFL, frame->flags);
        set(context, REG_RIP, frame->rip);
        set(context, REG_RSP, sp + sizeof *frame + RED_ZONE_BYTES);
        set(context, REG_RAX, SYS_restart_syscall);
    }
}

static bool is_syscall(uintptr_t address)
{
    uint8_t bytes[SYSCALL_BYTES];
    return crn_memory_read(bytes, address, sizeof bytes) && bytes[0] == 0x0f && bytes[1] == 0x05;
}

struct crn_call crn_call_read(ucontext_t *context)
{
    struct crn_call call = {CRN_CALL_NONE, -1, 0, {0}};
    restart_settle(context);
    uintptr_t rip = get(context, REG_RIP), rax = get(context, REG_RAX);
    if ((long)rax == -EINTR && is_syscall(rip - SYSCALL_BYTES))
        call.state = CRN_CALL_ENDED;
    else if ((long)rax > 0 && get(context, REG_RCX) == rip && is_syscall(rip - SYSCALL_BYTES))
        call.state = CRN_CALL_COUNTED;
    else if ((rax == SYS_restart_syscall ||
              (rax < NUMBERS_END && get(context, REG_RCX) == rip + SYSCALL_BYTES)) &&
             is_syscall(rip))
        call.state = CRN_CALL_COMING;
    for (unsigned i = 0; i < CRN_COUNT_OF(call.arguments); i++)
        call.arguments[i] = get(context, argument_registers[i]);
    const void *sp = (const void *)get(context, REG_RSP);
    if (call.state == CRN_CALL_NONE)
        return call;
    call.result = (long)rax;
    if (call.state == CRN_CALL_COMING)
        call.number = (long)rax;
    else if (rip == (uintptr_t)syscall_issued)
        call.number = crn_syscall_number;
    else if (rip == (uintptr_t)crn_poll_issued)
        call.number = ((const struct poll_frame *)sp)->number;
    else if (rip == (uintptr_t)crn_rest_first)
        call.number = ((const struct rest_frame *)sp)->first.number;
    else if (rip == (uintptr_t)crn_rest_second)
        call.number = ((const struct rest_frame *)sp)->second.number;
    else
        call.number = number_find(context, rip - SYSCALL_BYTES);
    return call;
}

static uintptr_t instruction_of(const ucontext_t *context, const struct crn_call *call)
{
    return get(context, REG_RIP) - (call->state == CRN_CALL_COMING ? 0 : SYSCALL_BYTES);
}

void crn_call_issue(ucontext_t *context, const struct crn_call *call)
{
    set(context, REG_RIP, instruction_of(context, call));
    set(context, REG_RAX, (uintptr_t)call->number);
}

void crn_call_end(ucontext_t *context, const struct crn_call *call, long result)
{
    set(context, REG_RIP, instruction_of(context, call) + SYSCALL_BYTES);
    set(context, REG_RAX, (uintptr_t)result);
}

/*
 * Room for a frame of ours below the red zone of the stack that the call is made on.  NULL where
 * the handler is on that stack, too: the signal's own frame lies there.
 */
static void *frame_place(const ucontext_t *context, size_t bytes)
{
    enum { NEAR_BYTES = 1 << 16 };
    uintptr_t sp = get(context, REG_RSP), start = sp - RED_ZONE_BYTES - bytes;
    char probe;
    if (sp - (uintptr_t)context < NEAR_BYTES)
        return NULL;
    bool is_same_page = start / CRN_PAGE_BYTES == sp / CRN_PAGE_BYTES;
    return is_same_page || crn_memory_read(&probe, start, 1) ? (void *)start : NULL;
}

/* The parts of the extended state that the kernel saved; 0: it is an FXSAVE area only. */
static uint64_t features_saved(const ucontext_t *context)
{
    /* struct _fpx_sw_bytes, asm/sigcontext.h: it lies in the last 48 bytes of that area. */
    struct {
        uint32_t magic, extended_bytes;
        uint64_t features;
    } saved;
    memcpy(&saved, (const char *)context->uc_mcontext.fpregs + 464, sizeof saved);
    return saved.magic == 0x46505853 ? saved.features : 0;
}

bool crn_call_restart(ucontext_t *context, const struct crn_call *call)
{
    struct restart_frame *frame = frame_place(context, sizeof *frame);
    if (frame == NULL || context->uc_mcontext.fpregs == NULL)
        return false;
    *frame = (struct restart_frame){context->uc_sigmask.__val[0], get(context, REG_RDI),
                                    get(context, REG_RSI),        get(context, REG_RDX),
                                    get(context, REG_R10),        instruction_of(context, call),
                                    get(context, REG_EFL)};
    const unsigned autodisarm = 1u << 31; /* SS_AUTODISARM: sigreturn would set it again */
    if (((unsigned)context->uc_stack.ss_flags & autodisarm) != 0)
        crn_syscall2(SYS_sigaltstack, &context->uc_stack, NULL);
    crn_restart_leave(context, frame, features_saved(context));
}

bool crn_call_poll_before(ucontext_t *context, const struct crn_call *call, short events,
                          uint64_t left_ns, long at_limit)
{
    struct poll_frame *frame = frame_place(context, sizeof *frame);
    if (frame == NULL)
        return false;
    frame->wait = (struct pollfd){(int)call->arguments[0], events, 0};
    frame->left = (struct timespec){(time_t)(left_ns / 1000000000u), (long)(left_ns % 1000000000u)};
    frame->at_limit = at_limit;
    frame->number = call->number;
    memcpy(frame->arguments, call->arguments, sizeof frame->arguments);
    frame->rip = instruction_of(context, call) + SYSCALL_BYTES;
    set(context, REG_RSP, (uintptr_t)frame);
    set(context, REG_RIP, (uintptr_t)crn_poll_begin);
    return true;
}

bool crn_call_complete(ucontext_t *context, const struct crn_call *call,
                       const struct crn_partial *partial)
{
    uintptr_t rip = get(context, REG_RIP);
    struct rest_frame *frame = (struct rest_frame *)get(context, REG_RSP);
    if (rip != (uintptr_t)crn_rest_first && rip != (uintptr_t)crn_rest_second) {
        if ((frame = frame_place(context, sizeof *frame)) == NULL)
            return false;
        memset(frame, 0, sizeof *frame);
        frame->rip = rip;
        memcpy(frame->arguments, call->arguments, sizeof frame->arguments);
        set(context, REG_RSP, (uintptr_t)frame);
    } else if (rip == (uintptr_t)crn_rest_second) {
        frame->second.number = 0;
    }
    frame->done += call->result;
    frame->first = partial->pieces[0];
    if (partial->count == 2)
        frame->second = partial->pieces[1];
    if (partial->has_header) {
        frame->header = partial->header;
        (partial->count == 2 ? &frame->second : &frame->first)->arguments[1] =
            (uintptr_t)&frame->header;
    }
    set(context, REG_RIP, (uintptr_t)crn_rest_begin);
    return true;
}
