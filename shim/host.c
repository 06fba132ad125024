/*
 * What runtime/check wants of whoever hosts it.  See check/host.h.
 */
#include "check/host.h"
#include "live/live.h"
#include "shim/await.h"
#include "shim/deliver.h"
#include "shim/lsan_compat.h"
#include "shim/state.h"
#include "shim/stderr.h"
#include "shim/triggers.h"

static enum crn_host_phase phase_get(void)
{
    switch ((enum crn_shim_phase)crn_shim.phase) {
    case CRN_SHIM_ON:
        return CRN_HOST_WATCHES;
    case CRN_SHIM_OFF:
        return CRN_HOST_STOOD_DOWN;
    default:
        return CRN_HOST_COMES_UP;
    }
}

static void end_begins(void)
{
    crn_await_check();
    crn_stderr_hold();
    crn_triggers_leave();
    crn_live_leave(true);
}

const struct crn_host crn_host = {
    .options = &crn_shim.options,
    .process = &crn_shim.process,
    .phase = phase_get,
    .thread = crn_shim_thread,
    .sigaction = crn_sigaction_real,
    .temporary = crn_shim_temporary,
    .end_begins = end_begins,
    .describe = crn_lsan_describe,
    .deliver = crn_deliver,
    .say_clean = crn_deliver_clean,
    .deliver_judged = crn_deliver_judged,
    .deliver_text = crn_deliver_text,
};
