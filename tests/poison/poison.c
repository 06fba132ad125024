/*
 * A preloaded library that overwrites what is called dead, and lets the program go on.
 *
 * At every POISON_EVERY-th call of a few functions of libc it unwinds its callers, asks about each
 * callee-saved register and each slot of their frames, and writes a value to the dead ones that is
 * no address, no small number and no text.  If the program then prints or returns anything else, or
 * dies, an answer was wrong.
 *
 * POISON_EVERY   how often; prime, so that it does not fall in step with the program (101)
 * POISON_LIKELY  1: also what is dead, but not for certain
 * POISON_READ    1: what is read instead, to see that it matters
 * POISON_OUTPUT  a file that gets a line of JSON from each process that ends by exit
 * POISON_LOG     1: each place, on standard error, for whoever looks for a wrong answer
 * POISON_FIRST, POISON_LAST   only places with these numbers, to find one by halving
 */
#include "base/maps.h"
#include "liveness/liveness.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POISON 0xdeadbadc0ffee0ddu

enum { RANGES_MAX = 1024, DEPTH_MAX = 48, FRAME_BYTES_MAX = 4096, REFRESH_MOST = 64 };
enum { KEPT = 6 };

/* What entry_x86_64.S stores. */
struct saved {
    uintptr_t r10, r9, r8, rcx, rdx, rsi, rdi;
    uintptr_t r15, r14, r13, r12, rbp, rbx;
    uintptr_t return_address;
};

struct real {
    const char *name;
    void *function;
};

static struct {
    _Atomic bool is_ready, is_busy;
    struct crn_range ranges[RANGES_MAX];
    struct crn_code code;
    struct crn_liveness_engine *engine;
    unsigned long every, first, last, refreshes;
    char output[512];
    bool takes_likely, takes_read, is_logging;
    _Atomic unsigned long calls;
    unsigned long visits, frames, registers[3], slots[3], certain_registers, certain_slots,
        poisoned, unknown[CRN_REASON_COUNT];
} poison;

void *poison_visit(struct saved *saved, struct real *real);

static bool range_visit(const struct crn_map_entry *entry, void *user)
{
    (void)user;
    if ((entry->flags & CRN_MAP_EXECUTE) != 0 && entry->path[0] != '[' &&
        strstr(entry->path, "poison") == NULL)
        poison.ranges[poison.code.count++] = (struct crn_range){entry->start, entry->end};
    return poison.code.count < RANGES_MAX;
}

static void code_find(void)
{
    poison.code = (struct crn_code){poison.ranges, 0};
    crn_maps_for_each(range_visit, NULL);
    crn_liveness_destroy(poison.engine);
    poison.engine = crn_liveness_create(&poison.code);
}

static unsigned long number_of(const char *name, unsigned long otherwise)
{
    const char *value = getenv(name);
    return value != NULL ? strtoul(value, NULL, 0) : otherwise;
}

static void __attribute__((constructor)) poison_begin(void)
{
    struct crn_decoder decoder;
    void *zydis = dlopen("libZydis.so.4.0", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (zydis == NULL)
        return;
    *(void **)&decoder.init = dlsym(zydis, "ZydisDecoderInit");
    *(void **)&decoder.decode = dlsym(zydis, "ZydisDecoderDecodeFull");
    const char *output = getenv("POISON_OUTPUT"); /* php replaces its environment */
    if (output != NULL)
        snprintf(poison.output, sizeof poison.output, "%s", output);
    poison.every = number_of("POISON_EVERY", 101);
    poison.first = number_of("POISON_FIRST", 0);
    poison.last = number_of("POISON_LAST", ~0ul);
    poison.takes_likely = number_of("POISON_LIKELY", 0) != 0;
    poison.takes_read = number_of("POISON_READ", 0) != 0;
    poison.is_logging = number_of("POISON_LOG", 0) != 0;
    if (!crn_decoder_use(&decoder))
        return;
    code_find();
    poison.is_ready = poison.engine != NULL;
}

static void __attribute__((destructor)) poison_end(void)
{
    const char *path = poison.output;
    poison.is_ready = false;
    int fd = path[0] != 0 ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd < 0)
        return;
    char text[2048];
    int bytes =
        snprintf(text, sizeof text,
                 "{\"visits\": %lu, \"frames\": %lu, \"poisoned\": %lu, \"registers\": "
                 "{\"unknown\": %lu, \"read\": %lu, \"dead\": %lu, \"certain\": %lu}, \"slots\": "
                 "{\"unknown\": %lu, \"read\": %lu, \"dead\": %lu, \"certain\": %lu}, "
                 "\"reasons\": {",
                 poison.visits, poison.frames, poison.poisoned, poison.registers[0],
                 poison.registers[1], poison.registers[2], poison.certain_registers,
                 poison.slots[0], poison.slots[1], poison.slots[2], poison.certain_slots);
    const char *comma = "";
    for (unsigned i = 0; i < CRN_REASON_COUNT; i++)
        if (poison.unknown[i] != 0) {
            bytes +=
                snprintf(text + bytes, sizeof text - (size_t)bytes, "%s\"%s\": %lu", comma,
                         crn_liveness_reason_name((enum crn_liveness_reason)i), poison.unknown[i]);
            comma = ", ";
        }
    bytes += snprintf(text + bytes, sizeof text - (size_t)bytes, "}}\n");
    if (write(fd, text, (size_t)bytes) != bytes)
        _exit(99);
    close(fd);
}

/* Overwrites one place, if the answer allows. */
static void place_judge(const struct crn_liveness_question *question, uintptr_t *place)
{
    struct crn_liveness_answer answer = crn_liveness_ask(poison.engine, question);
    bool is_register = question->place == CRN_PLACE_REGISTER;
    (is_register ? poison.registers : poison.slots)[answer.liveness]++;
    if (answer.liveness == CRN_LIVENESS_UNKNOWN)
        poison.unknown[answer.reason]++;
    if (answer.liveness != (poison.takes_read ? CRN_LIVENESS_READ : CRN_LIVENESS_DEAD))
        return;
    *(is_register ? &poison.certain_registers : &poison.certain_slots) += answer.is_certain;
    if (!answer.is_certain && !poison.takes_likely && !poison.takes_read)
        return;
    unsigned long number = poison.poisoned++;
    if (number < poison.first || number > poison.last)
        return;
    if (poison.is_logging) {
        char text[160];
        Dl_info info = {.dli_fname = ""};
        dladdr((void *)question->pc, &info);
        int bytes = snprintf(text, sizeof text, "poison %lu: %s+0x%lx %s %ld at %p was %lx, %s\n",
                             number, info.dli_fname, question->pc - (uintptr_t)info.dli_fbase,
                             is_register ? "register" : "slot",
                             is_register ? (long)question->reg : (long)question->offset,
                             (void *)place, *place, crn_liveness_reason_name(answer.reason));
        if (write(2, text, (size_t)bytes) != bytes)
            _exit(99);
    }
    *place = POISON;
}

/* Judges the frame of a function that is suspended in a call; goes to its caller. */
static bool frame_judge(uintptr_t *pc, uintptr_t *sp, uintptr_t *registers[CRN_REGISTERS],
                        bool was_left_alone[CRN_REGISTERS])
{
    static const uint8_t kept[KEPT] = {CRN_RBX, CRN_RBP, CRN_R12, CRN_R13, CRN_R14, CRN_R15};
    struct crn_rule rule = crn_rule_get(*pc - 1);
    uintptr_t cfa;
    if (rule.kind == CRN_RULE_RSP)
        cfa = *sp + (uintptr_t)(intptr_t)rule.cfa_offset;
    else if (rule.kind == CRN_RULE_RBP)
        cfa = *registers[CRN_RBP] + (uintptr_t)(intptr_t)rule.cfa_offset;
    else
        return false;
    if (cfa <= *sp || cfa - *sp > FRAME_BYTES_MAX || (cfa & 7) != 0)
        return false;
    uintptr_t caller = *(uintptr_t *)(cfa - 8);
    uintptr_t *next[CRN_REGISTERS] = {NULL};
    struct crn_liveness_question question = {.pc = *pc, .is_return_address = true};
    for (unsigned i = 0; i < KEPT; i++) {
        int64_t offset;
        enum crn_saved saved = crn_liveness_saves(*pc, true, kept[i], &offset);
        if (saved == CRN_SAVED_UNKNOWN)
            return false;
        next[kept[i]] =
            saved == CRN_SAVED_AT ? (uintptr_t *)(cfa + (uintptr_t)offset) : registers[kept[i]];
        bool is_left_alone = was_left_alone[kept[i]];
        was_left_alone[kept[i]] =
            saved == CRN_SAVED_AT ||
            (is_left_alone && crn_liveness_passes_on(poison.engine, *pc, true, kept[i]));
        if (saved == CRN_SAVED_AT && is_left_alone) {
            question.place = CRN_PLACE_REGISTER;
            question.reg = kept[i];
            place_judge(&question, registers[kept[i]]);
        }
    }
    for (uintptr_t slot = *sp; slot + 8 < cfa; slot += 8) {
        bool is_saved = false;
        for (unsigned i = 0; i < KEPT; i++)
            is_saved |= next[kept[i]] == (uintptr_t *)slot;
        if (is_saved)
            continue;
        question.place = CRN_PLACE_SLOT;
        question.offset = (int64_t)(slot - cfa);
        place_judge(&question, (uintptr_t *)slot);
    }
    memcpy(registers, next, sizeof next);
    *pc = caller;
    *sp = cfa;
    poison.frames++;
    return true;
}

static void frames_judge(struct saved *saved)
{
    uintptr_t pc = saved->return_address, sp = (uintptr_t)(saved + 1);
    uintptr_t *registers[CRN_REGISTERS] = {
        [CRN_RBX] = &saved->rbx, [CRN_RBP] = &saved->rbp, [CRN_R12] = &saved->r12,
        [CRN_R13] = &saved->r13, [CRN_R14] = &saved->r14, [CRN_R15] = &saved->r15,
    };
    bool was_left_alone[CRN_REGISTERS];
    memset(was_left_alone, true, sizeof was_left_alone);
    for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
        if (!crn_code_holds(&poison.code, pc - 1, 1)) {
            if (poison.refreshes++ < REFRESH_MOST)
                code_find();
            if (poison.engine == NULL || !crn_code_holds(&poison.code, pc - 1, 1))
                return;
        }
        if (!frame_judge(&pc, &sp, registers, was_left_alone))
            return;
    }
}

/* Called by each function of entry_x86_64.S; answers where it goes on. */
void *poison_visit(struct saved *saved, struct real *real)
{
    if (real->function == NULL)
        real->function = dlsym(RTLD_NEXT, real->name);
    if (poison.is_ready && ++poison.calls % poison.every == 0 &&
        !atomic_exchange(&poison.is_busy, true)) {
        poison.visits++;
        frames_judge(saved);
        poison.is_busy = false;
    }
    return real->function;
}
