#ifndef CRN_LSAN_COMPAT_H
#define CRN_LSAN_COMPAT_H
/*
 * LeakSanitizer's interface, for programs that were written for it.
 */
#include "record/draft.h"
#include "shim/state.h"

/*
 * Reads what the program answers to __lsan_default_options, then LSAN_OPTIONS, into options that
 * hold their defaults; CORONER_OPTIONS comes after that.  Called once, by the constructor.
 */
void crn_lsan_options_read(struct crn_options *options);

/*
 * When all options are read: has checks leave out the roots that they say hold nothing, and turns
 * detect_leaks off where the program answers __lsan_is_turned_off so.
 */
void crn_lsan_start(struct crn_options *options);

/* Notes what the program answers, for whoever reads the recording. */
void crn_lsan_describe(struct crn_draft *draft);

/* In a forked child: it has not asked for its check. */
void crn_lsan_after_fork(void);

#endif
