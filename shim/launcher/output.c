/*
 * Where the launcher's words go.  See output.h.
 *
 * A report is rendered into memory first, so that a full disk or a closed pipe loses none of it:
 * the whole of it can still go to standard error.
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
#include <unistd.h>

#include "report/render.h"

static bool was_closed[STDERR_FILENO + 1];

void crn_say(const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        crn_out_of_memory();
    va_end(arguments);
    fprintf(stderr, "coroner: %s\n", text); /* at once: the program may be writing there, too */
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

char *crn_path_expand(const char *path, uint64_t pid)
{
    char *expanded;
    size_t bytes;
    FILE *file = open_memstream(&expanded, &bytes);
    if (file == NULL)
        crn_out_of_memory();
    for (; *path != 0; path++) {
        if (path[0] == '%' && path[1] == 'p') {
            fprintf(file, "%llu", (unsigned long long)pid);
            path++;
        } else {
            fputc(*path, file);
        }
    }
    if (fclose(file) != 0)
        crn_out_of_memory();
    return expanded;
}

bool crn_output_check(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory;
    int error = 0;
    if (*path == 0)
        return true;
    if (access(path, F_OK) == 0) {
        error = access(path, W_OK) == 0 ? 0 : errno;
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

/* Writes all of it, however slowly the other side reads; answers 0 or the errno. */
static int write_all(int fd, const char *bytes, size_t count)
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

static int write_file(const char *path, const char *bytes, size_t count)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd < 0)
        return errno;
    int error = write_all(fd, bytes, count);
    if (close(fd) != 0 && error == 0)
        error = errno;
    return error;
}

static int write_stream(int fd, const char *bytes, size_t count)
{
    return was_closed[fd] ? EBADF : write_all(fd, bytes, count);
}

/* To standard output by its name as to a stream: a file it was redirected to is not cut. */
static int write_place(const char *path, const char *bytes, size_t count)
{
    if (strcmp(path, "/dev/stdout") == 0)
        return write_stream(STDOUT_FILENO, bytes, count);
    return write_file(path, bytes, count);
}

bool crn_output_bytes(const char *path, const char *bytes, size_t count)
{
    int error =
        *path != 0 ? write_place(path, bytes, count) : write_stream(STDOUT_FILENO, bytes, count);
    if (error != 0) {
        crn_say("cannot write the report to %s: %s; it follows here (choose another --output)",
                *path != 0 ? path : "standard output", strerror(error));
        write_stream(STDERR_FILENO, bytes, count);
    }
    return error == 0;
}

/* Whether colours would be seen and are wanted (https://no-color.org). */
static bool has_color(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return isatty(fd) && (no_color == NULL || *no_color == 0) && terminal != NULL &&
           strcmp(terminal, "dumb") != 0;
}

bool crn_output_report(const struct crn_report *report, const struct crn_options *options,
                       uint64_t pid)
{
    if (options->quiet && !crn_report_is_bad(report, options->strict))
        return true;
    bool is_text = strcmp(options->format, "text") == 0;
    bool is_file = *options->output != 0;
    int fd = is_text ? STDERR_FILENO : STDOUT_FILENO;
    char *path = is_file ? crn_path_expand(options->output, pid) : NULL;
    char *bytes;
    size_t count;
    FILE *file = open_memstream(&bytes, &count);
    if (file == NULL)
        crn_out_of_memory();
    if (is_text)
        crn_report_write_text(report, file, !is_file && has_color(fd));
    else
        crn_report_write_json(report, file);
    if (fclose(file) != 0)
        crn_out_of_memory();
    bool is_delivered = true; /* standard error may be closed on purpose */
    if (is_file || !is_text)
        is_delivered = crn_output_bytes(is_file ? path : "", bytes, count);
    else
        write_stream(fd, bytes, count);
    free(bytes);
    free(path);
    return is_delivered;
}
