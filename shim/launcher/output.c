/*
 * Where the launcher's words go.  See output.h.
 *
 * A report is rendered where it goes, a piece at a time: it may be much larger than what it tells
 * of.  A full disk or a closed pipe loses none of it all the same, for rendering it once more, to
 * standard error, says the same.
 */
#include "shim/launcher/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <syslog.h>
#include <unistd.h>

#include "base/characters.h"
#include "report/render.h"
#include "shim/launcher/progress.h"

/* Where a text goes that was given no place. */
static int text_stream = STDERR_FILENO;

static bool was_closed[STDERR_FILENO + 1];

/* The text of a line, tamed; the caller frees it. */
static char *line_make(const char *format, va_list arguments)
{
    char *text;
    if (vasprintf(&text, format, arguments) < 0)
        crn_out_of_memory();
    crn_text_tame(text);
    return text;
}

/* At once: the program may be writing there, too. */
static bool line_print(const char *text)
{
    crn_progress_hide();
    return fprintf(stderr, "coroner: %s\n", text) >= 0;
}

void crn_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = line_make(format, arguments);
    va_end(arguments);
    line_print(text);
    free(text);
}

static bool is_nothing(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

void crn_say_somewhere(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = line_make(format, arguments);
    va_end(arguments);
    if (was_closed[STDERR_FILENO] || is_nothing(STDERR_FILENO) || !line_print(text))
        syslog(LOG_USER | LOG_WARNING, "%s", text);
    free(text);
}

void crn_output_init(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        was_closed[fd] = true;
        open("/dev/null", O_RDWR | O_CLOEXEC); /* the lowest free number: fd */
    }
}

static const int of_writing[] = {SIGPIPE, SIGXFSZ, SIGTTOU};
static struct sigaction before_enduring[CRN_COUNT_OF(of_writing)];
static bool is_enduring;

void crn_output_endure(void)
{
    struct sigaction ignoring = {.sa_handler = SIG_IGN};
    for (unsigned i = 0; i < CRN_COUNT_OF(of_writing); i++)
        sigaction(of_writing[i], &ignoring, &before_enduring[i]);
    is_enduring = true;
}

void crn_output_endure_undo(void)
{
    for (unsigned i = 0; i < CRN_COUNT_OF(of_writing) && is_enduring; i++)
        sigaction(of_writing[i], &before_enduring[i], NULL);
    is_enduring = false;
}

void crn_output_let_go(bool is_unused)
{
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing < 0)
        return;
    dup3(nothing, STDIN_FILENO, O_CLOEXEC);
    if (is_unused)
        dup3(nothing, STDOUT_FILENO, O_CLOEXEC);
    close(nothing);
}

void crn_output_text_to_stdout(void)
{
    text_stream = STDOUT_FILENO;
}

char *crn_path_expand(const char *path, uint64_t pid, uint64_t number)
{
    char *expanded;
    size_t bytes;
    FILE *file = open_memstream(&expanded, &bytes);
    if (file == NULL)
        crn_out_of_memory();
    for (; *path != 0; path++) {
        if (path[0] == '%' && (path[1] == 'p' || path[1] == 'n')) {
            fprintf(file, "%llu", (unsigned long long)(path[1] == 'p' ? pid : number));
            path++;
        } else {
            fputc(*path, file);
        }
    }
    if (fclose(file) != 0)
        crn_out_of_memory();
    return expanded;
}

uint64_t crn_output_number(const struct crn_report *report, uint64_t pid)
{
    for (size_t i = 0; i < report->processes_count; i++)
        if (report->processes[i].pid == pid && report->processes[i].check_number > 0)
            return report->processes[i].check_number;
    return 1;
}

/*
 * Removes reports of earlier checks but for the last --keep: plain files of ours.  Numbers need not
 * be without gaps, since other checks count, too.
 */
static void older_remove(const struct crn_options *options, uint64_t pid, uint64_t number)
{
    enum { LOOKED_BACK = 256 };
    if (options->keep == 0 || strstr(options->output, "%n") == NULL)
        return;
    for (uint64_t back = options->keep; back < options->keep + LOOKED_BACK && back < number;
         back++) {
        char *path = crn_path_expand(options->output, pid, number - back);
        struct stat status;
        if (lstat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid())
            unlink(path);
        free(path);
    }
}

bool crn_output_check(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct stat status;
    char *directory;
    int error = 0;
    if (*path == 0)
        return true;
    if (stat(path, &status) == 0) {
        error = S_ISDIR(status.st_mode) ? EISDIR : access(path, W_OK) == 0 ? 0 : errno;
    } else if (strstr(path, "%p") == NULL || slash == NULL || strstr(path, "%p") > slash) {
        int length = slash == NULL ? 0 : (int)(slash - path);
        if (asprintf(&directory, "%.*s%s", length, path, slash == NULL ? "." : "/") < 0)
            crn_out_of_memory();
        error = access(directory, W_OK | X_OK) == 0 ? 0 : errno;
        free(directory);
    }
    if (error != 0)
        crn_say("cannot write to '%s': %s; choose a writable place", path, strerror(error));
    return error == 0;
}

int crn_output_write(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t n = write(fd, bytes, count);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd waiting = {.fd = fd, .events = POLLOUT};
            poll(&waiting, 1, -1);
            continue;
        }
        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0) {
            bytes += n;
            count -= (size_t)n;
        }
    }
    return 0;
}

/* A report tells of a program's inside: a new file is the user's alone, an old one stays as it is. */
static int file_open(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
}

static int write_file(const char *path, const char *bytes, size_t count)
{
    int fd = file_open(path);
    if (fd < 0)
        return errno;
    int error = crn_output_write(fd, bytes, count);
    if (close(fd) != 0 && error == 0)
        error = errno;
    return error;
}

static int write_stream(int fd, const char *bytes, size_t count)
{
    return was_closed[fd] ? EBADF : crn_output_write(fd, bytes, count);
}

/* To standard output by its name as to a stream: a file it was redirected to is not cut. */
static int write_place(const char *path, const char *bytes, size_t count)
{
    if (strcmp(path, "/dev/stdout") == 0)
        return write_stream(STDOUT_FILENO, bytes, count);
    return write_file(path, bytes, count);
}

static void refusal_say(const char *path, int error)
{
    crn_say("cannot write the report to %s: %s; it follows here (choose another --output)",
            *path != 0 ? path : "standard output", strerror(error));
}

bool crn_output_bytes(const char *path, const char *bytes, size_t count)
{
    int error =
        *path != 0 ? write_place(path, bytes, count) : write_stream(STDOUT_FILENO, bytes, count);
    if (error == 0)
        return true;
    refusal_say(path, error);
    write_stream(STDERR_FILENO, bytes, count);
    return false;
}

bool crn_output_has_color(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return isatty(fd) && (no_color == NULL || *no_color == 0) && terminal != NULL &&
           strcmp(terminal, "dumb") != 0;
}

/* Whether somebody should have seen it. */
static bool has_news(const struct crn_report *report)
{
    for (size_t i = 0; i < report->processes_count; i++)
        if (report->processes[i].leaks_count > 0 || report->processes[i].findings_count > 0)
            return true;
    return false;
}

static void report_write(const struct crn_report *report, const struct crn_options *options,
                         bool is_colored, FILE *file)
{
    if (strcmp(options->format, "text") == 0)
        crn_report_write_text(report, file, is_colored);
    else
        crn_report_write_json(report, file);
}

void crn_output_render(const struct crn_report *report, const struct crn_options *options,
                       bool has_color, char **bytes, size_t *count)
{
    FILE *file = open_memstream(bytes, count);
    if (file == NULL)
        crn_out_of_memory();
    report_write(report, options, has_color, file);
    if (fclose(file) != 0)
        crn_out_of_memory();
}

/* A report on its way to a descriptor; `error` is of the first write that failed. */
struct stream {
    int fd, error;
};

static ssize_t stream_write(void *user, const char *bytes, size_t count)
{
    struct stream *stream = user;
    if (stream->error == 0)
        stream->error = crn_output_write(stream->fd, bytes, count);
    return stream->error == 0 ? (ssize_t)count : 0;
}

/* Renders to a descriptor, a small report by one write; answers 0 or the errno. */
static int report_stream(const struct crn_report *report, const struct crn_options *options,
                         bool is_colored, int fd)
{
    enum { BUFFER_BYTES = 1 << 20 };
    struct stream stream = {.fd = fd};
    if (fd <= STDERR_FILENO && was_closed[fd])
        return EBADF;
    FILE *file = fopencookie(&stream, "w", (cookie_io_functions_t){.write = stream_write});
    if (file == NULL || setvbuf(file, NULL, _IOFBF, BUFFER_BYTES) != 0)
        crn_out_of_memory();
    report_write(report, options, is_colored, file);
    fclose(file);
    return stream.error;
}

/* The same to the file `path`, or to standard output when that is "". */
static int report_place(const struct crn_report *report, const struct crn_options *options,
                        const char *path)
{
    if (*path == 0 || strcmp(path, "/dev/stdout") == 0)
        return report_stream(report, options, *path == 0 && crn_output_has_color(STDOUT_FILENO),
                             STDOUT_FILENO);
    int fd = file_open(path);
    if (fd < 0)
        return errno;
    int error = report_stream(report, options, false, fd);
    if (close(fd) != 0 && error == 0)
        error = errno;
    return error;
}

enum crn_delivery crn_output_report(const struct crn_report *report,
                                    const struct crn_options *options, uint64_t pid)
{
    if (options->quiet && !crn_report_is_bad(report, options->strict))
        return CRN_DELIVERED;
    bool is_text = strcmp(options->format, "text") == 0;
    bool is_file = *options->output != 0;
    if (!is_file && isatty(is_text ? text_stream : STDOUT_FILENO))
        crn_progress_end(); /* the report itself comes there */
    if (is_text && !is_file && text_stream == STDERR_FILENO) {
        int error =
            report_stream(report, options, crn_output_has_color(STDERR_FILENO), STDERR_FILENO);
        return error != 0 && !was_closed[STDERR_FILENO] && has_news(report) ? CRN_DELIVERED_NOWHERE
                                                                            : CRN_DELIVERED;
    }
    uint64_t number = crn_output_number(report, pid);
    char *path = crn_path_expand(options->output, pid, number);
    int error = report_place(report, options, path);
    crn_progress_end();
    if (error == 0 && report->processes_count > 0 &&
        report->processes[0].check_kind == CRN_CHECK_LIVE)
        older_remove(options, pid, number);
    enum crn_delivery delivery = CRN_DELIVERED;
    if (error != 0) {
        refusal_say(path, error);
        error = report_stream(report, options, false, STDERR_FILENO);
        delivery = error == 0 ? CRN_DELIVERED_ELSEWHERE : CRN_DELIVERED_NOWHERE;
    }
    free(path);
    return delivery;
}
