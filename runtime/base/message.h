#ifndef CRN_MESSAGE_H
#define CRN_MESSAGE_H
/*
 * Messages over Unix sockets that carry descriptors, or say who sent them; unix(7), cmsg(3).  Calls
 * no function of libc that locks or allocates.
 */
#include "base/base.h"

#include <sys/socket.h>

enum { CRN_MESSAGE_FDS_MAX = 3 };

struct crn_message {
    struct msghdr header;
    struct iovec part;
    union {
        struct cmsghdr control;
        char room[CMSG_SPACE(CRN_MESSAGE_FDS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
    };
};

/* A message of these bytes, to send or to be filled, that carries nothing. */
void crn_message_init(struct crn_message *message, void *bytes, size_t count);

/* Has it carry `count` descriptors, or makes room for them. */
void crn_message_carry(struct crn_message *message, const int *fds, unsigned count);

/* What came with a message to whoever has set SO_PASSCRED. */
struct crn_message_extras {
    int fd; /* the first descriptor, open; -1: there is none.  Further ones are closed */
    bool has_uid;
    uint32_t uid; /* of the sender */
};
void crn_message_extras_take(struct crn_message *message, struct crn_message_extras *extras);

#endif
