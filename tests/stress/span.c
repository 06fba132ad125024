/* A span: whoever asks for its first bytes can use them, however many ask at once. */
#include "stress.h"

#include "base/vm.h"

enum { STEPS = 2000, STEP_BYTES = 3000 };

static struct crn_span span;

static void grow(unsigned thread)
{
    for (size_t i = thread; i < STEPS; i += STRESS_THREADS) {
        STRESS_REQUIRE(crn_span_ensure(&span, (i + 1) * STEP_BYTES));
        span.base[i * STEP_BYTES] = (char)(i % 100 + 1);
    }
}

int main(void)
{
    STRESS_REQUIRE(crn_span_init(&span, (size_t)STEPS * STEP_BYTES + CRN_PAGE_BYTES));
    stress_run(grow);
    for (size_t i = 0; i < STEPS; i++)
        STRESS_REQUIRE(span.base[i * STEP_BYTES] == (char)(i % 100 + 1));
    STRESS_REQUIRE(!crn_span_ensure(&span, (size_t)STEPS * STEP_BYTES * 2));
    return 0;
}
