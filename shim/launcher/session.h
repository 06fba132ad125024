#ifndef CRN_LAUNCHER_SESSION_H
#define CRN_LAUNCHER_SESSION_H
/*
 * The private directory in which the processes of one `coroner run` leave their recordings.
 *
 * Each writes <pid>.<n>.crn, by rename, so what bears that name is whole; n counts the images
 * that one pid has run.  The session ends by renaming the directory: from then on a process that
 * lives on finds it gone and reports by itself, and nothing can arrive unseen.
 *
 * The directory is held open, and what is in it is reached by that descriptor.  As long as the
 * launcher, or the child that renders for it, is there, the file `launcher.lock` (base/session.h)
 * is locked; so whoever gets the lock knows that the launcher is gone, whatever process has its
 * number now.
 */
#include "base/base.h"

struct crn_door;

struct crn_session {
    char *directory; /* its path */
    int parent, fd;  /* descriptors of the directory that it is in, and of itself */
    int lock, mailbox; /* -1: there is none */
    struct crn_door *door; /* NULL: there is none */
};

struct crn_session_file {
    char *path;
    uint64_t pid, image;
};

struct crn_session_files {
    struct crn_session_file *rows; /* by pid, then image */
    size_t count, room;
};

/*
 * Makes the directory, mode 0700, in TMPDIR, in /dev/shm where there is room, or in /tmp.  Answers
 * false after saying why it cannot.
 */
bool crn_session_open(struct crn_session *session);

/* Ends the session and lists the recordings that are in it. */
void crn_session_close(struct crn_session *session, struct crn_session_files *files);

/* Frees the list; unless `keeps_files`, removes the directory and all in it. */
void crn_session_remove(struct crn_session *session, struct crn_session_files *files,
                        bool keeps_files);

/*
 * Looks where sessions are made for those of this user whose launcher is gone: keeps the recordings
 * in them and says where (rescue.h), and removes them.
 */
void crn_sessions_clear(void);

#endif
