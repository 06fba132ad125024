#ifndef CRN_SYM_FILES_H
#define CRN_SYM_FILES_H
/*
 * Which files are opened to find names, and how.
 *
 * A recording names modules; a module names its debug file, that one its supplement (dwz) and
 * split units (.dwo).  None of these names can be trusted: what lies there now may be a pipe that
 * nobody writes to, a device, or a file that expands to more than memory when it is uncompressed.
 * libdw follows most of them by itself.  So all its ways to a file end here: `open` is defined in
 * files.c, which takes the place of libc's for every library of this process.
 *
 *     between crn_files_guard_begin() and _end(), a file opens for reading only if it is regular
 *     and an ELF file as it stands, and opening never waits; for all others there is no file
 *     outside of that, open does what it always does
 *
 * The third way to a file leads over the network: to a debuginfod server.  libdw would ask one as
 * soon as DEBUGINFOD_URLS is set; here it does so only where that was wanted, and not for long.
 *
 * One thread may name at a time.
 */
#include "base/base.h"

/*
 * Opens the file for reading, as said above.  Answers a descriptor for the caller to close, or -1
 * and in *obstacle why not, as words that fit into brackets.
 */
int crn_file_open(const char *path, const char **obstacle);

/* From here on libdw's opening is guarded, until as many ends as begins were called. */
void crn_files_guard_begin(void);
void crn_files_guard_end(void);

/* Lets debuginfod servers be asked from here on, or not (the default). */
void crn_files_allow_debuginfod(bool is_allowed);

/*
 * Calls `find`, which may ask debuginfod, and counts the time; when all calls together have taken
 * too long, no server is asked any more.
 */
int crn_files_ask(int (*find)(void *user), void *user);

/* Whether that has happened. */
bool crn_files_gave_up(void);

#endif
