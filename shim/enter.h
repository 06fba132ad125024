#ifndef CRN_ENTER_H
#define CRN_ENTER_H
/*
 * Exported functions that end the process or check, as entry_x86_64.S hands them on: with the
 * registers of the program's code that called (from->rsp is where its part of the stack begins).
 */
#include "base/switch.h"

/* exit; _exit and _Exit; quick_exit. */
__attribute__((noreturn)) void crn_exit(int code, const struct crn_saved_registers *from);
__attribute__((noreturn)) void crn_exit_now(int code, const struct crn_saved_registers *from);
__attribute__((noreturn)) void crn_quick_exit(int code, const struct crn_saved_registers *from);

/* daemon: libc's own ends the process by a system call, past everybody. */
int crn_daemon(int keeps_directory, int keeps_streams, const struct crn_saved_registers *from);

/* An on_exit function, and what it calls. */
void crn_very_last(int status, void *unused);
void crn_very_last_do(int status, void *unused, const struct crn_saved_registers *from);

/* coroner_v1_check, coroner_v1_scope_end, coroner_v1_assert_failed. */
struct coroner_summary;
size_t crn_probe_check(uint64_t handle, unsigned flags, struct coroner_summary *summary,
                       const struct crn_saved_registers *from);
size_t crn_probe_scope_end(uint64_t handle, unsigned flags, const struct crn_saved_registers *from);
void crn_probe_assert_failed(const char *file, int line, size_t count,
                             const struct crn_saved_registers *from);

/* coroner_v1_leak_check: Valgrind's request. */
void crn_valgrind_leak_check(int kind, const struct crn_saved_registers *from);

/* coroner_v1_lsan_check, __lsan_do_leak_check, __lsan_do_recoverable_leak_check. */
int crn_lsan_check(int is_last, const struct crn_saved_registers *from);
void crn_lsan_do_leak_check(const struct crn_saved_registers *from);
int crn_lsan_do_recoverable_leak_check(const struct crn_saved_registers *from);

#endif
