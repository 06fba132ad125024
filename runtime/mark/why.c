/*
 * Sentences, by mechanism and verdict.  See why.h.
 */
#include "mark/why.h"

/* A switch that nobody told of: the place where it stopped was found in memory. */
struct found {
    const char *proven, *likely;
};

static const struct found found_abandoned[CRN_MECHANISM_COUNT] = {
    [CRN_MECHANISM_SETJMP] =
        {"its coroutine is suspended in a jmp_buf found in memory, from which its frames lead to "
         "the "
         "base of its stack, and nothing live leads there",
         "its coroutine seems to be suspended in a jmp_buf found in memory, and nothing live leads "
         "there"},
    [CRN_MECHANISM_FCONTEXT] =
        {"its coroutine is suspended in a switch found on its stack, whose code keeps an fcontext, "
         "and "
         "nothing live leads there",
         "its coroutine seems to be suspended in a switch found on its stack, whose code keeps an "
         "fcontext, and nothing live leads there"},
    [CRN_MECHANISM_SWITCH] = {"its coroutine is suspended in a switch found on its stack and known "
                              "by its code, and nothing "
                              "live leads there",
                              "its coroutine seems to be suspended in a switch found on its stack "
                              "and known by its code, "
                              "and nothing live leads there"},
};

static const struct found found_completed[CRN_MECHANISM_COUNT] = {
    [CRN_MECHANISM_SETJMP] =
        {"its coroutine has ended, as the jmp_buf found in memory and the code there show, and "
         "nothing "
         "else points to it",
         "its coroutine seems to have ended, as a jmp_buf found in memory shows, and nothing else "
         "points to it"},
    [CRN_MECHANISM_FCONTEXT] =
        {"its coroutine has ended, as the function shows in which it switched away for good, and "
         "nothing else points to it",
         "its coroutine seems to have ended, as the function shows in which it switched away, and "
         "nothing else points to it"},
    [CRN_MECHANISM_SWITCH] = {"its coroutine has ended, as the code shows in which it switched "
                              "away for good, and nothing "
                              "else points to it",
                              "its coroutine seems to have ended, as the code shows in which it "
                              "switched away, and nothing "
                              "else points to it"},
};

static const char *abandoned_why(const struct crn_snap_coro *coro)
{
    switch (coro->mechanism) {
    case CRN_MECHANISM_UCONTEXT:
        return coro->state == CRN_CORO_CREATED ? "its coroutine was made and never started, and "
                                                 "nothing live leads to its stack or "
                                                 "context"
                                               : "its coroutine is suspended, every switch of it "
                                                 "was seen, and nothing live leads "
                                                 "to its stack or saved context";
    case CRN_MECHANISM_ANNOTATED:
        return "the program announced that it left its coroutine, whose stack was read as far as "
               "it "
               "was touched; nothing live leads there";
    default:
        return coro->is_sure ? found_abandoned[coro->mechanism].proven
                             : found_abandoned[coro->mechanism].likely;
    }
}

static const char *completed_why(const struct crn_mark *mark, uint32_t index, bool is_proven)
{
    const struct crn_snap_coro *coro = &mark->snap->coros[index];
    if (mark->coro_held[index])
        return "its coroutine announced that it ran to its end, and holds it; something live holds "
               "the coroutine, and might take it for its result";
    if (coro->keeps_body)
        return is_proven ? "its coroutine has ended, as the code shows in which it is parked, and "
                           "nothing else points to what its work left"
                         : "its coroutine seems to have ended, as the code shows in which it is "
                           "parked, and nothing else points to what it left";
    switch (coro->mechanism) {
    case CRN_MECHANISM_UCONTEXT:
        return "its coroutine was seen to run to its end, and nothing else points to it";
    case CRN_MECHANISM_ANNOTATED:
        return "the program announced that its coroutine left for good, and nothing else points to "
               "it";
    default:
        return coro->is_sure ? found_completed[coro->mechanism].proven
                             : found_completed[coro->mechanism].likely;
    }
}

const char *crn_why_by_mechanism(const struct crn_mark *mark, const struct crn_group *group)
{
    if (group->holder == 0 || group->example_coro == 0 ||
        group->example_coro > mark->snap->coro_count)
        return NULL;
    const struct crn_snap_coro *coro = &mark->snap->coros[group->example_coro - 1];
    if (group->verdict == CRN_VERDICT_ABANDONED)
        return abandoned_why(coro);
    return group->verdict == CRN_VERDICT_COMPLETED
               ? completed_why(mark, group->example_coro - 1, group->confidence == CRN_PROVEN)
               : NULL;
}
