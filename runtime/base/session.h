#ifndef CRN_BASE_SESSION_H
#define CRN_BASE_SESSION_H
/*
 * Files of a session's directory that the launcher and the target agree on, beside the recordings
 * (launcher/session.h).
 *
 *     P.N.crn   may be a link to a recording of ours elsewhere, where there was no room for it here
 *     launcher.lock
 *               locked by flock(2) as long as the launcher is there; what has none is no session
 */
#define CRN_SESSION_LOCK "launcher.lock"

#endif
