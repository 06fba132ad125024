#ifndef CRN_LAUNCHER_MAILBOX_H
#define CRN_LAUNCHER_MAILBOX_H
/*
 * The launcher's side of the mailbox (record/mailbox.h): a file of the session's directory for
 * processes that cannot make one there any more.
 */

#include "base/base.h"

/* What is taken of letters that another user's processes may have written. */
struct crn_mail_rules {
    uint64_t bytes_left; /* of all letters together */
    bool (*may_take)(uint32_t pid, void *user);
    void *user;
    unsigned refused; /* counted */
};

/*
 * Makes it in a session's directory, or opens the one that is there.  Answers a descriptor of it,
 * by which it is there also when its name is gone; -1: there is none, and little is lost.
 */
int crn_mailbox_make(const char *directory);
int crn_mailbox_find(const char *directory);

/* Gives a new file its size; false: there is no room for the head. */
bool crn_mailbox_size(int fd);

/*
 * Makes each letter that is whole a file "<pid>.<n>.crn" of the directory, n being the first that
 * is free; what cannot be made one stays.  With `is_last`, no more letters are taken.  `rules`
 * NULL: there are none.
 */
void crn_mailbox_collect(int fd, const char *directory, struct crn_mail_rules *rules, bool is_last);

/* The last time, of the session's own; closes the descriptor, unless it is -1. */
void crn_mailbox_empty(int fd, const char *directory);

#endif
