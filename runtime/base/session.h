#ifndef CRN_BASE_SESSION_H
#define CRN_BASE_SESSION_H
/*
 * Files of a session's directory that the launcher and the target agree on, beside the recordings
 * (launcher/session.h): spare ones, without contents, of a size that most recordings fit in.  A
 * process that may not let a file grow (RLIMIT_FSIZE) makes one into its recording.
 */
#define CRN_SESSION_SPARE "spare.%u"
enum { CRN_SESSION_SPARES = 4, CRN_SESSION_SPARE_BYTES = 16 << 20 };

#endif
