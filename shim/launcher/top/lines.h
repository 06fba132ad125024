#ifndef CRN_TOP_LINES_H
#define CRN_TOP_LINES_H
/*
 * The lines of `coroner top`, as text: for a screen and for a pipe alike.  They are UTF-8 without
 * anything that steers a terminal, and belong to the store.
 */
#include <stdio.h>

#include "shim/launcher/top/pace.h"
#include "shim/launcher/top/table.h"

enum { CRN_TOP_HEAD_LINES = 4 };

/* What is known beside the table. */
struct crn_top_state {
    unsigned look;        /* number of the last one */
    double ago_s, next_s; /* since it ended, until the next one begins; negative: do not tell */
    bool is_looking;
    struct crn_pace cost; /* of the last one */
};

/* Which columns fit, and how wide they are; 0: left out. */
struct crn_top_layout {
    int widths[CRN_TOP_COLUMNS];
};

/* Chooses for a line of `width` columns; 0: as wide as there is something to say. */
struct crn_top_layout crn_top_layout_make(int width);

/*
 * Who it is; how much there is and how fast it grows; what is leaked and how many coroutines; what
 * the look cost.  The most important first.
 */
void crn_top_head(struct crn_store *store, const struct crn_top_table *table,
                  const struct crn_top_state *state, const char *lines[CRN_TOP_HEAD_LINES]);

/* The line above the rows; `sorted` is marked. */
const char *crn_top_columns(struct crn_store *store, const struct crn_top_layout *layout,
                            const struct crn_top_order *order);

const char *crn_top_row(struct crn_store *store, const struct crn_top_layout *layout,
                        const struct crn_top_row *row);

/* All that is known of a row, many lines in one text. */
const char *crn_top_detail(struct crn_store *store, const struct crn_top_row *row);

/* The whole table as text, at most `rows_max` rows (0: all). */
void crn_top_print(FILE *file, const struct crn_top_table *table, const struct crn_top_order *order,
                   const struct crn_top_state *state, size_t rows_max);

/* "12 s", "3 min 20 s", "4 h 5 min", "3 days": at most two units. */
const char *crn_top_time(struct crn_store *store, double seconds);

#endif
