/* The table of unwind rules: found, added, grown and flushed at once, it never answers another's.
 */
#include "stress.h"

#include "stack/rules.h"

#include <dlfcn.h>

enum { ROUNDS = 30, ADDRESSES = 3000, STEP = 13 };

static uintptr_t code;

static void look_up(unsigned thread)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < ADDRESSES; i++) {
            uintptr_t address = code + (uintptr_t)(i + thread * 17) % ADDRESSES * STEP;
            struct crn_rule rule = crn_rule_get(address);
            if (i % 50 == 0) {
                struct crn_rule right = crn_rule_compile(address);
                STRESS_REQUIRE(rule.kind == right.kind && rule.rbp == right.rbp &&
                               rule.rbp_offset == right.rbp_offset &&
                               rule.cfa_offset == right.cfa_offset);
            }
        }
        if (thread == 0)
            crn_rules_flush();
    }
}

int main(void)
{
    code = (uintptr_t)dlsym(RTLD_DEFAULT, "vfprintf");
    STRESS_REQUIRE(code != 0);
    stress_run(look_up);
    return 0;
}
