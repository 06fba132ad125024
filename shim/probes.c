/*
 * What programs that link the probe API find here.
 */
#include "coroner/coroner.h"
#include "shim/state.h"

CRN_EXPORT int coroner_active(void)
{
    return crn_shim.phase == CRN_SHIM_ON;
}
