/*
 * `coroner bench`: what Coroner costs on a program, measured.
 *
 *     arguments      every mistake of the user's shows before the program starts
 *     stage          the input is read
 *     warm-up        each version once; what plain writes becomes the model
 *     rounds         each version in turn, so that the machine's moods strike all alike
 *     judge, write   figures, notes, and one of the formats
 *
 * An interruption ends the run that goes on; the complete rounds are reported.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/launcher/bench/bench.h"
#include "shim/launcher/bench/run.h"
#include "shim/launcher/bench/stage.h"
#include "shim/launcher/command.h"
#include "shim/launcher/output.h"
#include "shim/launcher/program.h"
#include "sym/store.h"

enum { ROUNDS = 7, EXIT_UNALIKE = 1 };

static const struct {
    const char *name, *label, *stacks;
} versions[CRN_BENCH_VERSIONS] = {
    [CRN_BENCH_PLAIN] = {"plain", "plain", NULL},
    [CRN_BENCH_JEMALLOC] = {"jemalloc", "jemalloc", NULL},
    [CRN_BENCH_OFF] = {"off", "Coroner off", "off"},
    [CRN_BENCH_SAMPLED] = {"sampled", "Coroner sampled", "sampled"},
    [CRN_BENCH_FULL] = {"full", "Coroner full", "full"},
};

static const struct {
    const char *name;
    void (*write)(const struct crn_bench *bench, FILE *file);
} formats[] = {
    {"text", crn_bench_write_text}, {"json", crn_bench_write_json}, {"html", crn_bench_write_html}};

struct command {
    const char *output;
    unsigned format; /* row of formats */
    char *path;
    char **argv;
    char *options_text; /* CORONER_OPTIONS, cut up: the options point there */
    struct crn_options options[CRN_BENCH_VERSIONS];
    struct crn_bench_stage stage;
    struct crn_bench bench;
    double run_s[CRN_BENCH_VERSIONS]; /* how long the last run of a version took */
    bool has_progress;
};

static volatile sig_atomic_t interruption;

static void interruption_note(int signal)
{
    interruption = signal;
}

static void help(void)
{
    printf(
        "Usage: coroner bench [OPTIONS] [--] PROGRAM [ARGS...]\n"
        "Measure what Coroner costs on a program.\n\n"
        "Runs PROGRAM as it is, with plain jemalloc, and under Coroner with --stacks off, sampled\n"
        "and full, in turn; compares time, memory and what it wrote.  Its standard input is read\n"
        "once and given to every run.\n\n"
        "Options, with defaults in brackets:\n"
        "  -n, --rounds N            Measured runs of each version, after a warm-up. [%d]\n"
        "  -f, --format FMT          Report format: text, json or html. [text]\n"
        "  -o, --output FILE         Where the report goes. Default: standard output.\n"
        "  -h, --help                Show this help.\n\n"
        "Other options of Coroner's versions are read from CORONER_OPTIONS.\n"
        "Exit status: 0, or 1 when PROGRAM did not write and end alike in all versions.\n",
        ROUNDS);
}

static bool rounds_read(struct command *command, const char *value)
{
    char *end;
    errno = 0;
    unsigned long rounds = strtoul(value, &end, 10);
    if (*value < '0' || *value > '9' || *end != 0 || errno != 0 || rounds < 1 ||
        rounds > CRN_STATS_MAX) {
        crn_say("--rounds '%s' is no number of rounds: give 1 to %d", value, CRN_STATS_MAX);
        return false;
    }
    command->bench.rounds_wanted = (unsigned)rounds;
    return true;
}

static bool format_read(struct command *command, const char *value)
{
    for (unsigned i = 0; i < CRN_COUNT_OF(formats); i++) {
        if (strcmp(formats[i].name, value) == 0) {
            command->format = i;
            return true;
        }
    }
    crn_say("--format '%s' is unknown: give text, json or html", value);
    return false;
}

/* Answers -1 when the command may go on, else the status to exit with. */
static int arguments_read(struct command *command, int argc, char **argv)
{
    static const struct option options[] = {{"rounds", required_argument, NULL, 'n'},
                                            {"format", required_argument, NULL, 'f'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int answer;
    opterr = 0;
    optind = 0; /* glibc: begin anew */
    while ((answer = getopt_long(argc, argv, "+:hn:f:o:", options, NULL)) != -1) {
        bool is_read = true;
        if (answer == 'h') {
            help();
            return 0;
        }
        if (answer == 'n') {
            is_read = rounds_read(command, optarg);
        } else if (answer == 'f') {
            is_read = format_read(command, optarg);
        } else if (answer == 'o') {
            command->output = optarg;
        } else {
            crn_say("%s %s: see `coroner bench --help`", argv[optind - 1],
                    answer == ':' ? "needs a value" : "is no option of bench");
            is_read = false;
        }
        if (!is_read)
            return CRN_EXIT_USAGE;
    }
    if (optind >= argc) {
        crn_say("bench what? `coroner bench [OPTIONS] PROGRAM [ARGS...]`");
        return CRN_EXIT_USAGE;
    }
    command->argv = argv + optind;
    return -1;
}

static void option_warn(const char *message, void *user)
{
    (void)user;
    crn_say("CORONER_OPTIONS: %s", message);
}

static void option_force(struct crn_options *options, const char *key, const char *value)
{
    char message[256];
    if (crn_options_set(options, key, value, CRN_SOURCE_OWN, message, sizeof message) != CRN_OK)
        crn_say("%s", message);
}

/* Each version's options: the user's, but for what a bench decides itself. */
static void options_init(struct command *command)
{
    struct crn_options options;
    const char *text = getenv("CORONER_OPTIONS");
    command->options_text = strdup(text != NULL ? text : "");
    if (command->options_text == NULL)
        crn_out_of_memory();
    crn_options_init(&options);
    crn_options_parse(&options, command->options_text, option_warn, NULL);
    options.output = options.record = "";
    for (int i = CRN_BENCH_OFF; i < CRN_BENCH_VERSIONS; i++) {
        command->options[i] = options;
        option_force(&command->options[i], "stacks", versions[i].stacks);
        option_force(&command->options[i], "error_exitcode", "0");
    }
}

/* "2 x AMD EPYC", from malloc. */
static char *machine_describe(void)
{
    char *line = NULL, *machine, *name = NULL;
    size_t room = 0;
    cpu_set_t cpus;
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file != NULL && name == NULL && getline(&line, &room, file) > 0) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", strlen("model name")) != 0 || colon == NULL)
            continue;
        name = colon + 1 + strspn(colon + 1, " \t");
        name[strcspn(name, "\n")] = 0;
    }
    if (file != NULL)
        fclose(file);
    int count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    if (asprintf(&machine, "%d x %s", count, name != NULL ? name : "unknown processor") < 0)
        crn_out_of_memory();
    free(line);
    return machine;
}

/* One line, rewritten: what runs now, and how long it will go on. */
static void progress_show(const struct command *command, int round, enum crn_bench_version version)
{
    const struct crn_bench *bench = &command->bench;
    double left_s = 0;
    if (!command->has_progress)
        return;
    for (int i = 0; i < CRN_BENCH_VERSIONS; i++)
        left_s += command->run_s[i] * ((int)bench->rounds_wanted - round + (i >= (int)version));
    fputs("\r\033[K", stderr);
    if (round == 0)
        fprintf(stderr, "warm-up, %s", versions[version].label);
    else
        fprintf(stderr, "round %d of %u, %s; ", round, bench->rounds_wanted,
                versions[version].label);
    if (round > 0 && left_s >= 90)
        fprintf(stderr, "about %.0f min left", left_s / 60);
    else if (round > 0)
        fprintf(stderr, "about %.0f s left", left_s);
}

static void progress_end(const struct command *command)
{
    if (command->has_progress)
        fputs("\r\033[K", stderr);
}

static bool is_same_ending(const struct crn_ending *a, const struct crn_ending *b)
{
    return a->signal == b->signal && a->exit_code == b->exit_code;
}

/* Notes whether a run wrote and ended as the first plain one did. */
static void likeness_note(struct command *command, enum crn_bench_version version,
                          const struct crn_ending *ending)
{
    struct crn_bench_row *row = &command->bench.rows[version];
    const struct crn_ending *plain = &command->bench.rows[CRN_BENCH_PLAIN].ending;
    enum crn_likeness unlike = version == CRN_BENCH_PLAIN ? CRN_VARIES : CRN_DIFFERS;
    if (row->exit == CRN_ALIKE)
        row->ending = *ending;
    if (!is_same_ending(ending, plain)) {
        row->exit = unlike;
        row->unlike_exits++;
    }
    for (int stream = 0; stream < CRN_BENCH_STREAMS; stream++) {
        if (!crn_stage_is_alike(&command->stage, stream, &row->differences[stream])) {
            row->streams[stream] = unlike;
            row->unlike_streams[stream]++;
        }
    }
}

/* What plain itself does now so, now so, is no fault of another version. */
static void likeness_settle(struct crn_bench *bench)
{
    const struct crn_bench_row *plain = &bench->rows[CRN_BENCH_PLAIN];
    for (int i = 0; i < CRN_BENCH_VERSIONS; i++) {
        struct crn_bench_row *row = &bench->rows[i];
        if (plain->exit == CRN_VARIES)
            row->exit = CRN_VARIES;
        for (int stream = 0; stream < CRN_BENCH_STREAMS; stream++)
            if (plain->streams[stream] == CRN_VARIES)
                row->streams[stream] = CRN_VARIES;
    }
}

static double seconds_of(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static void sample_take(struct crn_bench_row *row, unsigned index, const struct crn_ending *ending,
                        const struct crn_bench_facts *facts)
{
    const struct rusage *usage = &ending->usage;
    row->samples[CRN_BENCH_CPU][index] =
        seconds_of(&usage->ru_utime) + seconds_of(&usage->ru_stime);
    row->samples[CRN_BENCH_WALL][index] = (double)ending->duration_ns / 1e9;
    row->samples[CRN_BENCH_PEAK][index] = (double)usage->ru_maxrss * 1024;
    row->allocations[index] = facts->allocations;
    row->check_pause_s[index] = facts->check_pause_s;
    row->check_s[index] = facts->check_s;
    row->facts = *facts;
}

/* Runs a version once; round 0 is the warm-up.  Answers 0, or the status to exit with. */
static int version_run(struct command *command, unsigned round, enum crn_bench_version version)
{
    struct crn_bench *bench = &command->bench;
    struct crn_bench_row *row = &bench->rows[version];
    struct crn_ending ending;
    struct crn_bench_facts facts;
    int streams[3];
    int status = CRN_EXIT_USAGE;
    progress_show(command, (int)round, version);
    if (crn_stage_set(&command->stage, streams))
        status =
            crn_bench_run(command->path, command->argv, version, &command->options[version],
                          bench->jemalloc, streams, round == bench->rounds_wanted, &ending, &facts);
    if (status == 0 && ending.interruption != 0)
        interruption = ending.interruption;
    if (status == 0 && interruption == 0) {
        command->run_s[version] = (double)ending.duration_ns / 1e9;
        row->runs++;
        if (round == 0 && version == CRN_BENCH_PLAIN) {
            row->ending = ending;
            crn_stage_model(&command->stage);
        } else {
            likeness_note(command, version, &ending);
        }
        if (round > 0)
            sample_take(row, round - 1, &ending, &facts);
    }
    crn_stage_strike(&command->stage, streams);
    return status;
}

/* The warm-up and all rounds.  Answers 0, or the status to exit with. */
static int rounds_run(struct command *command)
{
    struct crn_bench *bench = &command->bench;
    for (unsigned round = 0; round <= bench->rounds_wanted; round++) {
        for (int version = 0; version < CRN_BENCH_VERSIONS; version++) {
            if (!bench->rows[version].is_there)
                continue;
            int status = version_run(command, round, (enum crn_bench_version)version);
            if (status != 0 || interruption != 0)
                return status;
        }
        bench->rounds = round;
    }
    return 0;
}

/* From here on an interruption ends the measuring, not us; what was ignored stays so. */
static void interruptions_catch(void)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    struct sigaction before, noting = {.sa_handler = interruption_note};
    for (unsigned i = 0; i < CRN_COUNT_OF(signals); i++)
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &noting, NULL);
}

/* Writes the report; answers the status to exit with. */
static int deliver(struct command *command)
{
    struct crn_bench *bench = &command->bench;
    char *bytes;
    size_t count;
    FILE *file = open_memstream(&bytes, &count);
    if (file == NULL)
        crn_out_of_memory();
    formats[command->format].write(bench, file);
    if (fclose(file) != 0)
        crn_out_of_memory();
    bool is_delivered = crn_output_bytes(command->output, bytes, count);
    free(bytes);
    if (bench->interruption != 0)
        return CRN_EXIT_SIGNAL + bench->interruption;
    if (!is_delivered)
        return CRN_EXIT_USAGE;
    return bench->is_alike ? 0 : EXIT_UNALIKE;
}

static void bench_init(struct command *command)
{
    struct crn_bench *bench = &command->bench;
    bench->path = command->path;
    bench->argv = command->argv;
    bench->jemalloc = crn_bench_jemalloc_find();
    bench->machine = machine_describe();
    bench->started = time(NULL);
    for (int i = 0; i < CRN_BENCH_VERSIONS; i++) {
        struct crn_bench_row *row = &bench->rows[i];
        row->name = versions[i].name;
        row->label = versions[i].label;
        row->is_there = i != CRN_BENCH_JEMALLOC || bench->jemalloc != NULL;
        row->facts = crn_bench_facts_unknown();
    }
    options_init(command);
    command->has_progress = isatty(STDERR_FILENO);
}

static int measure_and_report(struct command *command)
{
    struct crn_bench *bench = &command->bench;
    bench_init(command);
    interruptions_catch();
    int status = crn_stage_open(&command->stage) ? 0 : CRN_EXIT_USAGE;
    bench->input_bytes = command->stage.input_bytes;
    if (status == 0 && interruption == 0)
        status = rounds_run(command);
    progress_end(command);
    if (status == 0) {
        bench->interruption = interruption;
        bench->peak_floor = crn_bench_peak_floor();
        likeness_settle(bench);
        crn_bench_judge(bench);
        status = deliver(command);
    }
    crn_stage_close(&command->stage);
    return status;
}

/* Answers 0 when there is something to measure, else the status to exit with. */
static int program_find(struct command *command)
{
    const char *preload = getenv("LD_PRELOAD");
    if (preload != NULL && strstr(preload, "libcoroner.so") != NULL) {
        crn_say("LD_PRELOAD names libcoroner.so already, so no run would be plain: unset it");
        return CRN_EXIT_USAGE;
    }
    int status = crn_program_find(command->argv[0], &command->path);
    const char *obstacle = status == 0 ? crn_program_obstacle(command->path) : NULL;
    if (obstacle != NULL) {
        crn_say("%s cannot be watched: %s; there is nothing to measure", command->path, obstacle);
        status = CRN_EXIT_USAGE;
    }
    return status;
}

int crn_command_bench(const struct crn_command *row, int argc, char **argv)
{
    (void)row;
    static struct command command; /* a few hundred kilobytes of samples */
    memset(&command, 0, sizeof command);
    command.output = "";
    command.bench.rounds_wanted = ROUNDS;
    int status = arguments_read(&command, argc, argv);
    if (status < 0 && !crn_output_check(command.output))
        status = CRN_EXIT_USAGE;
    if (status < 0) {
        status = program_find(&command);
        if (status == 0)
            status = measure_and_report(&command);
    }
    crn_bench_fini(&command.bench);
    free(command.options_text);
    free(command.path);
    return status;
}
