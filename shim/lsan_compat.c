/*
 * LeakSanitizer's interface (sanitizer/lsan_interface.h), with its meaning:
 *
 *     __lsan_do_leak_check              the check of the end, now; ends the process when there is a
 *                                       leak; there is no other check at the end then
 *     __lsan_do_recoverable_leak_check  says what it finds and goes on, as often as it is called
 *     __lsan_disable, __lsan_enable     what a thread allocates between them is never reported
 *     __lsan_ignore_object              nor is this block
 *     __lsan_(un)register_root_region   memory that holds what it points to
 *
 * It knows of leaks alone: what Coroner calls proven; likely ones count with --strict.  The program
 * may answer __lsan_is_turned_off, __lsan_default_options and __lsan_default_suppressions.  Those
 * are weak, and found where the loader sees them: in a program linked with us or with -rdynamic.
 * One that is linked with libcoroner-probes.a tells its answers by itself.
 *
 * Where we have stood down, for a sanitizer's malloc comes before ours, the functions of its
 * runtime do all the work.
 */
#include "shim/lsan_compat.h"
#include "shim/enter.h"
#include "coroner/coroner.h"
#include "check/demand.h"
#include "check/end.h"
#include "options/lsan.h"
#include "base/sys.h"
#include "coro/scope.h"
#include "snap/take.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

int __lsan_is_turned_off(void) __attribute__((weak));
const char *__lsan_default_options(void) __attribute__((weak));
const char *__lsan_default_suppressions(void) __attribute__((weak));

void __lsan_disable(void);
void __lsan_enable(void);
void __lsan_ignore_object(const void *object);
void __lsan_register_root_region(const void *start, size_t bytes);
void __lsan_unregister_root_region(const void *start, size_t bytes);

int coroner_v1_lsan_check(int is_last);
void coroner_v1_lsan_answer(const char *options, const char *suppressions, int is_off);

/* The real runtime's functions; NULL where there is none. */
static struct {
    void (*do_leak_check)(void);
    int (*do_recoverable_leak_check)(void);
    void (*disable)(void);
    void (*enable)(void);
    void (*ignore_object)(const void *);
    void (*register_root_region)(const void *, size_t);
    void (*unregister_root_region)(const void *, size_t);
} real;

/* What the program answers; as it stands, and cut up for the options to point into. */
static char program_options[4096], program_suppressions[16384];

static _Atomic uint32_t has_checked;

static void real_find(void)
{
    real.do_leak_check = (void (*)(void))dlsym(RTLD_NEXT, "__lsan_do_leak_check");
    if (real.do_leak_check == NULL)
        return; /* what is looked for in vain takes longest */
    real.do_recoverable_leak_check =
        (int (*)(void))dlsym(RTLD_NEXT, "__lsan_do_recoverable_leak_check");
    real.disable = (void (*)(void))dlsym(RTLD_NEXT, "__lsan_disable");
    real.enable = (void (*)(void))dlsym(RTLD_NEXT, "__lsan_enable");
    real.ignore_object = (void (*)(const void *))dlsym(RTLD_NEXT, "__lsan_ignore_object");
    real.register_root_region =
        (void (*)(const void *, size_t))dlsym(RTLD_NEXT, "__lsan_register_root_region");
    real.unregister_root_region =
        (void (*)(const void *, size_t))dlsym(RTLD_NEXT, "__lsan_unregister_root_region");
}

static void option_warn(const char *message, void *user)
{
    crn_log("%s: %s", (const char *)user, message);
}

static void option_pass(const char *message, void *user)
{
    (void)message;
    (void)user;
}

/* A copy of a text, if it is there and fits. */
static void text_take(char *copy, size_t copy_bytes, const char *text, const char *what)
{
    if (text == NULL)
        return;
    if (strlen(text) < copy_bytes)
        strcpy(copy, text);
    else
        crn_log("%s: longer than %zu bytes; it is ignored", what, copy_bytes - 1);
}

/* Takes what the program answers; only the first time it says anything. */
static void answers_take(struct crn_options *options, const char *its_options,
                         const char *its_suppressions)
{
    static char text[sizeof program_options];
    if (program_options[0] == 0) {
        text_take(program_options, sizeof program_options, its_options, "__lsan_default_options");
        crn_lsan_options_parse(options, strcpy(text, program_options), CRN_SOURCE_PROGRAM,
                               option_warn, (void *)"__lsan_default_options");
    }
    if (program_suppressions[0] == 0)
        text_take(program_suppressions, sizeof program_suppressions, its_suppressions,
                  "__lsan_default_suppressions");
}

void crn_lsan_options_read(struct crn_options *options)
{
    static char text[4096];
    real_find();
    answers_take(options, __lsan_default_options != NULL ? __lsan_default_options() : NULL,
                 __lsan_default_suppressions != NULL ? __lsan_default_suppressions() : NULL);
    text_take(text, sizeof text, getenv("LSAN_OPTIONS"), "LSAN_OPTIONS");
    /* Under `coroner run` the launcher has said already what is wrong with them. */
    bool is_told = getenv("CORONER_SESSION") != NULL;
    crn_lsan_options_parse(options, text, CRN_SOURCE_LSAN, is_told ? option_pass : option_warn,
                           (void *)"LSAN_OPTIONS");
}

/* How far below the thread pointer static thread-local storage reaches. */
static int static_tls_measure(struct dl_phdr_info *info, size_t info_bytes, void *user)
{
    enum { STATIC_TLS_MAX = 1 << 20 };
    size_t *most = user;
    size_t below = (size_t)pthread_self() - (size_t)info->dlpi_tls_data;
    (void)info_bytes;
    if (info->dlpi_tls_data != NULL && below <= STATIC_TLS_MAX && below > *most)
        *most = below;
    return 0;
}

void crn_lsan_start(struct crn_options *options)
{
    bool is_said = options->sources[crn_option_find("use_unaligned")] != CRN_SOURCE_DEFAULT;
    struct crn_root_choice choice = {.is_unaligned = options->use_unaligned,
                                     .is_aligned_only = is_said && !options->use_unaligned,
                                     .asks_stale = options->stale};
    const struct {
        bool is_used;
        enum crn_root_kind kind;
    } roots[] = {
        {options->use_globals, CRN_ROOT_GLOBAL},      {options->use_stacks, CRN_ROOT_STACK},
        {options->use_registers, CRN_ROOT_REGISTER},  {options->use_tls, CRN_ROOT_TLS},
        {options->use_root_regions, CRN_ROOT_REGION},
    };
    if (__lsan_is_turned_off != NULL && __lsan_is_turned_off() != 0)
        options->detect_leaks = false;
    for (unsigned i = 0; i < CRN_COUNT_OF(roots); i++)
        if (!roots[i].is_used)
            choice.left_out |= 1u << roots[i].kind;
    dl_iterate_phdr(static_tls_measure, &choice.static_tls_bytes);
    crn_snap_choose_roots(&choice);
}

void crn_lsan_describe(struct crn_draft *draft)
{
    draft->process.options = crn_draft_string(draft, program_options);
    draft->process.suppressions = crn_draft_string(draft, program_suppressions);
}

void crn_lsan_after_fork(void)
{
    if (has_checked != 0) /* else there is nothing to write, and to copy */
        has_checked = 0;
}

/* Called by libcoroner-probes.a before main. */
CRN_EXPORT CRN_REALIGNED void coroner_v1_lsan_answer(const char *options, const char *suppressions,
                                                     int is_off)
{
    struct crn_thread *self = crn_shim.phase == CRN_SHIM_ON ? crn_shim_thread() : NULL;
    if (self == NULL)
        return;
    crn_busy_begin(self);
    answers_take(&crn_shim.options, options, suppressions);
    crn_lsan_start(&crn_shim.options);
    if (is_off)
        crn_shim.options.detect_leaks = false;
    crn_busy_end(self);
}

/* coroner_v1_lsan_check */
int crn_lsan_check(int is_last, const struct crn_saved_registers *from)
{
    if (!is_last)
        return crn_check_judged(from);
    if (atomic_exchange_explicit(&has_checked, 1, memory_order_acq_rel) != 0 || !crn_end_now(from))
        return 0;
    int code = (int)crn_shim.options.error_exitcode;
    crn_end_finish(code != 0 ? code : -1, from);
    if (code != 0)
        crn_syscall1(SYS_exit_group, code);
    return 1;
}

/* Whether the real runtime is to do it. */
#define IS_REAL(function) (crn_shim.phase == CRN_SHIM_OFF && real.function != NULL)

/* __lsan_do_leak_check */
void crn_lsan_do_leak_check(const struct crn_saved_registers *from)
{
    if (IS_REAL(do_leak_check))
        real.do_leak_check();
    else
        crn_lsan_check(1, from);
}

/* __lsan_do_recoverable_leak_check */
int crn_lsan_do_recoverable_leak_check(const struct crn_saved_registers *from)
{
    return IS_REAL(do_recoverable_leak_check) ? real.do_recoverable_leak_check()
                                              : crn_lsan_check(0, from);
}

CRN_EXPORT CRN_REALIGNED void __lsan_disable(void)
{
    if (IS_REAL(disable))
        real.disable();
    else
        coroner_disable();
}

CRN_EXPORT CRN_REALIGNED void __lsan_enable(void)
{
    if (IS_REAL(enable))
        real.enable();
    else
        coroner_enable();
}

CRN_EXPORT CRN_REALIGNED void __lsan_ignore_object(const void *object)
{
    if (IS_REAL(ignore_object))
        real.ignore_object(object);
    else
        coroner_ignore(object);
}

CRN_EXPORT CRN_REALIGNED void __lsan_register_root_region(const void *start, size_t bytes)
{
    if (IS_REAL(register_root_region))
        real.register_root_region(start, bytes);
    else
        coroner_root_add(start, bytes);
}

CRN_EXPORT CRN_REALIGNED void __lsan_unregister_root_region(const void *start, size_t bytes)
{
    if (IS_REAL(unregister_root_region))
        real.unregister_root_region(start, bytes);
    else
        coroner_root_remove(start, bytes);
}
