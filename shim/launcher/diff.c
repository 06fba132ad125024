/*
 * `coroner diff`: compares two recordings or JSON reports.
 *
 * Each file is read once, whole, so that it may be a pipe; what it is, its first bytes tell.  How
 * much is read follows from those as well: a recording says how long it is, and a JSON report is
 * never as long as JSON_BYTES_MAX.
 *
 * The status is the error exit code where NEW has a proven leak that OLD has not, and 4 where there
 * is nothing to compare: an OLD that was never checked would make every leak a new one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/reader.h"
#include "report/diff.h"
#include "report/read_json.h"
#include "shim/launcher/arguments.h"
#include "shim/launcher/output.h"

enum { ROWS_SHOWN = 20 }; /* of a list that changed one way, in text */
#define JSON_BYTES_MAX ((size_t)2 << 30)

/* A file on its way to be a report. */
struct input {
    const char *path, *kind;
    unsigned char *bytes; /* from malloc */
    size_t count;
    struct crn_report *report;
};

/* How much of a file is wanted, as far as its first bytes tell. */
static size_t wanted_bytes(const struct input *input)
{
    struct crn_record_header header;
    if (input->count < sizeof header)
        return sizeof header;
    memcpy(&header, input->bytes, sizeof header);
    if (memcmp(header.magic, CRN_RECORD_MAGIC, sizeof header.magic) != 0)
        return JSON_BYTES_MAX;
    return header.total_bytes < SIZE_MAX ? header.total_bytes + 1 : SIZE_MAX;
}

static bool is_recording(const struct input *input)
{
    const size_t length = sizeof((struct crn_record_header *)0)->magic;
    return input->count >= length && memcmp(input->bytes, CRN_RECORD_MAGIC, length) == 0;
}

/* Whether a text may be JSON that we wrote: it begins with a brace. */
static bool may_be_json(const struct input *input)
{
    size_t at = 0;
    while (at < input->count && strchr(" \t\r\n", input->bytes[at]) != NULL &&
           input->bytes[at] != 0)
        at++;
    return at < input->count && input->bytes[at] == '{';
}

/* Reads the file; answers whether it could be, after saying why not. */
static bool input_read(struct input *input)
{
    const size_t first_bytes = sizeof(struct crn_record_header);
    size_t room = 0;
    int fd = open(input->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0 && input->count < wanted_bytes(input)) {
        if (input->count == first_bytes && !is_recording(input) && !may_be_json(input))
            break; /* /dev/zero has no end */
        size_t step = wanted_bytes(input) - input->count;
        if (input->count == room) {
            room = room < 65536 ? 65536 : room + room / 2;
            unsigned char *larger = realloc(input->bytes, room);
            if (larger == NULL) {
                errno = ENOMEM;
                got = -1;
                break;
            }
            input->bytes = larger;
        }
        step = step < room - input->count ? step : room - input->count;
        got = read(fd, input->bytes + input->count, step);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            input->count += (size_t)got;
    }
    if (got < 0)
        crn_say("cannot read '%s': %s; give a recording or a JSON report", input->path,
                strerror(errno));
    if (fd >= 0)
        close(fd);
    return got >= 0;
}

static enum crn_status recording_add(struct input *input, char *message, size_t message_bytes)
{
    struct crn_recording recording;
    enum crn_status status = crn_record_adopt(input->bytes, input->count, input->path, &recording,
                                              message, message_bytes);
    input->bytes = NULL;
    if (status == CRN_OK) {
        crn_report_add(input->report, &recording);
        crn_record_close(&recording);
    }
    return status;
}

/* Makes the report; answers whether it could be, after saying why not. */
static bool input_take(struct input *input, const struct crn_suppressions *suppressions,
                       const struct crn_options *options)
{
    enum crn_status status = CRN_ERR_FORMAT;
    char message[512] = "";
    if (!input_read(input))
        return false;
    input->report = crn_report_create(suppressions, true);
    crn_report_heed(input->report, options);
    input->report->leaks_max = 0; /* what is left out would be gone, or new */
    if (is_recording(input)) {
        input->kind = "recording";
        status = recording_add(input, message, sizeof message);
    } else if (!may_be_json(input)) {
        snprintf(message, sizeof message, "'%s' is neither a recording nor a JSON report",
                 input->path);
    } else if (input->count >= JSON_BYTES_MAX) {
        snprintf(message, sizeof message, "'%s' is larger than a JSON report may be (2 GiB)",
                 input->path);
    } else {
        input->kind = "json";
        status = crn_report_add_json(input->report, (const char *)input->bytes, input->count,
                                     input->path, message, sizeof message);
    }
    free(input->bytes);
    input->bytes = NULL;
    if (status != CRN_OK)
        crn_say("%s", message);
    else
        crn_report_finish(input->report);
    return status == CRN_OK;
}

/* Frames of a stack that JSON has room for: the fewest that either report says. */
static uint32_t frames_max(const struct input *inputs, uint32_t wanted)
{
    for (unsigned i = 0; i < 2; i++) {
        uint32_t most = inputs[i].report->frames_written_max;
        if (most != 0 && (wanted == 0 || wanted > most))
            wanted = most;
    }
    return wanted;
}

static bool diff_write(const struct crn_diff *diff, const struct input *inputs,
                       const struct crn_options *options)
{
    const struct crn_diff_names names = {inputs[0].path, inputs[1].path, inputs[0].kind,
                                         inputs[1].kind};
    char *bytes;
    size_t count;
    FILE *file = open_memstream(&bytes, &count);
    if (file == NULL)
        crn_out_of_memory();
    if (strcmp(options->format, "text") != 0)
        crn_diff_write_json(diff, &names, frames_max(inputs, options->malloc_context_size), file);
    else
        crn_diff_write_text(diff, &names, options->max_leaks != 0 ? options->max_leaks : ROWS_SHOWN,
                            file, *options->output == 0 && crn_output_has_color(STDOUT_FILENO));
    if (fclose(file) != 0)
        crn_out_of_memory();
    char *path = crn_path_expand(options->output, inputs[1].report->processes[0].pid,
                                 inputs[1].report->processes[0].check_number);
    bool is_written = crn_output_bytes(path, bytes, count);
    free(path);
    free(bytes);
    return is_written;
}

static bool is_checked(const struct input *input)
{
    for (size_t i = 0; i < input->report->processes_count; i++)
        if (input->report->processes[i].is_checked)
            return true;
    crn_say("nothing to compare: no process in '%s' was checked", input->path);
    return false;
}

static int compare(const struct input *inputs, const struct crn_options *options)
{
    if (!is_checked(&inputs[0]) || !is_checked(&inputs[1]))
        return CRN_EXIT_CANNOT_LOOK;
    struct crn_store *store = crn_store_create();
    struct crn_diff *diff = crn_diff_make(store, inputs[0].report, inputs[1].report);
    bool is_worse = crn_diff_is_worse(diff, options->strict);
    int status = 0;
    if (diff->compared_count == 0) {
        crn_say("nothing to compare: no program was checked in both '%s' and '%s'", inputs[0].path,
                inputs[1].path);
        status = CRN_EXIT_CANNOT_LOOK;
    } else if ((!options->quiet || is_worse) && !diff_write(diff, inputs, options)) {
        status = CRN_EXIT_USAGE;
    }
    if (status != CRN_EXIT_CANNOT_LOOK && is_worse && options->error_exitcode != 0)
        status = (int)options->error_exitcode;
    crn_store_destroy(store);
    return status;
}

static bool suppressions_read(struct crn_suppressions *suppressions,
                              const struct crn_options *options)
{
    char message[512];
    for (unsigned i = 0; i < options->suppressions_count; i++) {
        if (crn_suppressions_read(suppressions, options->suppressions[i], message,
                                  sizeof message) != CRN_OK) {
            crn_say("%s", message);
            return false;
        }
    }
    return true;
}

int crn_command_diff(const struct crn_command *command, int argc, char **argv)
{
    struct crn_arguments arguments;
    crn_options_init(&arguments.options);
    int status = crn_arguments_read(&arguments, command, CRN_OPERANDS_ANYWHERE, argc, argv);
    if (status >= 0)
        return status;
    if (argc - arguments.first_operand != 2) {
        crn_say("which two? `coroner diff [OPTIONS] OLD NEW`");
        return CRN_EXIT_USAGE;
    }
    struct crn_suppressions *suppressions = crn_suppressions_create();
    struct input inputs[2] = {{.path = argv[arguments.first_operand]},
                              {.path = argv[arguments.first_operand + 1]}};
    status = CRN_EXIT_USAGE;
    if (suppressions_read(suppressions, &arguments.options) &&
        input_take(&inputs[0], suppressions, &arguments.options) &&
        input_take(&inputs[1], suppressions, &arguments.options))
        status = compare(inputs, &arguments.options);
    for (unsigned i = 0; i < 2; i++) {
        crn_report_destroy(inputs[i].report);
        free(inputs[i].bytes);
    }
    crn_suppressions_destroy(suppressions);
    return status;
}
