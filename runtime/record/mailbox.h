#ifndef CRN_MAILBOX_H
#define CRN_MAILBOX_H
/*
 * The way to the launcher that a process keeps from its start: a file of the session's directory,
 * mapped, into which it can put its recording when nothing else is left to it.
 *
 * What a program gives up before its end (its user, its root folder, descriptors, the right to open
 * files or to let them grow), it needs for a file of its own, and not for memory that it shares.
 * The mapping holds no descriptor, children that it forks have it too, and it grows without any.
 *
 *     | struct crn_mailbox     | recording | recording | nothing yet: no disk, no memory ... |
 *     0            CRN_MAILBOX_HEAD_BYTES                                          the file's end
 *
 *     writer    FREE --claims bytes--> WRITING --all is there--> DONE
 *     launcher                         WRITING --session ends--> REFUSED   the writer keeps it
 *                                                                DONE --> TAKEN
 */
#include "base/base.h"

#define CRN_MAILBOX_NAME "mailbox"
enum { CRN_MAILBOX_HEAD_BYTES = 64 * 1024, CRN_LETTERS_MAX = 2000 };
enum { CRN_MAILBOX_BYTES = 256 << 20 }; /* of the file; most of it is a hole for ever */

enum crn_letter_state {
    CRN_LETTER_FREE,
    CRN_LETTER_WRITING,
    CRN_LETTER_DONE,
    CRN_LETTER_TAKEN,
    CRN_LETTER_REFUSED
};

struct crn_letter {
    _Atomic uint32_t state; /* enum crn_letter_state */
    uint32_t pid;
    uint64_t offset, bytes; /* of the recording in the file */
};

/* Both sides write to it at once, so all of it but a claimed letter is atomic. */
struct crn_mailbox {
    _Atomic uint32_t is_closed; /* the launcher has gone: nobody looks any more */
    _Atomic uint32_t letter_count;
    _Atomic uint64_t used_bytes; /* of the file, the head included */
    struct crn_letter letters[CRN_LETTERS_MAX];
};

struct crn_draft;

/*
 * Maps the mailbox of a session's directory, or one that is to be had at the door (door.h; NULL:
 * there is none).  The constructor calls it.  Without one all goes on.
 */
void crn_mailbox_open(const char *session, const char *door);

/* Maps so much of it that later no system call is needed for a recording of usual size. */
void crn_mailbox_prepare(void);

/*
 * Puts a recording there; false: it cannot be, or the launcher does not wait for it any more. Needs
 * no descriptor, and no system call but mremap(2) and madvise(2).
 */
bool crn_mailbox_put(struct crn_draft *draft);

#endif
