#ifndef CRN_BASE_SESSION_H
#define CRN_BASE_SESSION_H
/*
 * Files of a session's directory that the launcher and the target agree on, beside the recordings
 * (launcher/session.h).
 *
 *     spare.N   without contents, of a size that most recordings fit in: a process that may not let
 *               a file grow (RLIMIT_FSIZE) makes one into its recording
 *     P.N.crn   may be a link to a recording of ours elsewhere, where there was no room for it here
 *     launcher.lock
 *               locked by flock(2) as long as the launcher is there; what has none is no session
 */
#define CRN_SESSION_SPARE "spare.%u"
#define CRN_SESSION_LOCK "launcher.lock"
enum { CRN_SESSION_SPARES = 4, CRN_SESSION_SPARE_BYTES = 16 << 20 };

#endif
