#ifndef CRN_TOP_SCREEN_H
#define CRN_TOP_SCREEN_H
/*
 * The terminal of `coroner top`, by ncurses.  Whatever ends us but SIGKILL, it is as it was.
 */
#include "shim/launcher/top/lines.h"
#include "shim/launcher/top/view.h"

/*
 * Takes the terminal of standard output over; keys come from standard input, or where that is none
 * from /dev/tty.  Answers false after saying why it cannot.
 */
bool crn_screen_begin(void);

/* Gives it back; nothing happens without a screen. */
void crn_screen_end(void);

/* The descriptor that keys come from, for poll(). */
int crn_screen_keys(void);

/* The next key, as view.h has them; CRN_KEY_NONE: there is none, or the screen must be drawn. */
long crn_screen_key(void);

/* The terminal was somebody else's meanwhile: everything is drawn anew the next time. */
void crn_screen_forget(void);

void crn_screen_draw(struct crn_top_view *view, const struct crn_top_state *state);

/* The lines of the screen. */
int crn_screen_rows(void);

#endif
