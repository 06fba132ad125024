#ifndef CRN_ASK_INSIDE_H
#define CRN_ASK_INSIDE_H
/*
 * Files as another process sees them, below its root and in its mounts.
 *
 * A path is looked up as if that root were ours: an absolute link that the process, or somebody
 * who shares its file system, has put there leads nowhere else.
 */
#include "base/base.h"

/*
 * Opens `path`, absolute, below the directory `root` (O_PATH is enough), with flags as openat(2)
 * has them; close-on-exec.  Answers a descriptor, or -1 with errno.
 */
int crn_inside_open(int root, const char *path, int flags);

#endif
