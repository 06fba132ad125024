#ifndef CRN_LAUNCHER_PLACE_H
#define CRN_LAUNCHER_PLACE_H
/*
 * Where a file of ours goes that nobody gave a place: a recording that could not be rendered, the
 * report of a process that outlives its launcher.
 *
 * A place is a directory that is held open.  Files are made in it by that descriptor, mode 0600,
 * under a name that was free: nobody's file is written to, no link is followed.
 */
#include "base/base.h"

struct crn_place {
    int fd;     /* of the directory; -1: there is none */
    char *path; /* absolute; from malloc */
};

enum crn_place_order {
    CRN_PLACE_HERE_FIRST, /* what belongs to the command under way */
    CRN_PLACE_STATE_FIRST /* what belongs to one that ended long ago */
};

/*
 * Finds the `rank`-th place (from 0) where a file lasts: the current directory and
 * $XDG_STATE_HOME/coroner (by default ~/.local/state/coroner, which is made), as far as they are
 * ours and nobody else may write there; then the current directory, if only we may write there, and
 * /var/tmp.  Answers false when there are no more.
 */
bool crn_place_find(struct crn_place *place, enum crn_place_order order, unsigned rank);

/*
 * Opens the directory `path` as a place.  Answers false when it cannot be opened, is a link,
 * belongs to somebody else, or others may write there.
 */
bool crn_place_open(struct crn_place *place, const char *path);

/* The same for a path of crn_place_foresee(), whose last directories may have to be made. */
bool crn_place_make(struct crn_place *place, const char *path);

/* Opens $XDG_STATE_HOME/coroner, which is made; false: nobody says where that is, or it cannot be.
 */
bool crn_place_state(struct crn_place *place);

void crn_place_close(struct crn_place *place);

/*
 * The path, with a slash behind, of the first place that crn_place_find() would find, as far as can
 * be told without making any; from malloc, NULL: there is none.
 */
char *crn_place_foresee(void);

/*
 * Makes the file STEM.ENDING there, or STEM.2.ENDING and so on where that is taken.  Answers a
 * descriptor for reading and writing and the name (from malloc), or a negative errno.
 */
int crn_place_create(const struct crn_place *place, const char *stem, const char *ending,
                     char **name);

/*
 * Opens for writing the file `path`, which we have named: made anew, or an old regular file of
 * ours alone, which is emptied.  No link is followed.  Answers a descriptor or a negative errno.
 */
int crn_file_open_own(const char *path);

#endif
