#ifndef CRN_LAUNCHER_HANDOFF_H
#define CRN_LAUNCHER_HANDOFF_H
/*
 * What the launcher hands to the shim: five variables of the environment, each NULL when it stays
 * as it is.
 *
 *     LD_PRELOAD        the shim, before what was there
 *     CORONER_SESSION   the directory for recordings
 *     CORONER_DOOR      a way to it for processes that cannot reach that directory (door.h)
 *     CORONER_LAUNCHER  this command, to render what outlives the session
 *     CORONER_OPTIONS   every option that was given, as key=value:key=value, paths made absolute
 */
#include "options/options.h"

struct crn_door;
struct crn_session;

struct crn_handoff {
    char *preload;
    char *session;
    char *launcher;
    char *options;
    struct crn_door *door; /* of the session, which owns it; NULL: there is none */
};

/*
 * Finds the shim and composes the variables.  Answers false after saying what is missing or
 * cannot be expressed; crn_handoff_fini() is due in either case.
 */
bool crn_handoff_init(struct crn_handoff *handoff, const struct crn_options *options,
                      const struct crn_session *session);

/* The same for a preload that needs no other variable: of a library that is not the shim. */
bool crn_handoff_init_library(struct crn_handoff *handoff, const char *library);

void crn_handoff_fini(struct crn_handoff *handoff);

/* Puts the variables into this process's environment: for a child about to exec. */
void crn_handoff_apply(const struct crn_handoff *handoff);

#endif
