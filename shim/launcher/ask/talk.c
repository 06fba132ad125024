/*
 * Asks, and listens to the answer.  See talk.h.
 *
 *     signal sent ──> nobody yet ──> child connected ──> recording whole ──> over
 *                         │               │ it ended          │ nobody comes for a while
 *                         └─ why? ────────┴─ why?             └─ answered all the same
 */
#include "shim/launcher/ask/talk.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "shim/launcher/ask/reply.h"
#include "shim/launcher/attend.h"
#include "shim/launcher/output.h"
#include "shim/launcher/proc.h"
#include "shim/launcher/progress.h"

enum { PEERS_MAX = 8, TICK_MS = 50, ANCESTORS_MAX = 4 };

/* How long it may take, in ms. */
enum {
    TAKE_MS = 10000,    /* until somebody connects, once the signal has been taken */
    PENDING_MS = 20000, /* until it has been taken */
    SILENCE_MS = 60000, /* between two words */
    WHOLE_MS = 1800000, /* all of it */
    OVER_MS = 5000,     /* after the recording, until the conductor comes */
    ENDED_MS = 500,     /* after the process has ended, for what was under way */
};

struct peer {
    int fd; /* -1: the row is free */
    bool is_child, was_asked;
    struct crn_reply reply;
};

struct listening {
    struct crn_talk *talk;
    const struct crn_target *target;
    const struct crn_meeting *meeting;
    struct peer peers[PEERS_MAX];
    uint64_t began, heard, recorded, ended; /* ms; 0: not yet */
    bool was_heard, child_has_gone, is_strange, is_image_gone;
    bool is_said; /* why there is no answer */
    bool has_child_come;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Whether `pid` is the process or descends from it, as far as it can be told. */
static bool is_of_target(const struct listening *listening, pid_t pid)
{
    for (unsigned i = 0; i < ANCESTORS_MAX && pid > 1; i++) {
        char path[32];
        size_t count;
        if (pid == listening->target->pid)
            return true;
        snprintf(path, sizeof path, "/proc/%d/status", pid);
        char *status = crn_proc_read(AT_FDCWD, path, &count);
        if (status == NULL)
            return true; /* it has gone, or is not to be seen */
        pid = (pid_t)crn_proc_number(status, "PPid", 10, 0);
        free(status);
    }
    return listening->ended != 0; /* then its children have another parent */
}

static bool is_welcome(const struct listening *listening, int fd)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 &&
           (peer.uid == listening->meeting->uid || peer.uid == 0) &&
           (peer.pid == 0 || is_of_target(listening, peer.pid));
}

static void peer_take(struct listening *listening, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    for (unsigned i = 0; fd >= 0 && i < PEERS_MAX; i++) {
        struct peer *peer = &listening->peers[i];
        if (peer->fd >= 0 || !is_welcome(listening, fd))
            continue;
        *peer = (struct peer){.fd = fd};
        listening->was_heard = true;
        listening->heard = now_ms();
        return;
    }
    if (fd >= 0)
        close(fd);
}

static void peer_leave(struct listening *listening, struct peer *peer)
{
    listening->child_has_gone |= peer->is_child;
    listening->is_strange |= peer->reply.is_strange;
    crn_reply_fini(&peer->reply);
    close(peer->fd);
    peer->fd = -1;
}

/* The request; a socket that was just made has room for it. */
static bool peer_ask(struct listening *listening, struct peer *peer)
{
    const struct crn_ask_request *request = &listening->talk->request;
    if (peer->was_asked)
        return true;
    peer->was_asked = true;
    return send(peer->fd, request, sizeof *request, MSG_NOSIGNAL) == (ssize_t)sizeof *request;
}

static void say_busy(const struct listening *listening, const struct crn_reply *reply)
{
    uint32_t asker;
    memcpy(&asker, reply->payload, sizeof asker);
    if (asker != 0)
        crn_say(
            "another check of %s is under way, asked for by process %u; ask again when that has "
            "its answer",
            listening->target->label, asker);
    else
        crn_say("another check of %s is under way; ask again when that is over",
                listening->target->label);
}

static void recording_take(struct listening *listening, struct crn_reply *reply)
{
    struct crn_talk *talk = listening->talk;
    free(talk->recording);
    talk->recording = crn_reply_take(reply, &talk->recording_bytes);
    listening->recorded = now_ms();
}

/* Heeds a frame that is whole; answers whether the peer may go on. */
static bool frame_heed(struct listening *listening, struct peer *peer)
{
    struct crn_reply *reply = &peer->reply;
    switch ((enum crn_ask_kind)reply->frame.kind) {
    case CRN_ASK_HELLO_CHILD:
        peer->is_child = listening->has_child_come = true;
        return peer_ask(listening, peer);
    case CRN_ASK_HELLO_CONDUCTOR:
        return peer_ask(listening, peer);
    case CRN_ASK_BUSY:
        say_busy(listening, reply);
        listening->is_said = true;
        return false;
    case CRN_ASK_REFUSED:
        crn_say("%s was not checked: %.*s", listening->target->label, (int)reply->frame.bytes,
                (const char *)reply->payload);
        listening->is_said = true;
        return true; /* there may be an end to it */
    case CRN_ASK_RECORDING:
        recording_take(listening, reply);
        return true;
    case CRN_ASK_OVER:
        memcpy(&listening->talk->over, reply->payload, sizeof listening->talk->over);
        listening->talk->has_over = true;
        return true;
    default:
        return true;
    }
}

/* Reads what the peer says; it leaves when it has said all, or what is no frame. */
static void peer_hear(struct listening *listening, struct peer *peer)
{
    enum { FRAMES_MAX = 64 }; /* at a time */
    for (unsigned i = 0; i < FRAMES_MAX; i++) {
        enum crn_reply_state state = crn_reply_read(&peer->reply, peer->fd);
        if (peer->reply.has_heard)
            listening->heard = now_ms();
        if (state == CRN_REPLY_MORE)
            return;
        if (state == CRN_REPLY_NO_MEMORY) {
            crn_say("%s answers with a recording of %llu bytes, for which there is no memory here",
                    listening->target->label, (unsigned long long)peer->reply.frame.bytes);
            listening->is_said = true;
        }
        if (state != CRN_REPLY_WHOLE || !frame_heed(listening, peer)) {
            peer_leave(listening, peer);
            return;
        }
    }
}

/* A process that may make no sockets writes its frames to a file. */
static void answer_look(struct listening *listening)
{
    int fd = crn_meeting_answer(listening->meeting);
    if (fd < 0)
        return;
    struct peer peer = {.fd = fd, .was_asked = true};
    listening->was_heard = true;
    while (peer.fd >= 0)
        peer_hear(listening, &peer);
    if (!listening->talk->has_over)
        listening->recorded = listening->recorded != 0 ? 1 : 0; /* nobody comes any more */
    listening->child_has_gone = true;
}

static bool has_peers(const struct listening *listening, bool only_child)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        if (listening->peers[i].fd >= 0 && (!only_child || listening->peers[i].is_child))
            return true;
    return false;
}

/* Why nobody has connected. */
static void say_unheard(const struct listening *listening)
{
    char state;
    const char *label = listening->target->label;
    if (listening->ended != 0)
        crn_say("%s ended before it answered", label);
    else if (listening->is_image_gone)
        crn_say("%s became another program before it answered", label);
    else if (!crn_target_is_signal_pending(listening->target, &state))
        crn_say("%s took our signal, but does not answer: it may not make a process (seccomp, "
                "RLIMIT_NPROC, RLIMIT_AS, RLIMIT_DATA, a pids limit), or is ending",
                label);
    else if (state == 'D')
        crn_say("%s does not take our signal: it waits for a device or a disk that does not answer",
                label);
    else if (state == 'T' || state == 't')
        crn_say("%s was stopped before it answered; it does when it goes on, to nobody", label);
    else
        crn_say("%s does not take our signal: it gets no processor time (is its control group "
                "frozen?)",
                label);
}

/* Why the one that connected did not answer. */
static void say_unanswered(const struct listening *listening)
{
    const struct crn_talk *talk = listening->talk;
    const char *label = listening->target->label;
    if (talk->has_over && talk->over.has_given_up)
        crn_say("%s was not checked: the look was given up, for the program wrote too much "
                "meanwhile (%llu MiB had to be copied), or memory was short; ask again when it is "
                "quieter",
                label, (unsigned long long)(talk->over.copied_bytes >> 20));
    else if (listening->is_strange)
        crn_say("%s answers in a way that this Coroner " CORONER_VERSION
                " does not know: ask by the one that it runs under",
                label);
    else if (listening->ended != 0)
        crn_say("%s ended before it answered", label);
    else if (listening->child_has_gone)
        crn_say("%s was not checked: the process that judges its snapshot was killed (was memory "
                "short?)",
                label);
    else
        crn_say("%s was not checked: it has not said a word for %d s", label, SILENCE_MS / 1000);
}

/* Whether there is nothing to be waited for any more. */
static bool is_over(struct listening *listening)
{
    const struct crn_talk *talk = listening->talk;
    uint64_t now = now_ms();
    char state;
    if (listening->ended == 0 && crn_target_has_ended(listening->target))
        listening->ended = now;
    if (talk->has_over && !has_peers(listening, true))
        return true;
    if ((listening->is_said || listening->is_strange) && !has_peers(listening, false))
        return true;
    if (now - listening->began >= WHOLE_MS)
        return true;
    if (talk->recording != NULL && !has_peers(listening, false))
        return now - listening->recorded >= OVER_MS ||
               (listening->ended != 0 && now - listening->ended >= ENDED_MS);
    if (has_peers(listening, false))
        return now - listening->heard >= SILENCE_MS;
    if (listening->ended != 0)
        return now - listening->ended >= ENDED_MS;
    if (listening->was_heard)
        return now - listening->heard >= OVER_MS;
    if (now - listening->began >= 1000 && !crn_target_is_same(listening->target, true)) {
        listening->is_image_gone = true;
        return true;
    }
    if (now - listening->began < TAKE_MS)
        return false;
    return !crn_target_is_signal_pending(listening->target, &state) ||
           now - listening->began >= PENDING_MS;
}

static void progress_tell(const struct listening *listening)
{
    const struct crn_reply *reply = NULL;
    for (unsigned i = 0; i < PEERS_MAX; i++)
        if (listening->peers[i].fd >= 0 &&
            listening->peers[i].reply.frame.kind == CRN_ASK_RECORDING)
            reply = &listening->peers[i].reply;
    if (reply != NULL && reply->frame.bytes > 0)
        crn_progress_tell("receiving the answer", reply->payload_got, reply->frame.bytes);
    else if (listening->talk->recording != NULL)
        crn_progress_tell("waiting until all is as before", 0, UINT64_MAX);
    else if (listening->was_heard)
        crn_progress_tell("the snapshot is being judged; the process runs on", 0, UINT64_MAX);
    else
        crn_progress_tell("waiting for the process", 0, UINT64_MAX);
}

/* Waits for somebody to come, to say something, to end, or for a signal of ours. */
static void step(struct listening *listening, int signals)
{
    struct pollfd polled[PEERS_MAX + 3];
    struct peer *peers[PEERS_MAX + 3] = {0};
    const int fixed[] = {signals, listening->meeting->listener, listening->meeting->abstract};
    unsigned count = 0;
    for (unsigned i = 0; i < CRN_COUNT_OF(fixed); i++)
        polled[count++] = (struct pollfd){.fd = fixed[i], .events = POLLIN};
    for (unsigned i = 0; i < PEERS_MAX; i++)
        if (listening->peers[i].fd >= 0) {
            peers[count] = &listening->peers[i];
            polled[count++] = (struct pollfd){.fd = listening->peers[i].fd, .events = POLLIN};
        }
    if (poll(polled, count, TICK_MS) <= 0) {
        answer_look(listening);
        return;
    }
    if (polled[0].revents != 0) {
        struct signalfd_siginfo info;
        if (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
            listening->talk->signal = (int)info.ssi_signo;
    }
    for (unsigned i = 1; i < count; i++) {
        if (polled[i].revents == 0)
            continue;
        if (peers[i] != NULL)
            peer_hear(listening, peers[i]);
        else
            peer_take(listening, polled[i].fd);
    }
}

enum crn_talk_end crn_talk(struct crn_talk *talk, const struct crn_target *target,
                           const struct crn_meeting *meeting)
{
    struct listening listening = {.talk = talk, .target = target, .meeting = meeting};
    sigset_t set;
    for (unsigned i = 0; i < PEERS_MAX; i++)
        listening.peers[i].fd = -1;
    crn_attend_signals(&set);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    listening.began = now_ms();
    crn_progress_begin();
    bool is_sent = crn_target_is_same(target, false) && crn_target_signal(target, meeting->cookie);
    while (is_sent && talk->signal == 0 && !is_over(&listening)) {
        progress_tell(&listening);
        step(&listening, signals);
    }
    crn_progress_hide();
    bool is_its_end = target->is_own && listening.ended != 0; /* then there is a report of that */
    if (is_sent && talk->signal == 0 && talk->recording == NULL && !listening.is_said &&
        !is_its_end) {
        if (listening.was_heard)
            say_unanswered(&listening);
        else
            say_unheard(&listening);
    }
    for (unsigned i = 0; i < PEERS_MAX; i++)
        if (listening.peers[i].fd >= 0)
            peer_leave(&listening, &listening.peers[i]);
    if (signals >= 0)
        close(signals);
    if (talk->signal != 0)
        return CRN_TALK_INTERRUPTED;
    return talk->recording != NULL ? CRN_TALK_ANSWERED : CRN_TALK_NOT;
}
