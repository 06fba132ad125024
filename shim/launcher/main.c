/*
 * The `coroner` command: finds out which of its commands is meant.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>

#include "shim/launcher/command.h"
#include "shim/launcher/help.h"
#include "shim/launcher/output.h"

/* What `main` is given and answers, for a function that takes no arguments. */
static int main_argc, main_status;
static char **main_argv;

static int command_do(int argc, char **argv);

static void command_call(void)
{
    main_status = command_do(main_argc, main_argv);
}

/*
 * Calls the command on a stack that has room for it.  `ulimit -s` may have left us little; the
 * program that we start finds its own limit as it was.
 */
int main(int argc, char **argv)
{
    const size_t stack_bytes = (size_t)8 << 20;
    static ucontext_t before, command;
    struct rlimit limit;
    main_argc = argc;
    main_argv = argv;
    crn_output_init();
    void *stack = MAP_FAILED;
    if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < stack_bytes)
        stack = mmap(NULL, stack_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED || getcontext(&command) != 0)
        return command_do(argc, argv);
    command.uc_stack.ss_sp = stack;
    command.uc_stack.ss_size = stack_bytes;
    command.uc_link = &before;
    makecontext(&command, command_call, 0);
    swapcontext(&before, &command);
    return main_status;
}

static int command_do(int argc, char **argv)
{
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
    crn_say("'%s' is no command: see `coroner --help`", name);
    return CRN_EXIT_USAGE;
}
