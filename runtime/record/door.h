#ifndef CRN_DOOR_H
#define CRN_DOOR_H
/*
 * How a process that may not open the launcher's mailbox comes to one: by an abstract Unix socket,
 * which belongs to no folder and asks for no right to a file.
 *
 * A program that has become another user and then calls exec starts anew: the mapping of the
 * mailbox is gone, and the session's folder is closed to that user.  So is what was executed behind
 * chroot, or where other mounts hide that folder.
 *
 *     process                                 launcher
 *     CORONER_DOOR=NAME:UID:QUESTION:ANSWER
 *        --- QUESTION, its own uid --------->  of this session?
 *        <-- ANSWER, UID, a mailbox ---------  one for all processes of that uid
 *
 * The kernel tells the uids (SCM_CREDENTIALS, unix(7)).  Who does not know the question gets
 * nothing.  Who is not the launcher's user, or does not know the answer, is not believed: he has
 * taken the name of a launcher that is gone.  Nothing but mailboxes is handed out, and a user's own
 * processes only: he can put recordings there, which nobody trusts, and sees none but his own.
 *
 * Abstract names are those of a network namespace; in another one there is no door.
 */
#include "base/base.h"

#define CRN_DOOR_VARIABLE "CORONER_DOOR"
enum { CRN_DOOR_NAME_BYTES = 32, CRN_DOOR_WORD_BYTES = 32 }; /* without NULs behind */

/*
 * Asks for a mailbox, waits a second at most, and answers a descriptor of it; -1: there is none.
 * The constructor calls it.
 */
int crn_door_ask(const char *value);

#endif
