/* The lock: what it guards is changed by one thread at a time, and nobody sleeps for ever. */
#include "stress.h"

#include "base/lock.h"

enum { TURNS = 20000 };

static struct crn_lock lock;
static unsigned long counter, tried;

static void count(unsigned thread)
{
    for (unsigned i = 0; i < TURNS; i++) {
        if (i % 3 != 0)
            crn_lock_acquire(&lock, (int)thread + 1);
        else
            while (!crn_lock_try_for(&lock, (int)thread + 1, 1000000))
                ;
        counter++;
        tried += i % 3 == 0;
        crn_lock_release(&lock);
    }
}

int main(void)
{
    stress_run(count);
    STRESS_REQUIRE(counter == (unsigned long)TURNS * STRESS_THREADS);
    STRESS_REQUIRE(tried == ((unsigned long)TURNS + 2) / 3 * STRESS_THREADS);
    return 0;
}
