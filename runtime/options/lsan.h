#ifndef CRN_LSAN_H
#define CRN_LSAN_H
/*
 * LeakSanitizer's options, as far as Coroner has something like them: LSAN_OPTIONS, and what a
 * program answers to __lsan_default_options().
 *
 * Names that only LeakSanitizer knows are accepted without a word.
 */
#include "options/options.h"

/*
 * Reads "key=value:key=value"; blanks, commas and line ends separate, too.  `text` is cut in place
 * and must live as long as `options`.  A bad value is told to `warn`, a line each, and skipped.
 * log_path=FILE becomes output=FILE.%p, which is kept in memory of this function's own, a place a
 * source.
 */
void crn_lsan_options_parse(struct crn_options *options, char *text, enum crn_option_source source,
                            void (*warn)(const char *message, void *user), void *user);

#endif
