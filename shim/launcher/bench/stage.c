/*
 * The input and the outputs of a bench's runs.  See stage.h.
 *
 * The files have no name.  A process that outlives its run writes on into a file of its own, which
 * nobody reads any more.
 */
#include "shim/launcher/bench/stage.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/format.h"
#include "shim/launcher/output.h"
#include "sym/store.h"

/* How long to wait for input before saying that we do. */
enum { PATIENCE_MS = 2000 };

static int file_make_below(const char *parent)
{
    char *path;
    if (asprintf(&path, "%s/coroner-bench-XXXXXX", parent) < 0)
        crn_out_of_memory();
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    free(path);
    return fd;
}

/* A file without a name, in TMPDIR or /tmp; -1 after saying why there is none. */
static int file_make(void)
{
    const char *parent = getenv("TMPDIR");
    int fd = parent != NULL && *parent == '/' ? file_make_below(parent) : -1;
    if (fd < 0)
        fd = file_make_below("/tmp");
    if (fd < 0)
        crn_say("cannot make a file in TMPDIR or /tmp: %s; set TMPDIR to one that is writable",
                strerror(errno));
    return fd;
}

/* Another opening of the same file, with a position of its own; -1 after saying why not. */
static int file_reopen(int fd, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int other = open(path, flags | O_CLOEXEC);
    if (other < 0)
        crn_say("cannot open a temporary file again: %s; mount /proc", strerror(errno));
    return other;
}

/* Somebody may hold the other end of an input that the program does not want. */
static void input_await(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&input, 1, PATIENCE_MS) == 0)
        crn_say("reading standard input to its end first; "
                "give </dev/null if the program needs none");
}

static bool input_copy(struct crn_bench_stage *stage)
{
    static char buffer[1 << 16];
    ssize_t n;
    input_await();
    while ((n = read(STDIN_FILENO, buffer, sizeof buffer)) > 0) {
        for (ssize_t at = 0, written; at < n; at += written) {
            written = write(stage->input_fd, buffer + at, (size_t)(n - at));
            if (written < 0) {
                crn_say("cannot keep a copy of standard input: %s; set TMPDIR to a roomier place",
                        strerror(errno));
                return false;
            }
        }
        stage->input_bytes += (uint64_t)n;
    }
    if (n < 0 && errno != EBADF && errno != EINTR) {
        crn_say("cannot read standard input: %s", strerror(errno));
        return false;
    }
    return true;
}

bool crn_stage_open(struct crn_bench_stage *stage)
{
    *stage =
        (struct crn_bench_stage){.input_fd = -1, .output_fds = {-1, -1}, .model_fds = {-1, -1}};
    if (isatty(STDIN_FILENO))
        return true;
    stage->input_fd = file_make();
    return stage->input_fd >= 0 && input_copy(stage);
}

static void close_all(int *fds, int count)
{
    for (int i = 0; i < count; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

void crn_stage_close(struct crn_bench_stage *stage)
{
    close_all(&stage->input_fd, 1);
    close_all(stage->output_fds, CRN_BENCH_STREAMS);
    close_all(stage->model_fds, CRN_BENCH_STREAMS);
}

bool crn_stage_set(struct crn_bench_stage *stage, int streams[3])
{
    bool is_set = true;
    streams[0] = stage->input_bytes > 0 ? file_reopen(stage->input_fd, O_RDONLY)
                                        : open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < CRN_BENCH_STREAMS; i++) {
        stage->output_fds[i] = file_make();
        streams[1 + i] =
            stage->output_fds[i] >= 0 ? file_reopen(stage->output_fds[i], O_WRONLY | O_APPEND) : -1;
    }
    for (int i = 0; i < 3; i++)
        is_set &= streams[i] >= 0;
    return is_set;
}

void crn_stage_strike(struct crn_bench_stage *stage, int streams[3])
{
    close_all(streams, 3);
    close_all(stage->output_fds, CRN_BENCH_STREAMS);
}

/* A file's bytes, for reading; *bytes 0 when it is empty or cannot be had. */
static const unsigned char *file_map(int fd, size_t *bytes)
{
    struct stat file;
    void *mapping = MAP_FAILED;
    if (fstat(fd, &file) == 0 && file.st_size > 0)
        mapping = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    *bytes = mapping == MAP_FAILED ? 0 : (size_t)file.st_size;
    return mapping == MAP_FAILED ? NULL : mapping;
}

static void file_unmap(const unsigned char *mapping, size_t bytes)
{
    if (mapping != NULL)
        munmap((void *)mapping, bytes);
}

static struct crn_digest digest_take(int fd)
{
    size_t bytes;
    const unsigned char *mapping = file_map(fd, &bytes);
    struct crn_digest digest = {bytes, crn_record_checksum(mapping, bytes)};
    file_unmap(mapping, bytes);
    return digest;
}

void crn_stage_model(struct crn_bench_stage *stage)
{
    for (int i = 0; i < CRN_BENCH_STREAMS; i++) {
        stage->model_fds[i] = stage->output_fds[i];
        stage->output_fds[i] = -1;
        stage->models[i] = digest_take(stage->model_fds[i]);
    }
}

/* The line that begins at `start`, as far as it fits, fit to print. */
static void line_cut(const unsigned char *text, size_t bytes, size_t start, char *line, size_t room)
{
    size_t at = 0;
    if (start >= bytes) {
        snprintf(line, room, "(its end)");
        return;
    }
    for (; start < bytes && text[start] != '\n' && at + 1 < room; start++)
        line[at++] = isprint(text[start]) ? (char)text[start] : '?';
    line[at] = 0;
}

static void difference_find(int model_fd, int other_fd, struct crn_bench_difference *difference)
{
    if (difference->line != 0)
        return;
    size_t model_bytes, other_bytes, at = 0, start = 0;
    const unsigned char *model = file_map(model_fd, &model_bytes);
    const unsigned char *other = file_map(other_fd, &other_bytes);
    if (difference->line != 0) /* the first such run has said it */
        return;
    difference->line = 1;
    for (; at < model_bytes && at < other_bytes && model[at] == other[at]; at++) {
        if (model[at] == '\n') {
            difference->line++;
            start = at + 1;
        }
    }
    line_cut(model, model_bytes, start, difference->plain, sizeof difference->plain);
    line_cut(other, other_bytes, start, difference->other, sizeof difference->other);
    file_unmap(model, model_bytes);
    file_unmap(other, other_bytes);
}

bool crn_stage_is_alike(const struct crn_bench_stage *stage, int stream,
                        struct crn_bench_difference *difference)
{
    struct crn_digest digest = digest_take(stage->output_fds[stream]);
    const struct crn_digest *model = &stage->models[stream];
    if (digest.bytes == model->bytes && digest.hash == model->hash)
        return true;
    difference_find(stage->model_fds[stream], stage->output_fds[stream], difference);
    return false;
}
