#ifndef CRN_LAUNCHER_MAILBOX_H
#define CRN_LAUNCHER_MAILBOX_H
/*
 * The launcher's side of the mailbox (record/mailbox.h): a file of the session's directory for
 * processes that cannot make one there any more.
 */

/*
 * Makes it in a session's directory, or opens the one that is there.  Answers a descriptor of it,
 * by which it is there also when its name is gone; -1: there is none, and little is lost.
 */
int crn_mailbox_make(const char *directory);
int crn_mailbox_find(const char *directory);

/*
 * Takes no more letters, and makes each that is whole a file "<pid>.<n>.crn" of the directory, n
 * being the first that is free.  Closes the descriptor.
 */
void crn_mailbox_empty(int fd, const char *directory);

#endif
