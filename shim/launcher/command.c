/*
 * The table of commands.  See command.h.
 */
#include "shim/launcher/command.h"

const struct crn_command crn_commands[] = {
    {"run", crn_command_run, "[--] PROGRAM [ARGS...]",
     "Run a program under the shim, report when it ends.", false},
    {"report", crn_command_report, "RECORDING...",
     "Render a kept recording again, in any format.", true},
    {"bench", crn_command_bench, "[--] PROGRAM [ARGS...]",
     "Measure what Coroner costs on a program.", false},
    {0},
};
