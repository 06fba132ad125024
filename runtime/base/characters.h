#ifndef CRN_CHARACTERS_H
#define CRN_CHARACTERS_H
/*
 * What a text may hold when it leaves Coroner.
 *
 * Paths, arguments, names and options come from others and may hold any byte.  Shown as they are,
 * they could steer a terminal (control characters), turn the order of what stands beside them
 * (bidirectional ones), or make a line two.  Three kinds of characters are *unwelcome*: controls
 * (C0, DEL, C1), those with Unicode's property Bidi_Control, and separators of lines.
 *
 * Nothing here allocates, locks or changes errno: it serves the program under test as well.
 */
#include "base/base.h"

/* The length in bytes of the well-formed UTF-8 character at `p`; 0: there is none, NUL included. */
unsigned crn_character_bytes(const char *p);

/* Whether the character at `p`, which is `bytes` long, is unwelcome. */
bool crn_character_is_unwelcome(const char *p, unsigned bytes);

/*
 * Puts one '?' for each unwelcome character, and for each byte that is no UTF-8, in place; answers
 * the length that is left.  Calls nobody, so it serves before the program's libc is there.
 */
size_t crn_text_tame(char *text);

#endif
