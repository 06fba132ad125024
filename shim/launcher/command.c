/*
 * The table of commands.  See command.h.
 */
#include "shim/launcher/command.h"

#define OPTIONS_OF_ASKING                                                           \
    "format output record error_exitcode strict suppressions live coroutines full " \
    "debuginfod quiet max_pause keep max_leaks malloc_context_size report_objects print_suppressions itself"

const struct crn_command crn_commands[] = {
    {"run", crn_command_run, "[--] PROGRAM [ARGS...]",
     "Run a program under the shim, report when it ends.", false, NULL},
    {"check", crn_command_check, "PID",
     "Say what is leaked in a running program, what grows, who holds it.", true, OPTIONS_OF_ASKING},
    {"dump", crn_command_dump, "PID", "List the coroutines of a running program.", true,
     OPTIONS_OF_ASKING},
    {"top", crn_command_top, "PID", "What grows in a running program, again and again.", false, ""},
    {"report", crn_command_report, "RECORDING...", "Render a kept recording again, in any format.",
     true, NULL},
    {"diff", crn_command_diff, "OLD NEW",
     "What is new, gone and grown between two recordings or JSON reports.", true,
     "format output error_exitcode strict suppressions debuginfod quiet max_leaks "
     "malloc_context_size"},
    {"bench", crn_command_bench, "[--] PROGRAM [ARGS...]",
     "Measure what Coroner costs on a program.", false, NULL},
    {0},
};
