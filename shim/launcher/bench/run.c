/*
 * One run of a bench.  See run.h.
 *
 * ru_maxrss of a program begins with what was resident before its exec: our own memory, as a fork
 * copies it.  So this process stays small: recordings are read, and reports made, in a child.
 */
#include "shim/launcher/bench/run.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report/render.h"
#include "shim/launcher/command.h"
#include "shim/launcher/handoff.h"
#include "shim/launcher/output.h"
#include "shim/launcher/session.h"
#include "shim/launcher/watch.h"

struct crn_bench_facts crn_bench_facts_unknown(void)
{
    return (struct crn_bench_facts){.allocations = NAN,
                                    .check_pause_s = NAN,
                                    .check_s = NAN,
                                    .leaked_blocks = NAN,
                                    .report_s = NAN};
}

/* Adds what one recording says; `is_program` when it is the program's own. */
static void facts_add(struct crn_bench_facts *facts, const struct crn_record_process *process,
                      bool is_program)
{
    facts->processes++;
    if (!(process->flags & CRN_PROCESS_CHECKED)) {
        facts->unchecked++;
        return;
    }
    double pause_s = (double)process->check_pause_ns / 1e9;
    if (is_program && isnan(facts->allocations))
        facts->allocations = facts->check_pause_s = facts->check_s = 0;
    facts->allocations += (double)process->allocations;
    facts->check_s += (double)process->check_ns / 1e9;
    facts->check_pause_s = pause_s > facts->check_pause_s ? pause_s : facts->check_pause_s;
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static void report_render(struct crn_report *report, struct crn_bench_facts *facts)
{
    char *bytes;
    size_t count;
    FILE *file = open_memstream(&bytes, &count);
    if (file == NULL)
        crn_out_of_memory();
    crn_report_finish(report);
    crn_report_write_text(report, file, false);
    fclose(file);
    facts->leaked_blocks = 0;
    for (size_t i = 0; i < report->processes_count; i++)
        facts->leaked_blocks += (double)report->processes[i].leaked.blocks;
}

static void suppressions_read(struct crn_suppressions *suppressions,
                              const struct crn_options *options)
{
    char message[512];
    for (unsigned i = 0; i < options->suppressions_count; i++)
        if (crn_suppressions_read(suppressions, options->suppressions[i], message,
                                  sizeof message) != CRN_OK)
            crn_say("%s", message);
}

/* Reads all recordings of the run, the program's own first. */
static void facts_read(const struct crn_session_files *files, const struct crn_options *options,
                       pid_t pid, bool has_report, struct crn_bench_facts *facts)
{
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    struct crn_suppressions *suppressions = crn_suppressions_create();
    suppressions_read(suppressions, options);
    struct crn_report *report = crn_report_create(suppressions, options->coroutines);
    crn_report_heed(report, options);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < files->count; i++) {
            struct crn_recording recording;
            char message[512];
            bool is_program = files->rows[i].pid == (uint64_t)pid;
            if (is_program != (pass == 0) ||
                crn_record_open(files->rows[i].path, &recording, message, sizeof message) != CRN_OK)
                continue;
            facts_add(facts, recording.process, is_program);
            if (has_report)
                crn_report_add(report, &recording);
            crn_record_close(&recording);
        }
    }
    if (has_report && report->processes_count > 0) {
        report_render(report, facts);
        facts->report_s = seconds_since(&start);
    }
}

/* The same in a child, so that our own memory stays small. */
static void facts_read_apart(const struct crn_session_files *files,
                             const struct crn_options *options, pid_t pid, bool has_report,
                             struct crn_bench_facts *facts)
{
    struct crn_bench_facts *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        crn_out_of_memory();
    *shared = *facts;
    pid_t reader = fork();
    if (reader == 0) {
        struct crn_bench_facts read = *facts;
        facts_read(files, options, pid, has_report, &read);
        *shared = read;
        _exit(0);
    }
    while (reader > 0 && waitpid(reader, NULL, 0) < 0 && errno == EINTR)
        continue;
    *facts = *shared;
    munmap(shared, sizeof *shared);
}

double crn_bench_peak_floor(void)
{
    struct crn_ending ending;
    char *argv[] = {NULL};
    crn_watch("", argv, NULL, NULL, NULL, NULL, &ending); /* up to the exec, which fails */
    return (double)ending.usage.ru_maxrss * 1024;
}

static int start_failed(const char *path, int error)
{
    crn_say("%s: cannot be executed: %s", path, strerror(error));
    return error == ENOENT ? CRN_EXIT_NOT_FOUND : CRN_EXIT_NOT_EXECUTABLE;
}

/* Under the shim. */
static int run_watched(const char *path, char **argv, const struct crn_options *options,
                       const int *streams, bool has_report, struct crn_ending *ending,
                       struct crn_bench_facts *facts)
{
    struct crn_session session;
    struct crn_session_files files = {0};
    struct crn_handoff handoff;
    if (!crn_session_open(&session))
        return CRN_EXIT_USAGE;
    int status = CRN_EXIT_USAGE;
    if (crn_handoff_init(&handoff, options, &session)) {
        int error = crn_watch(path, argv, &handoff, streams, NULL, NULL, ending);
        status = error == 0 ? 0 : start_failed(path, error);
        crn_session_close(&session, &files);
        if (status == 0 && ending->interruption == 0)
            facts_read_apart(&files, options, ending->pid, has_report, facts);
    }
    crn_handoff_fini(&handoff);
    crn_session_remove(&session, &files, false);
    return status;
}

int crn_bench_run(const char *path, char **argv, enum crn_bench_version version,
                  const struct crn_options *options, const char *jemalloc, const int *streams,
                  bool has_report, struct crn_ending *ending, struct crn_bench_facts *facts)
{
    struct crn_handoff handoff;
    *facts = crn_bench_facts_unknown();
    if (version >= CRN_BENCH_OFF)
        return run_watched(path, argv, options, streams, has_report, ending, facts);
    bool has_library = version == CRN_BENCH_JEMALLOC;
    if (has_library && !crn_handoff_init_library(&handoff, jemalloc))
        return CRN_EXIT_USAGE;
    int error = crn_watch(path, argv, has_library ? &handoff : NULL, streams, NULL, NULL, ending);
    if (has_library)
        crn_handoff_fini(&handoff);
    return error == 0 ? 0 : start_failed(path, error);
}

/*
 * Asks the loader what it would load for this command with the shim, as ldd does: with
 * LD_TRACE_LOADED_OBJECTS it prints "NAME => PATH (ADDRESS)" lines and runs nothing.
 */
static FILE *loader_ask(const struct crn_handoff *handoff, pid_t *loader)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return NULL;
    *loader = fork();
    if (*loader == 0) {
        crn_handoff_apply(handoff);
        setenv("LD_TRACE_LOADED_OBJECTS", "1", 1);
        dup2(fds[1], STDOUT_FILENO);
        execl(handoff->launcher, handoff->launcher, (char *)NULL);
        _exit(CRN_EXIT_NOT_EXECUTABLE);
    }
    close(fds[1]);
    return fdopen(fds[0], "r");
}

char *crn_bench_jemalloc_find(void)
{
    struct crn_handoff handoff;
    struct crn_options options;
    char *line = NULL, *found = NULL;
    size_t room = 0;
    pid_t loader = -1;
    crn_options_init(&options);
    const struct crn_session none = {.directory = (char *)""};
    FILE *file = crn_handoff_init(&handoff, &options, &none) ? loader_ask(&handoff, &loader) : NULL;
    while (file != NULL && getline(&line, &room, file) > 0) {
        char *path = strstr(line, "=> /"), *end = path != NULL ? strstr(path, " (0x") : NULL;
        if (found != NULL || end == NULL || strstr(line, "libjemalloc") == NULL)
            continue;
        *end = 0;
        found = strdup(path + strlen("=> "));
    }
    if (file != NULL)
        fclose(file);
    while (loader > 0 && waitpid(loader, NULL, 0) < 0 && errno == EINTR)
        continue;
    free(line);
    crn_handoff_fini(&handoff);
    return found;
}
