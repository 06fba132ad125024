#ifndef CASES_LSAN_H
#define CASES_LSAN_H
/* LeakSanitizer's interface: as its own header has it, where the compiler brings that. */
#if __has_include(<sanitizer/lsan_interface.h>)
#include <sanitizer/lsan_interface.h>
#else
#include <stddef.h>
void __lsan_disable(void);
void __lsan_enable(void);
void __lsan_ignore_object(const void *object);
void __lsan_register_root_region(const void *start, size_t bytes);
void __lsan_unregister_root_region(const void *start, size_t bytes);
void __lsan_do_leak_check(void);
int __lsan_do_recoverable_leak_check(void);
int __lsan_is_turned_off(void);
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);
#endif

#endif
