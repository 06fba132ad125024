#ifndef CRN_REPORT_ESCAPE_H
#define CRN_REPORT_ESCAPE_H
/*
 * JSON as it may be shown on a terminal, too.  What base/characters.h calls unwelcome stands as an
 * escape in its strings ("\u202e"), which says the same to a program.
 */
#include <stdio.h>

#include <jansson.h>

/* Writes `value`, whose strings are UTF-8; `flags` are jansson's.  NULL is a lack of memory. */
void crn_json_write(const json_t *value, FILE *file, size_t flags);

#endif
