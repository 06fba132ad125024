/*
 * Draws the points of a Poisson process.  See sample.h.
 *
 * In integers: a program may trap on inexact floating point, and malloc must not touch its flags.
 */
#include "stack/sample.h"
#include "base/sys.h"

/* SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). */
static uint64_t random_next(struct crn_sampler *sampler)
{
    uint64_t z = sampler->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* -log2(value / 2^64) in units of 2^-32; value is not 0.  One bit of it by each squaring. */
static uint64_t minus_log2(uint64_t value)
{
    unsigned zeros = (unsigned)__builtin_clzll(value);
    uint64_t x = value << zeros; /* in [1, 2), in units of 2^-63 */
    uint64_t log2 = 0;
    for (unsigned i = 0; i < 32; i++) {
        x = (uint64_t)((unsigned __int128)x * x >> 64); /* in [1, 4), in units of 2^-62 */
        log2 = log2 << 1 | x >> 63;
        if (x >> 63 == 0)
            x <<= 1;
    }
    return ((uint64_t)(zeros + 1) << 32) - log2;
}

int64_t crn_sample_distance(struct crn_sampler *sampler, uint64_t mean_bytes)
{
    static const uint64_t LN2 = 0xb17217f8; /* in units of 2^-32 */
    if (mean_bytes <= 1)
        return 0;
    unsigned __int128 nats = (unsigned __int128)minus_log2(random_next(sampler) | 1) * LN2 >> 32;
    unsigned __int128 distance = nats * mean_bytes >> 32;
    return distance < INT64_MAX / 2 ? (int64_t)distance : INT64_MAX / 2;
}

bool crn_sample_take(struct crn_sampler *sampler, int64_t *until, uint64_t mean_bytes)
{
    if (sampler->state == 0) {
        uint64_t tid = (uint64_t)crn_sys_gettid();
        sampler->state = crn_hash64(crn_now_ns() ^ tid << 40 ^ (uintptr_t)sampler) | 1;
        *until += crn_sample_distance(sampler, mean_bytes);
        if (*until >= 0)
            return false;
    }
    *until = crn_sample_distance(sampler, mean_bytes);
    return true;
}
