/*
 * `coroner top`: what grows in a running process, again and again.
 *
 *     look --> table --> wait for a key, the time of the next look, or the end of the process
 *      ^                                                     |
 *      +-----------------------------------------------------+
 *
 * On a terminal a screen shows the table (view.h knows what keys do, screen.h draws); otherwise, or
 * with --batch, each look is printed.  The first look comes before there is a screen: what cannot
 * be looked at is said as `coroner check` says it.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/launcher/command.h"
#include "shim/launcher/output.h"
#include "shim/launcher/progress.h"
#include "shim/launcher/top/look.h"
#include "shim/launcher/top/screen.h"

enum { OPTIONS_PASSED_MAX = 32, DELAY_S = 5 };

struct top {
    const char *pid;
    const char *passed[OPTIONS_PASSED_MAX + 1]; /* to `coroner check` */
    unsigned passed_count;
    double delay_s;
    unsigned looks_max; /* 0: until the process or the user ends it */
    bool is_batch;

    struct crn_suppressions *suppressions;
    struct crn_look_wish wish;
    struct crn_look look;
    struct crn_top_table *table;
    struct crn_top_view view;
    struct crn_top_state state;
    double looked_s, next_s; /* when the last look ended, when the next one is due */
    int process;             /* pidfd; -1: none */
    int status;              /* to exit with */
};

static volatile sig_atomic_t interruption, was_stopped;

static void interruption_note(int signal)
{
    interruption = signal;
}

static void stop_note(int signal)
{
    (void)signal;
    was_stopped = 1;
}

static void help(void)
{
    printf(
        "Usage: coroner top [OPTIONS] PID\n"
        "Show what grows in a running process, again and again.\n\n"
        "Options, with defaults in brackets:\n"
        "  -d, --delay SECONDS         Seconds between two looks, or more where they cost more. [%d]\n"
        "  -n, --looks N               End after N looks; 0: when the process ends. [0]\n"
        "  -b, --batch                 Print each look; so it is where standard output is no terminal.\n"
        "      --max-pause MS          When the pause is foreseen to be longer, do not look, exit 4.\n"
        "      --suppressions FILE     File of leak:, chain: and coroutine: patterns; may repeat.\n"
        "      --error-exitcode N      Exit code when the last look found proven leaks. [23]\n"
        "  -h, --help                  Show this help.\n\n"
        "Keys: h shows them.\n",
        DELAY_S);
}

static bool usage(const char *what, const char *mistake)
{
    crn_say("%s %s: see `coroner top --help`", what, mistake);
    return false;
}

/* Hands an option on to the check. */
static bool option_pass(struct top *top, const char *name, const char *value)
{
    char *text;
    if (top->passed_count == OPTIONS_PASSED_MAX)
        return usage(name, "is there too often");
    if (asprintf(&text, "--%s=%s", name, value) < 0)
        crn_out_of_memory();
    top->passed[top->passed_count++] = text; /* until we end */
    return true;
}

static bool delay_read(struct top *top, const char *text)
{
    char *end;
    top->delay_s = strtod(text, &end);
    return (*text != 0 && *end == 0 && top->delay_s >= 0 && top->delay_s <= 1e6) ||
           usage(text, "is no number of seconds");
}

static bool looks_read(struct top *top, const char *text)
{
    char *end;
    unsigned long count = strtoul(text, &end, 10);
    top->looks_max = (unsigned)count;
    return (*text >= '0' && *text <= '9' && *end == 0 && count <= 1000000000) ||
           usage(text, "is no number of looks");
}

/* Answers -1 when the command may go on, else the status. */
static int arguments_read(struct top *top, int argc, char **argv)
{
    static const struct option options[] = {{"delay", required_argument, NULL, 'd'},
                                            {"looks", required_argument, NULL, 'n'},
                                            {"batch", no_argument, NULL, 'b'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"max-pause", required_argument, NULL, 'P'},
                                            {"suppressions", required_argument, NULL, 'P'},
                                            {"error-exitcode", required_argument, NULL, 'P'},
                                            {0}};
    int answer, row = 0;
    opterr = 0;
    optind = 0; /* glibc: begin anew */
    while ((answer = getopt_long(argc, argv, ":d:n:bh", options, &row)) != -1) {
        bool is_read = true;
        if (answer == 'h') {
            help();
            return 0;
        }
        if (answer == 'd')
            is_read = delay_read(top, optarg);
        else if (answer == 'n')
            is_read = looks_read(top, optarg);
        else if (answer == 'b')
            top->is_batch = true;
        else if (answer == 'P')
            is_read = option_pass(top, options[row].name, optarg);
        else
            is_read =
                usage(argv[optind - 1], answer == ':' ? "needs a value" : "is no option of top");
        if (!is_read)
            return CRN_EXIT_USAGE;
    }
    if (argc - optind != 1) {
        crn_say("top of which process? `coroner top [OPTIONS] PID`");
        return CRN_EXIT_USAGE;
    }
    top->pid = argv[optind];
    return -1;
}

static bool has_ended(const struct top *top)
{
    struct pollfd waiting = {.fd = top->process, .events = POLLIN};
    return top->process >= 0 && poll(&waiting, 1, 0) > 0;
}

/* Takes over what a look has found. */
static void report_take(struct top *top, struct crn_report *report, int status)
{
    struct crn_top_table *table = crn_top_table_create(report, top->table);
    top->looked_s = crn_look_now_s();
    if (table == NULL) {
        crn_report_destroy(report);
        snprintf(top->look.said, sizeof top->look.said, "coroner: the process was not checked");
        top->status = CRN_EXIT_CANNOT_LOOK;
        return;
    }
    top->status = status;
    top->state.look++;
    top->state.cost = (struct crn_pace){table->process->check_pause_s, table->process->copied_bytes,
                                        top->looked_s - top->look.began_s};
    struct crn_top_table *before = top->table;
    top->table = table;
    crn_top_view_take(&top->view, table);
    crn_top_table_destroy(before);
}

/* When the next look may come. */
static void next_settle(struct top *top)
{
    top->next_s = top->looked_s + crn_pace_delay_s(&top->state.cost, top->view.wanted_s);
}

/* Waits for what comes first: `fds` are polled; nobody's signals come but now. */
static void wait_for(struct pollfd *fds, nfds_t count, double seconds)
{
    sigset_t none;
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    sigemptyset(&none);
    if (ppoll(fds, count, seconds < 0 ? NULL : &time, &none) < 0)
        for (nfds_t i = 0; i < count; i++)
            fds[i].revents = 0;
}

/* The signals that may come only while we wait. */
static void signals_take(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    sigset_t held;
    sigemptyset(&held);
    for (unsigned i = 0; i < CRN_COUNT_OF(ends); i++) {
        sigaction(ends[i], &(struct sigaction){.sa_handler = interruption_note}, NULL);
        sigaddset(&held, ends[i]);
    }
    sigaction(SIGCONT, &(struct sigaction){.sa_handler = stop_note}, NULL);
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    sigaddset(&held, SIGCONT);
    sigaddset(&held, SIGWINCH); /* ncurses' handlers, too */
    sigaddset(&held, SIGTSTP);
    sigprocmask(SIG_BLOCK, &held, NULL);
}

/* Dies of what interrupted us, as everybody expects. */
static int interruption_obey(void)
{
    int signal = interruption;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    raise(signal);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    return CRN_EXIT_SIGNAL + signal;
}

/* Looks, and waits for that; answers whether there is a new table. */
static bool look_whole(struct top *top)
{
    struct crn_report *report;
    int status;
    if (!crn_look_begin(&top->look, &top->wish)) {
        top->status = CRN_EXIT_CANNOT_LOOK;
        return false;
    }
    for (;;) {
        struct pollfd waiting = {.fd = top->look.words, .events = POLLIN};
        wait_for(&waiting, 1, 0.5);
        crn_progress_tell("looking at the process", 0, UINT64_MAX);
        if (interruption != 0) {
            crn_look_stop(&top->look);
            return false;
        }
        switch (crn_look_take(&top->look, &top->wish, &report, &status)) {
        case CRN_LOOK_DONE:
            report_take(top, report, status);
            return top->status != CRN_EXIT_CANNOT_LOOK;
        case CRN_LOOK_FAILED:
            top->looked_s = crn_look_now_s();
            top->status = status;
            return false;
        default:
            break;
        }
    }
}

/* What a look that failed said: its own lines, as they are. */
static void failure_say(const struct top *top)
{
    if (*top->look.said != 0)
        fprintf(stderr, "%s\n", top->look.said);
    else
        crn_say("the look ended without a word");
}

static void end_say(const struct top *top)
{
    double ago_s = crn_look_now_s() - top->looked_s;
    crn_say("process %s has ended; the last look at it was %.0f s before", top->pid, ago_s);
}

/* Prints look after look; answers the status. */
static int batch(struct top *top)
{
    int last_status = top->status;
    for (unsigned looks = 1;; looks++) {
        if (top->status != CRN_EXIT_CANNOT_LOOK && top->status != CRN_EXIT_USAGE) {
            last_status = top->status;
            top->state.next_s = -1;
            crn_top_print(stdout, top->table, &top->view.order, &top->state, 0);
            fputc('\n', stdout);
            if (fflush(stdout) != 0 && errno == EPIPE)
                return last_status; /* nobody reads any more */
            if (ferror(stdout)) {
                crn_say("cannot write to standard output: %s", strerror(errno));
                return CRN_EXIT_USAGE;
            }
        } else if (has_ended(top)) {
            break;
        } else {
            failure_say(top);
        }
        if (top->looks_max != 0 && looks >= top->looks_max)
            return top->status;
        next_settle(top);
        while (interruption == 0 && !has_ended(top) && crn_look_now_s() < top->next_s) {
            struct pollfd waiting = {.fd = top->process, .events = POLLIN};
            wait_for(&waiting, top->process >= 0, top->next_s - crn_look_now_s());
        }
        if (interruption != 0)
            return interruption_obey();
        if (has_ended(top))
            break;
        look_whole(top);
        if (interruption != 0)
            return interruption_obey();
    }
    end_say(top);
    return last_status;
}

/* Brings what is told of the time up to date. */
static void state_settle(struct top *top)
{
    double now_s = crn_look_now_s();
    top->state.is_looking = top->look.child != 0;
    top->state.ago_s = now_s - top->looked_s;
    top->state.next_s = top->next_s > now_s ? top->next_s - now_s : 0;
}

/* Takes what the look under way has to say; a failure is told on the screen. */
static void look_heed(struct top *top, unsigned *looks)
{
    struct crn_report *report;
    int status;
    switch (crn_look_take(&top->look, &top->wish, &report, &status)) {
    case CRN_LOOK_DONE:
        report_take(top, report, status);
        break;
    case CRN_LOOK_FAILED:
        top->looked_s = crn_look_now_s();
        snprintf(top->view.message, sizeof top->view.message, "%.200s",
                 strncmp(top->look.said, "coroner: ", 9) == 0 ? top->look.said + 9
                                                              : top->look.said);
        break;
    default:
        return;
    }
    ++*looks;
    next_settle(top);
}

/* Reads the keys that have come; answers whether to go on. */
static bool keys_heed(struct top *top, bool *looks_now)
{
    double wanted_s = top->view.wanted_s;
    for (long key; (key = crn_screen_key()) != CRN_KEY_NONE;) {
        enum crn_top_action action = crn_top_view_key(&top->view, key);
        if (action == CRN_TOP_QUITS)
            return false;
        *looks_now |= action == CRN_TOP_LOOKS_NOW;
    }
    if (top->view.wanted_s != wanted_s)
        next_settle(top);
    return true;
}

/* Shows the table until something ends it; answers whether the process ended. */
static bool watch(struct top *top)
{
    bool looks_now = false;
    unsigned looks = 1;
    next_settle(top);
    while (interruption == 0) {
        bool is_last = top->looks_max != 0 && looks >= top->looks_max;
        if (has_ended(top))
            return true;
        if (is_last && crn_look_now_s() >= top->next_s)
            return false;
        if (top->look.child == 0 && (looks_now || (!is_last && crn_look_now_s() >= top->next_s))) {
            looks_now = false;
            crn_look_begin(&top->look, &top->wish);
        }
        state_settle(top);
        crn_screen_draw(&top->view, &top->state);
        struct pollfd waiting[] = {
            {.fd = crn_screen_keys(), .events = POLLIN},
            {.fd = top->process, .events = POLLIN},
            {.fd = top->look.child != 0 ? top->look.words : -1, .events = POLLIN}};
        wait_for(waiting, CRN_COUNT_OF(waiting),
                 top->state.next_s > 0 && top->state.next_s < 1 ? top->state.next_s : 1);
        if (was_stopped)
            crn_screen_forget();
        was_stopped = 0;
        if ((waiting[0].revents & (POLLHUP | POLLERR)) != 0 || !keys_heed(top, &looks_now))
            return false;
        if (waiting[2].revents != 0)
            look_heed(top, &looks);
    }
    return false;
}

/* On a terminal; answers the status. */
static int interactive(struct top *top)
{
    if (!crn_screen_begin())
        return CRN_EXIT_USAGE;
    bool ended = watch(top);
    int rows = crn_screen_rows();
    crn_screen_end();
    crn_look_stop(&top->look);
    if (ended) {
        top->state.next_s = -1;
        top->state.is_looking = false;
        crn_top_print(stdout, top->table, &top->view.order, &top->state,
                      rows > CRN_TOP_HEAD_LINES + 6 ? (size_t)(rows - CRN_TOP_HEAD_LINES - 6) : 1);
        fflush(stdout);
        end_say(top);
    }
    return interruption != 0 ? interruption_obey() : top->status;
}

int crn_command_top(const struct crn_command *command, int argc, char **argv)
{
    (void)command;
    struct top top = {.delay_s = DELAY_S, .process = -1};
    int status = arguments_read(&top, argc, argv);
    if (status >= 0)
        return status;
    top.is_batch |= !isatty(STDOUT_FILENO);
    top.suppressions = crn_suppressions_create();
    top.wish = (struct crn_look_wish){top.pid, top.passed, top.suppressions};
    crn_top_view_init(&top.view, top.delay_s);
    top.process = (int)syscall(SYS_pidfd_open, (pid_t)atoi(top.pid), 0);
    signals_take();
    if (!top.is_batch)
        crn_progress_begin(); /* later the screen tells */
    bool is_looked_at = look_whole(&top);
    crn_progress_end();
    if (!is_looked_at) {
        if (interruption == 0)
            failure_say(&top);
        status = interruption != 0 ? interruption_obey() : top.status;
    } else {
        status = top.is_batch ? batch(&top) : interactive(&top);
    }
    crn_top_table_destroy(top.table);
    crn_suppressions_destroy(top.suppressions);
    for (unsigned i = 0; i < top.passed_count; i++)
        free((char *)top.passed[i]);
    if (top.process >= 0)
        close(top.process);
    return status;
}
