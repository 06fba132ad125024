/*
 * Lifts limits for the time of a check.  See limits.h.
 */
#include "check/limits.h"
#include "base/sys.h"

/* What is asked for of each: enough for us, and no more where "no limit" would be another kind. */
static const struct {
    int which;
    rlim_t more; /* than what it is; RLIM_INFINITY: no limit */
} rows[CRN_LIMITS_COUNT] = {
    {RLIMIT_NOFILE, 64}, /* each descriptor there is may lie below the limit */
    {RLIMIT_AS, RLIM_INFINITY},
    {RLIMIT_DATA, RLIM_INFINITY},
    {RLIMIT_FSIZE, RLIM_INFINITY},
};

/* Where the program has this much left, nobody touches its limit. */
static const rlim_t files_plenty = 65536;

static bool is_plenty(unsigned row, rlim_t now)
{
    return now == RLIM_INFINITY || (rows[row].which == RLIMIT_NOFILE && now >= files_plenty);
}

static bool limit_set(int which, rlim_t current, rlim_t hard)
{
    const struct rlimit limit = {current, hard};
    return crn_syscall4(SYS_prlimit64, 0, which, &limit, NULL) == 0;
}

static bool limit_lift(unsigned row, const struct rlimit *before)
{
    int which = rows[row].which;
    rlim_t hard = before->rlim_max;
    rlim_t wanted =
        rows[row].more == RLIM_INFINITY ? RLIM_INFINITY : before->rlim_cur + rows[row].more;
    if (hard < wanted && limit_set(which, wanted, wanted))
        return true;
    rlim_t possible = hard < wanted ? hard : wanted;
    return possible > before->rlim_cur && limit_set(which, possible, hard);
}

void crn_limits_lift(struct crn_limits *limits)
{
    for (unsigned i = 0; i < CRN_LIMITS_COUNT; i++) {
        struct rlimit *before = &limits->before[i];
        limits->is_lifted[i] = crn_syscall4(SYS_prlimit64, 0, rows[i].which, NULL, before) == 0 &&
                               !is_plenty(i, before->rlim_cur) && limit_lift(i, before);
    }
}

void crn_limits_restore(const struct crn_limits *limits)
{
    for (unsigned i = 0; i < CRN_LIMITS_COUNT; i++)
        if (limits->is_lifted[i])
            limit_set(rows[i].which, limits->before[i].rlim_cur, limits->before[i].rlim_max);
}
