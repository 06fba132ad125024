/*
 * What a recording says of the process itself: exe, argv, and modules where an address wants a name.
 */
#include "record/modules.h"
#include "base/held.h"
#include "base/sys.h"

#include <fcntl.h>
#include <string.h>

static void argv_add(struct crn_draft *draft)
{
    char *text = crn_arena_alloc(&draft->arena, 64 * 1024);
    int fd = crn_proc_open("thread-self/cmdline");
    long count = fd < 0 || text == NULL ? 0 : crn_sys_read_all(fd, text, 64 * 1024 - 1);
    if (fd >= 0)
        crn_proc_close(fd);
    for (long at = 0; at < count; at += (long)strlen(text + at) + 1) {
        uint32_t string = crn_draft_string(draft, text + at);
        crn_draft_rows(draft, CRN_SECTION_ARGV, &string, 1);
    }
}

/* Whether the draft has an address that wants a name. */
static bool names_addresses(const struct crn_draft *draft)
{
    return draft->sections[CRN_SECTION_NODES].count > 1 || /* the first is the root */
           draft->sections[CRN_SECTION_LEAKS].count > 0 ||
           draft->sections[CRN_SECTION_FINDINGS].count > 0 ||
           draft->sections[CRN_SECTION_COROS].count > 0;
}

void crn_draft_self(struct crn_draft *draft)
{
    char exe[4096];
    crn_proc_read_link("thread-self/exe", exe, sizeof exe);
    draft->process.exe = crn_draft_string(draft, exe);
    draft->process.pid = (uint32_t)crn_sys_getpid();
    draft->process.parent_pid = (uint32_t)crn_syscall0(SYS_getppid);
    argv_add(draft);
    if (!names_addresses(draft))
        return; /* most processes have nothing to say, and modules cost more than all before */
    crn_draft_modules(draft);
    crn_modules_add_gone(draft);
}
