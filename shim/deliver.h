#ifndef CRN_DELIVER_H
#define CRN_DELIVER_H
/*
 * Starts the coroner command, for a process that has no launcher to read its recordings.  What each
 * does stands in check/host.h.
 */
#include "base/base.h"

/* Learns where this library lies; the constructor calls it.  Later the loader may be at work. */
void crn_deliver_start(void);

struct crn_draft;
int crn_deliver(const char *path, struct crn_draft *draft, int exit_code, int leak_code,
                bool has_news);
bool crn_deliver_clean(const struct crn_draft *draft);
bool crn_deliver_judged(const char *path, bool is_said, bool fallback);
bool crn_deliver_text(const char *path);

/* TMPDIR, as it is now; NULL: it is not set, or no absolute path. */
const char *crn_shim_temporary(void);

#endif
