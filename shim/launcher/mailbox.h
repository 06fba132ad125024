#ifndef CRN_LAUNCHER_MAILBOX_H
#define CRN_LAUNCHER_MAILBOX_H
/*
 * The launcher's side of the mailbox (record/mailbox.h): a file of the session's directory for
 * processes that cannot make one there any more.
 */

/* Makes it in a session's directory.  Where that cannot be done, little is lost. */
void crn_mailbox_make(const char *directory);

/*
 * Takes no more letters, and makes each that is whole a file "<pid>.<n>.crn" of the directory, n
 * being the first that is free.
 */
void crn_mailbox_empty(const char *directory);

#endif
