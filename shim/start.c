/*
 * How the shim comes up: the constructor.  It reads the options, finds what is ours, hence
 * no root of a check, starts the parts, and asks whether malloc is ours.
 */
#include "shim/start.h"
#include "shim/decoder.h"
#include "shim/deliver.h"
#include "shim/exec.h"
#include "shim/lsan_compat.h"
#include "shim/sandbox.h"
#include "shim/secure.h"
#include "shim/state.h"
#include "shim/stderr.h"
#include "shim/triggers.h"
#include "base/sys.h"
#include "coro/descriptor.h"
#include "heap/scrub.h"
#include "live/live.h"
#include "record/door.h"
#include "record/mailbox.h"
#include "snap/registers.h"
#include "snap/take.h"
#include "stack/verify.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <jemalloc/jemalloc.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

/* Privately, so that the program keeps libgcc's unwinder and libc's backtrace. */
static void libunwind_find(void)
{
    void *library = dlopen("libunwind.so.8", RTLD_LAZY | RTLD_LOCAL);
    if (library == NULL)
        return;
    struct crn_libunwind functions = {
        .init_local2 = (int (*)(void *, void *, int))dlsym(library, "_ULx86_64_init_local2"),
        .step = (int (*)(void *))dlsym(library, "_ULx86_64_step"),
        .get_reg = (int (*)(void *, int, unsigned long *))dlsym(library, "_ULx86_64_get_reg"),
    };
    if (functions.init_local2 == NULL || functions.step == NULL || functions.get_reg == NULL)
        return;
    crn_libunwind_use(&functions);
    crn_snap_exclude_module((const void *)functions.step);
}

static void option_warn(const char *message, void *user)
{
    (void)user;
    crn_log("CORONER_OPTIONS: %s", message);
}

/* A copy of a variable: programs that set their title overwrite the environment. */
static const char *variable_copy(const char *name, char *copy, size_t copy_bytes)
{
    const char *value = getenv(name);
    if (value == NULL || strlen(value) >= copy_bytes)
        return NULL;
    return strcpy(copy, value);
}

static void options_read(void)
{
    static char text[4096], session[1024], launcher[1024];
    crn_options_init(&crn_shim.options);
    crn_lsan_options_read(&crn_shim.options);
    const char *given = getenv("CORONER_OPTIONS");
    if (given != NULL) {
        if (strlen(given) >= sizeof text)
            crn_log("CORONER_OPTIONS is longer than %zu bytes; it is ignored", sizeof text - 1);
        else
            crn_options_parse(&crn_shim.options, strcpy(text, given), option_warn, NULL);
    }
    crn_shim.process.session = variable_copy("CORONER_SESSION", session, sizeof session);
    crn_shim.launcher = variable_copy("CORONER_LAUNCHER", launcher, sizeof launcher);
    crn_lsan_start(&crn_shim.options);
}

/* Leaves our variables and jemalloc's, thread-local ones too, out of every check. */
static int module_exclude(struct dl_phdr_info *info, size_t info_bytes, void *unused)
{
    bool is_ours = false;
    (void)info_bytes;
    (void)unused;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        size_t bytes = info->dlpi_phdr[i].p_memsz;
        is_ours |= info->dlpi_phdr[i].p_type == PT_LOAD &&
                   ((uintptr_t)&crn_shim - start < bytes || (uintptr_t)sallocx - start < bytes);
    }
    for (unsigned i = 0; i < info->dlpi_phnum && is_ours && info->dlpi_tls_data != NULL; i++)
        if (info->dlpi_phdr[i].p_type == PT_TLS)
            crn_snap_exclude_tls(info->dlpi_tls_data,
                                 (char *)info->dlpi_tls_data + info->dlpi_phdr[i].p_memsz);
    return 0;
}

/* What libc exports for debuggers. */
static void *libc_find(const char *name)
{
    return dlvsym(RTLD_NEXT, name, "GLIBC_PRIVATE");
}

/*
 * A program that defines malloc itself, or links one that does, comes before every preload.  Ask
 * by calling: dlsym would answer the PLT of an executable that merely takes malloc's address.
 */
static bool has_own_malloc(const struct crn_thread *self)
{
    uint64_t before = crn_heap.allocations + self->counts.allocations;
    char *volatile copy = strdup("coroner");
    bool is_unseen = crn_heap.allocations + self->counts.allocations == before;
    free(copy);
    return is_unseen;
}

/* What stacks may take: a part of what the program took at most. */
static size_t stacks_budget_bytes(void)
{
    return (size_t)crn_heap.peak_bytes / 8;
}

__attribute__((constructor)) static void shim_start(void)
{
    crn_shim_start_early();
    if (crn_process_is_secure())
        crn_secure_environment_clean();
    if (crn_shim_obstacle() != NULL) {
        crn_log("the program cannot be watched: %s; it goes on without Coroner",
                crn_shim_obstacle());
        crn_shim.process.is_silenced = true;
        return;
    }
    struct crn_thread *self = crn_shim_thread();
    if (self != NULL)
        crn_busy_begin(self); /* what follows allocates; it is nobody's leak */
    crn_shim.process.started_unix_ns = crn_unix_now_ns();
    crn_shim.process.started_ns = crn_now_ns();
    options_read();
    crn_shim.real.libc_free = (void (*)(void *))dlsym(RTLD_NEXT, "__libc_free");
    crn_shim.real.libc_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "__libc_realloc");
    crn_snap_exclude_module(&crn_shim);
    crn_snap_exclude_module((const void *)sallocx);
    crn_snap_begin();
    dl_iterate_phdr(module_exclude, NULL);
    crn_descriptor_learn(libc_find);
    crn_registers_learn_libc((const void *)(uintptr_t)gnu_get_libc_version);
    crn_scrub_init(crn_shim.options.scrub);
    if (crn_shim.options.stacks != CRN_STACKS_OFF)
        libunwind_find();
    if (crn_shim.options.fold_recursion)
        crn_tree.budget_bytes = stacks_budget_bytes;
    crn_shim.verifies_stacks =
        crn_shim.options.verify_stacks != 0 && crn_verify_start(crn_shim.options.verify_stacks);
    if (crn_shim.options.verify_stacks != 0 && !crn_shim.verifies_stacks)
        crn_log("verify_stacks needs libunwind.so.8 and libgcc_s.so.1; it is off");
    crn_shim_thread_watch_init();
    crn_deliver_start();
    if (crn_shim.process.session != NULL)
        crn_mailbox_open(crn_shim.process.session, getenv(CRN_DOOR_VARIABLE));
    crn_stderr_note();
    crn_log_where = crn_stderr_find;
    crn_process_start();
    crn_signals_start();
    crn_live_start();
    crn_exec_start();
    crn_annotations_start();
    if (self != NULL && has_own_malloc(self))
        crn_shim_stand_down("the program has a malloc of its own");
    if (self == NULL || crn_shim.phase == CRN_SHIM_OFF)
        return; /* the report says why */
    /* What libc, the loader and we made until now is not the program's: never judge it. */
    crn_heap.birth_line = crn_heap_line_draw(&crn_heap);
    crn_busy_end(self);
    if (crn_shim.options.detect_leaks)
        crn_shim.takes_stacks = crn_shim.options.stacks;
    uint32_t early = CRN_SHIM_EARLY; /* unless another thread found a reason to stand down */
    if (atomic_compare_exchange_strong(&crn_shim.phase, &early, CRN_SHIM_ON))
        crn_sandbox_check();
    const struct crn_options *options = &crn_shim.options;
    if (options->check_signal != 0 || options->check_every != 0 || options->check_at != 0)
        crn_decoder_load();
    crn_triggers_start();
}
