#ifndef CRN_LAUNCHER_DOOR_H
#define CRN_LAUNCHER_DOOR_H
/*
 * The launcher's side of the door (record/door.h): it hands out mailboxes to processes of the
 * session that cannot open the session's own, and collects what they put there.
 *
 * Such a mailbox lies in memory that nobody can make smaller (F_SEAL_SHRINK), is shared by the
 * processes of one user, and followed by another one when it is half full.  What is in it goes into
 * the session's directory within a second, so that it outlives us.
 *
 * A user who is not ours may have written anything there.  So much is taken from all of them
 * together, and nothing that would stand before a recording that a process of ours has left under
 * the same number.
 */
#include "base/base.h"

struct crn_door;

/* Opens a door for the session at `directory`, which is held as `fd`; NULL: there is none. */
struct crn_door *crn_door_open(const char *directory, int fd);

/* The session ends: collects what is there, into its directory as that is called and held now. */
void crn_door_close(struct crn_door *door, const char *directory, int fd);

/* For the processes to come: the value of CORONER_DOOR. */
const char *crn_door_value(const struct crn_door *door);

/* Waits until the process that the pidfd stands for has ended, and serves who knocks meanwhile. */
void crn_door_attend(struct crn_door *door, int pidfd);

#endif
