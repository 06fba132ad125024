#ifndef CRN_TOP_VIEW_H
#define CRN_TOP_VIEW_H
/*
 * What is on the screen of `coroner top`, and what each key does to it.  Knows no terminal.
 */
#include "shim/launcher/top/table.h"

enum crn_top_mode {
    CRN_TOP_SHOWS_TABLE,
    CRN_TOP_SHOWS_DETAIL, /* of the selected row */
    CRN_TOP_SHOWS_HELP,
    CRN_TOP_ASKS_FILTER,
    CRN_TOP_ASKS_DELAY
};

/* Keys that are no characters. */
enum crn_top_key {
    CRN_KEY_NONE = -1000,
    CRN_KEY_UP,
    CRN_KEY_DOWN,
    CRN_KEY_PAGE_UP,
    CRN_KEY_PAGE_DOWN,
    CRN_KEY_HOME,
    CRN_KEY_END,
    CRN_KEY_LEFT,
    CRN_KEY_RIGHT,
    CRN_KEY_ENTER,
    CRN_KEY_ESCAPE,
    CRN_KEY_ERASE,
    CRN_KEY_HELP,
    CRN_KEY_QUIT,
};

enum crn_top_action { CRN_TOP_STAYS, CRN_TOP_QUITS, CRN_TOP_LOOKS_NOW };

struct crn_top_view {
    enum crn_top_mode mode;
    struct crn_top_table *table; /* NULL: none yet */
    struct crn_top_order order;  /* its filter is `filter` */
    size_t selected, first;      /* rows among those shown: under the cursor, at the top */
    size_t page_rows;            /* how many there is room for; set by who draws */
    size_t scroll,
        scroll_max; /* lines of the detail or help above the screen; the last by who draws */
    char filter[64], filter_before[64];
    char input[16];    /* the delay, as it is typed */
    double wanted_s;   /* the delay */
    char message[256]; /* "" for none */
};

void crn_top_view_init(struct crn_top_view *view, double wanted_s);

/* Shows another table, which is sorted anew; the cursor stays on its row. */
void crn_top_view_take(struct crn_top_view *view, struct crn_top_table *table);

/* What a key does: a character (Unicode), or an enum crn_top_key. */
enum crn_top_action crn_top_view_key(struct crn_top_view *view, long key);

/* The row under the cursor; NULL: there is none. */
const struct crn_top_row *crn_top_view_row(const struct crn_top_view *view);

/* The lines of the help. */
extern const char crn_top_help[];

#endif
