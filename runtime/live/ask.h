#ifndef CRN_ASK_H
#define CRN_ASK_H
/*
 * How somebody outside asks a running process for a check, and how it answers.
 *
 *     asker (coroner check PID)                         process under the shim
 *     makes PLACE/coroner-COOKIE/socket in the
 *     mount namespace of the process, listens
 *     rt_tgsigqueueinfo(CRN_STOP_SIGNAL, cookie) ---->  handler: begins the conductor
 *                                       <-- HELLO ----  conductor connects
 *     struct crn_ask_request ------------------------>
 *                                                       conductor stops the threads, makes the
 *                                                       snapshot child, lets the threads go on
 *                                       <- RECORDING -  child judges, sends, ends
 *                                       <--- OVER ----  conductor: all is as before the check
 *
 * The signal goes to one thread, not to the process: of a signal that any thread may take, the one
 * that was woken for it may find it taken, and then its call ends with EINTR and no handler.
 *
 * The directory has mode 0700 and belongs to the effective user of the process.  Its name, 16
 * hexadecimal digits of the cookie, cannot be foreseen.  The process takes it only if it is its
 * own user's and closed to others, follows no link to it, and talks only to its own user or root.
 * Where no place of the list can be written to, the asker listens on the abstract address of the
 * same name, "\0coroner-COOKIE", too.  Where the process may not make sockets, it writes the
 * frames to a file `answer` in the directory: first `answer.part`, renamed when it is whole.
 *
 * Either side may go at any time; the other then goes on as if it had never asked.
 */
#include <stdint.h>

/* Where the directory may lie, in the order in which both sides try. */
#define CRN_ASK_PLACES "/tmp", "/dev/shm", "/var/tmp", "/run"
#define CRN_ASK_NAME "coroner-%016lx" /* of the directory; the cookie */
#define CRN_ASK_SOCKET "socket"
#define CRN_ASK_ANSWER "answer"
#define CRN_ASK_ANSWER_PART "answer.part"

enum { CRN_ASK_MAGIC = 0x4b534143 /* "CASK" */, CRN_ASK_VERSION = 1 };

/* What the file of the shim says of itself, before anybody asks: an ELF note of that name and type.
 */
#define CRN_ASK_NOTE_NAME "Coroner"
enum { CRN_ASK_NOTE_TYPE = 1 };
struct crn_ask_note {
    uint32_t ask_version, record_version; /* CRN_ASK_VERSION, CRN_RECORD_VERSION */
    char coroner[24];                     /* its version, for people */
};

enum crn_ask_flags {
    CRN_ASK_LIVE = 1,       /* the heap that is not leaked, too (--live) */
    CRN_ASK_COROUTINES = 2, /* every coroutine (--coroutines, dump) */
};

/* From the asker, once to whoever connects. */
struct crn_ask_request {
    uint32_t magic, version;
    uint32_t flags; /* enum crn_ask_flags */
    uint32_t asker; /* its pid, as its own namespace has it */
    uint64_t predicted_pause_ns; /* what the asker foresaw; UINT64_MAX: nothing */
};

enum crn_ask_kind {
    CRN_ASK_HELLO_CHILD,     /* nobody says it any more */
    CRN_ASK_HELLO_CONDUCTOR, /* no payload; the request is wanted */
    CRN_ASK_BUSY,            /* another check is under way; payload: uint32_t, who asked for it */
    CRN_ASK_REFUSED,         /* there is no answer; payload: why, a text without NUL, one clause */
    CRN_ASK_WORKING,         /* no payload: whoever waits may go on waiting */
    CRN_ASK_RECORDING,       /* payload: the recording */
    CRN_ASK_OVER,            /* payload: struct crn_ask_over; nothing comes after it */
    CRN_ASK_KIND_COUNT
};

/* From the process: a frame, then its payload. */
struct crn_ask_frame {
    uint32_t kind; /* enum crn_ask_kind */
    uint32_t reserved;
    uint64_t bytes; /* of the payload */
};

struct crn_ask_over {
    uint64_t pause_ns;        /* how long the threads stood still */
    uint64_t copied_bytes;    /* that the program wrote meanwhile, hence the kernel copied */
    uint64_t collapsed_bytes; /* made huge pages again */
    uint32_t has_given_up;    /* the child was ended: too much was copied, or memory was short */
    uint32_t reserved;
};

#endif
