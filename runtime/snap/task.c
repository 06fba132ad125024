/*
 * States of threads.  See task.h.
 */
#include "snap/task.h"
#include "base/held.h"
#include "base/sys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 4096 };

/* Reads a file of a thread's; answers how much, or a negative errno. */
static long task_read(int tid, const char *file, char text[TEXT_BYTES])
{
    char path[64], digits[12];
    unsigned at = sizeof digits;
    digits[--at] = 0;
    for (int rest = tid; rest > 0; rest /= 10)
        digits[--at] = (char)('0' + rest % 10);
    strcpy(path, "self/task/");
    strcat(path, digits + at);
    strcat(path, file);
    int fd = crn_proc_open(path);
    if (fd < 0)
        return fd;
    long count = crn_sys_read_all(fd, text, TEXT_BYTES - 1);
    crn_proc_close(fd);
    text[count > 0 ? count : 0] = 0;
    return count;
}

/* The n-th field behind this one, or NULL. */
static const char *field_skip(const char *text, unsigned fields)
{
    for (; fields > 0 && text != NULL; fields--)
        if ((text = strchr(text, ' ')) != NULL)
            text++;
    return text;
}

/*
 * A thread that is dead but not reaped says so by its state ('Z', 'X').  Threads that the kernel
 * made to work for io_uring have no code and no stack of the program's.
 */
void crn_task_look(int tid, struct crn_task_state *state)
{
    enum { FLAGS = 6, START = 19 };       /* fields behind the state, the third (proc(5)) */
    const unsigned long io_worker = 0x10; /* PF_IO_WORKER */
    char text[TEXT_BYTES];
    long count = task_read(tid, "/stat", text);
    bool is_gone = count == -ENOENT || count == -ESRCH;
    *state = (struct crn_task_state){.letter = is_gone ? 'X' : '?', .is_nobody = is_gone};
    if (count <= 0)
        return;
    const char *name_end = strrchr(text, ')');
    if (name_end == NULL || name_end[1] == 0)
        return;
    const char *flags = field_skip(name_end + 2, FLAGS), *start = field_skip(name_end + 2, START);
    state->letter = name_end[2];
    state->started = start != NULL ? strtoull(start, NULL, 10) : 0;
    state->is_nobody = state->letter == 'Z' || state->letter == 'X' ||
                       (flags != NULL && (strtoul(flags, NULL, 10) & io_worker) != 0);
}

static uint64_t number_find(const char *text, const char *label, int base)
{
    const char *found = strstr(text, label);
    return found != NULL ? strtoull(found + strlen(label), NULL, base) : 0;
}

void crn_task_look_closely(int tid, uint64_t signal_bit, struct crn_task_state *state)
{
    char text[TEXT_BYTES];
    crn_task_look(tid, state);
    state->is_mask_known = task_read(tid, "/status", text) > 0;
    if (!state->is_mask_known)
        return;
    state->blocks = (number_find(text, "\nSigBlk:", 16) & signal_bit) != 0;
    state->switches = number_find(text, "\nvoluntary_ctxt_switches:", 10) +
                      number_find(text, "\nnonvoluntary_ctxt_switches:", 10);
}
