#ifndef CRN_LAUNCHER_OUTPUT_H
#define CRN_LAUNCHER_OUTPUT_H
/*
 * Where the launcher's words go: messages to standard error, a report where it was asked for.
 */
#include "options/options.h"
#include "report/model.h"

/* Prints one line on standard error, "coroner: " before it. */
void crn_say(const char *format, ...) CRN_PRINTF(1, 2);

/*
 * The same for what must not be missed: where standard error takes nothing, it goes to the system's
 * log.
 */
void crn_say_somewhere(const char *format, ...) CRN_PRINTF(1, 2);

/*
 * Takes the place of standard streams that are closed, so that no file of ours lands on their
 * numbers.  The places close again at exec: a program started by us finds them as we did.
 */
void crn_output_init(void);

/*
 * From here on a write fails where it would have sent a signal: nobody reads a pipe, a file may not
 * grow, the terminal is not for background processes.  _undo() is for a child about to exec.
 */
void crn_output_endure(void);
void crn_output_endure_undo(void);

/*
 * Lets go of the standard streams that only a program of ours still needs, so that its peers see
 * it close them: standard input, and standard output if that `is_unused` from here on.
 */
void crn_output_let_go(bool is_unused);

/* From here on a report of text that was given no place goes to standard output: else, to error. */
void crn_output_text_to_stdout(void);

/* `path` with each %p replaced by the pid, and %n by the number of the check; from malloc. */
char *crn_path_expand(const char *path, uint64_t pid, uint64_t number);

/* The number of the check of a process of the report, for %n; 1: it has none of that pid. */
uint64_t crn_output_number(const struct crn_report *report, uint64_t pid);

/*
 * Whether a file could be written at `path` (it may not be there yet, and "" is none), as far as
 * can be told before its name is known to the last %p.  Answers false after saying why not.
 */
bool crn_output_check(const char *path);

/*
 * Writes a whole report to the file `path`, or to standard output when that is "".  Answers false
 * after saying why it could not; the report has then gone to standard error.
 */
bool crn_output_bytes(const char *path, const char *bytes, size_t count);

enum crn_delivery {
    CRN_DELIVERED,
    CRN_DELIVERED_ELSEWHERE, /* not to a place that was chosen (a file, a format's standard output)
                              */
    CRN_DELIVERED_NOWHERE    /* and there is something in it that somebody should have seen */
};

/*
 * Writes the report in the format and to the place that the options say; `pid` is what %p means.
 * A place that cannot be written costs one line, and the report goes to standard error instead.
 */
enum crn_delivery crn_output_report(const struct crn_report *report,
                                    const struct crn_options *options, uint64_t pid);

/* Whether colours would be seen there and are wanted (https://no-color.org). */
bool crn_output_has_color(int fd);

/* The report in the format that the options say, in memory from malloc: *bytes, *count. */
void crn_output_render(const struct crn_report *report, const struct crn_options *options,
                       bool has_color, char **bytes, size_t *count);

/* Writes all of it, however slowly the other side reads; answers 0 or the errno. */
int crn_output_write(int fd, const char *bytes, size_t count);

#endif
