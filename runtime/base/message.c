/*
 * Messages that carry descriptors.  See message.h.
 */
#include "base/message.h"
#include "base/sys.h"

#include <string.h>

void crn_message_init(struct crn_message *message, void *bytes, size_t count)
{
    memset(message, 0, sizeof *message);
    message->part = (struct iovec){bytes, count};
    message->header.msg_iov = &message->part;
    message->header.msg_iovlen = 1;
    message->header.msg_control = message->room;
}

void crn_message_carry(struct crn_message *message, const int *fds, unsigned count)
{
    message->header.msg_controllen = CMSG_SPACE(count * sizeof(int));
    message->control.cmsg_level = SOL_SOCKET;
    message->control.cmsg_type = SCM_RIGHTS;
    message->control.cmsg_len = CMSG_LEN(count * sizeof(int));
    if (fds != NULL)
        memcpy(CMSG_DATA(&message->control), fds, count * sizeof(int));
}

void crn_message_extras_take(struct crn_message *message, struct crn_message_extras *extras)
{
    *extras = (struct crn_message_extras){.fd = -1};
    for (struct cmsghdr *each = CMSG_FIRSTHDR(&message->header); each != NULL;
         each = CMSG_NXTHDR(&message->header, each)) {
        size_t bytes = each->cmsg_len - CMSG_LEN(0);
        if (each->cmsg_level != SOL_SOCKET || each->cmsg_len < CMSG_LEN(0))
            continue;
        if (each->cmsg_type == SCM_CREDENTIALS && bytes >= sizeof(struct ucred)) {
            struct ucred sender;
            memcpy(&sender, CMSG_DATA(each), sizeof sender);
            extras->has_uid = true;
            extras->uid = sender.uid;
        }
        for (size_t i = 0; each->cmsg_type == SCM_RIGHTS && i < bytes / sizeof(int); i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(each) + i * sizeof fd, sizeof fd);
            if (extras->fd < 0)
                extras->fd = fd;
            else
                crn_syscall1(SYS_close, fd);
        }
    }
}
