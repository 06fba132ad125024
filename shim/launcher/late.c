/*
 * The report of a process for which nobody waits.  See late.h.
 */
#include "shim/launcher/late.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <syslog.h>
#include <unistd.h>

#include "shim/launcher/output.h"
#include "shim/launcher/place.h"
#include "shim/launcher/proc.h"
#include "sym/store.h"

enum { NAME_BYTES = 40, LOG_LINES_MAX = 400 };

/* The last part of a path, fit for a file's name. */
static void name_make(char name[NAME_BYTES], const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(name, NAME_BYTES, "%s", slash != NULL ? slash + 1 : path);
    for (char *c = name; *c != 0; c++)
        if ((unsigned char)*c >= 0x80 ||
            (!isalnum((unsigned char)*c) && strchr("._+-", *c) == NULL))
            *c = '_';
}

static const char *ending_of(const struct crn_options *options)
{
    return strcmp(options->format, "text") == 0 ? "txt" : options->format;
}

/* Line by line; the log would cut longer ones. */
static void log_write(char *text)
{
    char *rest = text;
    unsigned lines = 0;
    openlog("coroner", LOG_NDELAY, LOG_USER);
    for (char *line; (line = strsep(&rest, "\n")) != NULL && lines < LOG_LINES_MAX;)
        if (*line != 0) {
            syslog(LOG_WARNING, "%s", line);
            lines++;
        }
    if (rest != NULL)
        syslog(LOG_WARNING, "...");
}

/* Makes report-NAME-PID in the directory; answers a descriptor, or a negative errno. */
static int file_make(const struct crn_report *report, const struct crn_options *options)
{
    struct crn_place place;
    char name[NAME_BYTES], *stem, *file;
    const struct crn_process *process = &report->processes[0];
    if (!crn_place_make(&place, options->late_reports))
        return -EACCES;
    name_make(name, process->exe != NULL ? process->exe : "");
    if (asprintf(&stem, "report-%s-%llu", name, (unsigned long long)process->pid) < 0)
        crn_out_of_memory();
    int fd = crn_place_create(&place, stem, ending_of(options), &file);
    if (fd >= 0)
        free(file);
    free(stem);
    crn_place_close(&place);
    return fd;
}

enum crn_late crn_late_report(const struct crn_report *report, const struct crn_options *options)
{
    const char *where = options->late_reports;
    char *bytes;
    size_t count;
    crn_output_render(report, options, false, &bytes, &count);
    if (strcmp(where, CRN_LATE_LOG) == 0) {
        log_write(bytes);
        free(bytes);
        return CRN_LATE_LOGGED;
    }
    bool is_directory = *where != 0 && where[strlen(where) - 1] == '/';
    char *path = is_directory ? NULL : crn_path_expand(where, report->processes[0].pid,
                                                       report->processes[0].check_number);
    int fd = is_directory ? file_make(report, options) : crn_file_open_own(path);
    bool is_written = fd >= 0 && crn_output_write(fd, bytes, count) == 0;
    if (fd >= 0)
        is_written = close(fd) == 0 && is_written;
    free(path);
    free(bytes);
    return is_written ? CRN_LATE_WRITTEN : CRN_LATE_FAILED;
}

/* Whether the process was started with the variable, and has the shim in it. */
static bool is_watched(int directory, const char *variable)
{
    struct stat status;
    size_t count, length = strlen(variable) + 1;
    if (fstat(directory, &status) != 0 || (status.st_uid != geteuid() && geteuid() != 0))
        return false;
    char *text = crn_proc_read(directory, "environ", &count);
    bool is_of_session = text != NULL && memmem(text, count, variable, length) != NULL;
    free(text);
    if (!is_of_session)
        return false;
    text = crn_proc_read(directory, "maps", &count);
    bool has_shim = text != NULL && strstr(text, "/libcoroner.so") != NULL;
    free(text);
    return has_shim;
}

/* Whether words that the process writes to the descriptor get anywhere. */
static bool has_stream(int directory, int fd)
{
    char name[16];
    struct stat status;
    snprintf(name, sizeof name, "fd/%d", fd);
    return fstatat(directory, name, &status, 0) == 0 &&
           !(S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3));
}

struct living {
    unsigned count;
    int pid; /* of the last one */
    char name[NAME_BYTES];
    bool has_stream, is_other_user;
};

/* What the search looks for, and has found. */
struct search {
    const char *variable;
    int stream;
    struct living living;
    uint64_t pids; /* of all that are asked, watched or not, a sum */
};

static void living_visit(int pid, void *user)
{
    struct search *search = user;
    struct living *living = &search->living;
    char path[32], exe[4096];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d", pid);
    int directory = pid != getpid() ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    search->pids += directory >= 0 ? (uint64_t)pid * (uint64_t)pid : 0;
    if (directory >= 0 && is_watched(directory, search->variable)) {
        ssize_t length = readlinkat(directory, "exe", exe, sizeof exe - 1);
        exe[length > 0 ? length : 0] = 0;
        name_make(living->name, exe);
        living->count++;
        living->pid = pid;
        living->has_stream |= has_stream(directory, search->stream);
        living->is_other_user |= fstat(directory, &status) == 0 && status.st_uid != geteuid();
    }
    if (directory >= 0)
        close(directory);
}

/*
 * Looks until twice the same processes are there: a daemon forks, ends and executes in its first
 * moments.  Mostly there is nobody, and that is certain at once.
 */
static void search_settle(struct search *search, const struct crn_kin *kin)
{
    enum { LOOKS_MAX = 6, BETWEEN_US = 20000 };
    uint64_t before = 0;
    for (unsigned i = 0; i < LOOKS_MAX; i++) {
        search->living = (struct living){0};
        search->pids = 0;
        crn_kin_for_each(kin, living_visit, search);
        bool is_same = i > 0 && search->pids == before && search->living.count > 0;
        if (search->pids == 0 || is_same || !kin->is_known)
            return;
        before = search->pids;
        usleep(BETWEEN_US);
    }
}

bool crn_late_is_foretold(const struct crn_options *options)
{
    return *options->output == 0 && !options->quiet && options->follow_children;
}

void crn_late_foretell(const char *directory, const struct crn_kin *kin,
                       const struct crn_options *options)
{
    char *variable;
    bool is_text = strcmp(options->format, "text") == 0;
    if (!crn_late_is_foretold(options))
        return;
    if (asprintf(&variable, "CORONER_SESSION=%s", directory) < 0)
        crn_out_of_memory();
    struct search search = {.variable = variable,
                            .stream = is_text ? STDERR_FILENO : STDOUT_FILENO};
    search_settle(&search, kin);
    free(variable);
    const struct living living = search.living;
    const char *where = is_text ? "standard error" : "standard output";
    if (living.count == 0)
        return;
    if (living.count > 1 && *options->late_reports != 0)
        crn_say("%u processes live on; each reports when it ends: on its %s, or where that leads "
                "nowhere in %sreport-NAME-PID.%s",
                living.count, where, options->late_reports, ending_of(options));
    else if (living.count > 1)
        crn_say("%u processes live on; each reports when it ends: on its %s, or where that leads "
                "nowhere in the system's log",
                living.count, where);
    else if (living.has_stream)
        crn_say("%s (pid %d) lives on; it reports on its %s when it ends", living.name, living.pid,
                where);
    else if (living.is_other_user) /* who may not write where we may */
        crn_say("%s (pid %d) lives on as another user; its recording will be in /var/tmp",
                living.name, living.pid);
    else if (*options->late_reports != 0)
        crn_say("%s (pid %d) lives on; its report will be in %sreport-%s-%d.%s", living.name,
                living.pid, options->late_reports, living.name, living.pid, ending_of(options));
    else
        crn_say("%s (pid %d) lives on; its report will be in the system's log", living.name,
                living.pid);
}
