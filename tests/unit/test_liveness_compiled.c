/*
 * The same question about functions as compilers make them: liveness.plugin.c by each compiler at
 * hand, at three levels.  Each function is run; at its second take() every place of its frame that
 * holds the message is asked about.
 *
 *     stale_*  all of them are dead
 *     live_*   one of them is not
 */
#include "base/maps.h"
#include "liveness/liveness.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

enum { RANGES_MAX = 512, KEPT = 6 };

static struct crn_range ranges[RANGES_MAX];
static struct crn_code code = {ranges, 0};
static struct crn_liveness_engine *engine;

static bool range_visit(const struct crn_map_entry *entry, void *user)
{
    (void)user;
    if ((entry->flags & CRN_MAP_EXECUTE) != 0 && entry->path[0] != '[')
        ranges[code.count++] = (struct crn_range){entry->start, entry->end};
    return code.count < RANGES_MAX;
}

/* What `liveness_take` stores, below its return address. */
struct saved {
    uintptr_t r15, r14, r13, r12, rbp, rbx, return_address;
};

void *liveness_take_visit(const struct saved *saved);
extern void *liveness_take(void);
__asm__(".text\n.type liveness_take, @function\nliveness_take:\n"
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "mov %rsp, %rdi\n sub $8, %rsp\n call liveness_take_visit\n add $8, %rsp\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
        ".size liveness_take, .-liveness_take\n");

static char message[64];
static struct {
    unsigned takes, dead, others;
} seen;

static void ask(struct crn_liveness_question question, uintptr_t value)
{
    if (value != (uintptr_t)message)
        return;
    struct crn_liveness_answer answer = crn_liveness_ask(engine, &question);
    *(answer.liveness == CRN_LIVENESS_DEAD ? &seen.dead : &seen.others) += 1;
}

__attribute__((used)) void *liveness_take_visit(const struct saved *saved)
{
    static const uint8_t kept[KEPT] = {CRN_RBX, CRN_RBP, CRN_R12, CRN_R13, CRN_R14, CRN_R15};
    const uintptr_t values[KEPT] = {saved->rbx, saved->rbp, saved->r12,
                                    saved->r13, saved->r14, saved->r15};
    if (seen.takes++ == 0)
        return message;
    uintptr_t pc = saved->return_address, sp = (uintptr_t)(saved + 1);
    struct crn_rule rule = crn_rule_get(pc - 1);
    uintptr_t cfa = (rule.kind == CRN_RULE_RBP ? saved->rbp : sp) + (uintptr_t)rule.cfa_offset;
    struct crn_liveness_question question = {.pc = pc, .is_return_address = true};
    uintptr_t slots_of_callers = 0;
    for (unsigned i = 0; i < KEPT; i++) {
        int64_t offset;
        if (crn_liveness_saves(pc, true, kept[i], &offset) != CRN_SAVED_AT)
            continue;
        slots_of_callers |= (uintptr_t)1 << (-offset / 8);
        question.place = CRN_PLACE_REGISTER;
        question.reg = kept[i];
        ask(question, values[i]);
    }
    for (uintptr_t slot = sp; slot + 8 < cfa; slot += 8) {
        question.place = CRN_PLACE_SLOT;
        question.offset = (int64_t)(slot - cfa);
        if ((slots_of_callers >> (cfa - slot) / 8 & 1) == 0)
            ask(question, *(const uintptr_t *)slot);
    }
    return NULL;
}

static void handle(void *one)
{
    (void)one;
}

Test(liveness_compiled, what_compilers_make_is_judged_right)
{
    static const char *const names[] = {"stale_loop",   "live_loop",    "stale_branch",
                                        "live_branch",  "stale_fields", "live_fields",
                                        "live_address", "live_switch"};
    struct crn_decoder decoder;
    void *zydis = dlopen("libZydis.so.4.0", RTLD_NOW | RTLD_LOCAL);
    cr_assert_not_null(zydis, "%s", dlerror());
    *(void **)&decoder.init = dlsym(zydis, "ZydisDecoderInit");
    *(void **)&decoder.decode = dlsym(zydis, "ZydisDecoderDecodeFull");
    cr_assert(crn_decoder_use(&decoder));
    glob_t found;
    cr_assert_eq(glob(CORONER_LIVENESS "/*.so", 0, NULL, &found), 0);
    cr_assert_geq(found.gl_pathc, 3);
    void *plugins[32];
    cr_assert_leq(found.gl_pathc, 32);
    for (size_t i = 0; i < found.gl_pathc; i++)
        cr_assert_not_null(plugins[i] = dlopen(found.gl_pathv[i], RTLD_NOW | RTLD_LOCAL));
    cr_assert(crn_maps_for_each(range_visit, NULL));
    engine = crn_liveness_create(&code);
    unsigned dead = 0;
    for (size_t i = 0; i < found.gl_pathc; i++)
        for (size_t j = 0; j < CRN_COUNT_OF(names); j++) {
            void (*run)(void *(*)(void), void (*)(void *));
            *(void **)&run = dlsym(plugins[i], names[j]);
            cr_assert_not_null(run);
            memset(&seen, 0, sizeof seen);
            run(liveness_take, handle);
            if (names[j][0] == 's')
                cr_expect_eq(seen.others, 0, "%s %s: %u dead, %u not", found.gl_pathv[i], names[j],
                             seen.dead, seen.others);
            else
                cr_expect_neq(seen.others, 0, "%s %s: %u dead, none not", found.gl_pathv[i],
                              names[j], seen.dead);
            dead += names[j][0] == 's' ? seen.dead : 0;
        }
    cr_expect_geq(dead, found.gl_pathc, "only %u stale places were there to be found", dead);
    crn_liveness_destroy(engine);
}
