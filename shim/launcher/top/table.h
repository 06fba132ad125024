#ifndef CRN_TOP_TABLE_H
#define CRN_TOP_TABLE_H
/*
 * What `coroner top` shows of one look: rows that can be sorted and filtered, each of which is what
 * is alive of an allocation stack, a leak, or a kind of coroutines.
 *
 * How fast a row grows is what the check says of it, which knows the age of every block.  Where it
 * says nothing, it is the difference to the look before, marked as measured.
 */
#include "report/model.h"

enum crn_top_kind { CRN_TOP_LIVE, CRN_TOP_LEAK, CRN_TOP_COROUTINES };

enum crn_top_column {
    CRN_TOP_RATE,
    CRN_TOP_BYTES,
    CRN_TOP_BLOCKS,
    CRN_TOP_COUNT, /* of coroutines */
    CRN_TOP_SINCE,
    CRN_TOP_WHAT,
    CRN_TOP_WHERE,
    CRN_TOP_COLUMNS
};

struct crn_top_row {
    enum crn_top_kind kind;
    uint64_t id; /* with the kind, the same from look to look */
    uint64_t bytes, blocks, coroutines;
    double bytes_per_s; /* may be below 0 where it was measured */
    bool has_rate, is_measured;
    double since_s;              /* since when it grows; negative: unknown */
    const char *what;            /* "grows", "churns", "lost", "suspended", ... */
    const char *where;           /* "session_new server.c:67" */
    const struct crn_live *live; /* that of its kind */
    const struct crn_leak *leak;
    const struct crn_coroutine *coroutine;
};

struct crn_top_table {
    struct crn_report *report; /* whose names the rows show */
    const struct crn_process *process;
    struct crn_top_row *rows; /* sorted; those that the filter lets through first */
    size_t count, shown_count;
    double bytes_per_s; /* of all that grow for sure */
    bool is_too_early;  /* most of what is alive is too young to tell */
    double left_s;      /* until the limit at that rate; negative: unknown, or never */
};

struct crn_top_order {
    enum crn_top_column column; /* CRN_TOP_RATE to CRN_TOP_COUNT */
    bool is_reversed;
    const char *filter; /* part of what or where, whatever its case; "" lets all through */
};

/*
 * Makes the table of a report's first process, and takes the report over.  `before` is the table of
 * the look before; NULL: none.  Answers NULL, without taking it, if nothing was checked.
 */
struct crn_top_table *crn_top_table_create(struct crn_report *report,
                                           const struct crn_top_table *before);
void crn_top_table_destroy(struct crn_top_table *table);

/* Sorts the rows, and puts those in front that the filter lets through. */
void crn_top_table_sort(struct crn_top_table *table, const struct crn_top_order *order);

/* The place of a row among those shown; shown_count: it is not there. */
size_t crn_top_table_find(const struct crn_top_table *table, enum crn_top_kind kind, uint64_t id);

#endif
