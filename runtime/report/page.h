#ifndef CRN_REPORT_PAGE_H
#define CRN_REPORT_PAGE_H
/*
 * What text.c writes on: styles, amounts, and the pieces that leaks, findings and coroutines
 * share.  Every text that came from the program goes through `show`, so that it cannot steer the
 * terminal.
 */
#include <stdio.h>

#include "report/model.h"

enum crn_style { CRN_STYLE_PLAIN, CRN_STYLE_BOLD, CRN_STYLE_BAD, CRN_STYLE_WEAK };

struct crn_page {
    struct crn_store *store; /* its own: what is printed is forgotten now and then */
    FILE *file;
    bool has_color;
    uint32_t frames_max; /* of a stack; 0: as many as fit */
};

/* Begins and ends a page; the rest of the fields are the caller's to fill in. */
void crn_page_begin(struct crn_page *page);
void crn_page_end(struct crn_page *page);

/* Forgets what is printed, once it has become much: no text of the page's may be in use. */
void crn_page_turn(struct crn_page *page);

/* Prints a line fragment in a style. */
void crn_page_print(const struct crn_page *page, enum crn_style style, const char *format, ...)
    CRN_PRINTF(3, 4);

/* A text of the program, fit to print; "?" when unknown. */
const char *crn_page_show(const struct crn_page *page, const char *text);

/* Ends a line, of which `indent` columns are taken, with sentences; the lines that follow are
 * indented. */
void crn_page_sentence(const struct crn_page *page, int indent, const char *text);

/* "12,345", in the store. */
const char *crn_page_number(const struct crn_page *page, uint64_t value);

/* "1 block", "12,345 blocks": a count with its word, in the store. */
const char *crn_page_count(const struct crn_page *page, uint64_t count, const char *word);

/* "8,192 bytes", and from 100,000 on "97.7 KiB", in the store. */
const char *crn_page_bytes(const struct crn_page *page, uint64_t bytes);

/* "45 s", "12 min", "4.5 h", "3.2 days", in the store. */
const char *crn_page_time(const struct crn_page *page, double seconds);

/* The last part of a path. */
const char *crn_page_base(const struct crn_page *page, const char *path);

/* A stack, a frame a line, `indent` blanks deep; what started the program or thread is left out. */
void crn_page_stack(const struct crn_page *page, const struct crn_stack *stack, int indent);

/* A line that says what a coroutine is; the leak of the number `shown_in` (0: none) tells more. */
void crn_page_coroutine(const struct crn_page *page, const struct crn_coroutine *coroutine,
                        uint64_t count, size_t shown_in);

/* Where it was created, which is one of `creations` stacks, and where it stopped. */
void crn_page_coroutine_stacks(const struct crn_page *page, const struct crn_coroutine *coroutine,
                               size_t creations);

/* A line with its sizes. */
void crn_page_coroutine_bytes(const struct crn_page *page, const struct crn_coroutine *coroutine);

/* Where in the coroutine before it the leak at the end of a chain hangs: ", at +48". */
void crn_page_place(const struct crn_page *page, const struct crn_chain *chain);

/* A chain, a link a line; `end` is what the last one is: "leaked block". */
void crn_page_chain(const struct crn_page *page, const struct crn_chain *chain, const char *end);

#endif
