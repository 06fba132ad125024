/*
 * LeakSanitizer's interface in libcoroner-probes.a: a program that was written for it and is linked
 * with the archive runs unchanged without Coroner, and speaks to it where it is loaded.
 *
 * What the program answers (__lsan_default_options and its like) is told to Coroner before main,
 * since the loader shows a program's own functions only to the libraries it was linked with.
 */
#include "coroner/coroner.h"

int coroner_v1_lsan_check(int is_last) CORONER_WEAK;
void coroner_v1_lsan_answer(const char *options, const char *suppressions, int is_off) CORONER_WEAK;

int __lsan_is_turned_off(void) CORONER_WEAK;
const char *__lsan_default_options(void) CORONER_WEAK;
const char *__lsan_default_suppressions(void) CORONER_WEAK;

void __lsan_do_leak_check(void);
int __lsan_do_recoverable_leak_check(void);
void __lsan_disable(void);
void __lsan_enable(void);
void __lsan_ignore_object(const void *object);
void __lsan_register_root_region(const void *start, size_t bytes);
void __lsan_unregister_root_region(const void *start, size_t bytes);

__attribute__((constructor)) static void answer(void)
{
    if (coroner_v1_lsan_answer != NULL)
        coroner_v1_lsan_answer(
            __lsan_default_options != NULL ? __lsan_default_options() : NULL,
            __lsan_default_suppressions != NULL ? __lsan_default_suppressions() : NULL,
            __lsan_is_turned_off != NULL && __lsan_is_turned_off() != 0);
}

void __lsan_do_leak_check(void)
{
    CORONER_TELL(coroner_v1_lsan_check, (1));
}

int __lsan_do_recoverable_leak_check(void)
{
    return CORONER_CALL(coroner_v1_lsan_check, (0));
}

void __lsan_disable(void)
{
    coroner_disable();
}

void __lsan_enable(void)
{
    coroner_enable();
}

void __lsan_ignore_object(const void *object)
{
    coroner_ignore(object);
}

void __lsan_register_root_region(const void *start, size_t bytes)
{
    coroner_root_add(start, bytes);
}

void __lsan_unregister_root_region(const void *start, size_t bytes)
{
    coroner_root_remove(start, bytes);
}
