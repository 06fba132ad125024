/*
 * The `coroner` command: finds out which of its commands is meant.
 */
#include <stdio.h>
#include <string.h>

#include "shim/launcher/command.h"
#include "shim/launcher/help.h"
#include "shim/launcher/output.h"

/* What the contract promises and a later version brings. */
static const char *const planned_commands[] = {"diff", "check", "dump", "top"};

int main(int argc, char **argv)
{
    crn_output_init();
    if (argc < 2) {
        crn_say("say what to do: `coroner run PROGRAM`, or `coroner --help`");
        return CRN_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        crn_help(crn_commands);
        return 0;
    }
    if (strcmp(name, "--version") == 0) {
        puts("coroner " CORONER_VERSION);
        return 0;
    }
    for (const struct crn_command *command = crn_commands; command->name != NULL; command++)
        if (strcmp(command->name, name) == 0)
            return command->main(command, argc - 1, argv + 1);
    for (unsigned i = 0; i < CRN_COUNT_OF(planned_commands); i++) {
        if (strcmp(planned_commands[i], name) == 0) {
            crn_say("'%s' is not built yet: use run, report or bench", name);
            return CRN_EXIT_USAGE;
        }
    }
    crn_say("'%s' is no command: use run, report or bench, or `coroner --help`", name);
    return CRN_EXIT_USAGE;
}
