/*
 * What has changed since the check before this one.  See since.h.
 */
#include "report/since.h"
#include "report/diff.h"
#include "report/json_values.h"
#include "report/words.h"

/* The next kind of coroutines that has doubled, from row *at on; NULL: no more. */
static const struct crn_diff_row *doubled_next(const struct crn_diff_program *diff, size_t *at)
{
    while (*at < diff->coroutines.count) {
        const struct crn_diff_row *row = &diff->coroutines.rows[(*at)++];
        if (row->coroutine != NULL && crn_diff_has_doubled(row))
            return row;
    }
    return NULL;
}

/* How long ago, as people say it. */
static const char *ago_text(const struct crn_page *page, double seconds)
{
    if (seconds < 120)
        return crn_store_print(page->store, "%.0f s", seconds);
    if (seconds < 7200)
        return crn_store_print(page->store, "%.0f min", seconds / 60);
    return crn_store_print(page->store, "%.1f h", seconds / 3600);
}

void crn_since_print(const struct crn_page *page, const struct crn_since *since)
{
    enum { SHOWN_MAX = 5 };
    size_t at = 0, shown = 0;
    const struct crn_diff_row *row;
    if (since == NULL)
        return;
    const size_t *leaks = since->diff->leaks.counts;
    crn_page_print(page, CRN_STYLE_BOLD, "since the check %s ago:", ago_text(page, since->ago_s));
    fprintf(page->file, " %s new, %s grown\n",
            crn_page_count(page, leaks[CRN_CHANGE_NEW], "leak"),
            crn_page_number(page, leaks[CRN_CHANGE_GROWN]));
    while ((row = doubled_next(since->diff, &at)) != NULL && shown++ < SHOWN_MAX)
        fprintf(page->file, "    %s %s (%s, %s), %s then\n",
                crn_page_count(page, row->new.blocks, "coroutine"),
                crn_page_show(page, row->coroutine->name),
                crn_mechanism_words[row->coroutine->mechanism],
                crn_coro_state_words[row->coroutine->state],
                crn_page_number(page, row->old.blocks));
}

json_t *crn_since_json(struct crn_store *store, const struct crn_since *since)
{
    size_t at = 0;
    const struct crn_diff_row *row;
    if (since == NULL)
        return json_null();
    const size_t *leaks = since->diff->leaks.counts;
    json_t *object = json_object(), *doubled = json_array();
    crn_json_set(object, "number", crn_json_number(since->number));
    crn_json_set(object, "ago_s", json_real(since->ago_s));
    crn_json_set(object, "new_leaks", crn_json_number(leaks[CRN_CHANGE_NEW]));
    crn_json_set(object, "grown_leaks", crn_json_number(leaks[CRN_CHANGE_GROWN]));
    crn_json_set(object, "risen_blocks",
                 since->has_risen ? crn_json_number(since->risen_blocks) : json_null());
    crn_json_set(object, "risen_bytes",
                 since->has_risen ? crn_json_number(since->risen_bytes) : json_null());
    while ((row = doubled_next(since->diff, &at)) != NULL) {
        json_t *kind = json_object();
        crn_json_set(kind, "name", crn_json_text(store, row->coroutine->name));
        crn_json_set(kind, "mechanism",
                     json_string(crn_mechanism_words[row->coroutine->mechanism]));
        crn_json_set(kind, "state", json_string(crn_coro_state_words[row->coroutine->state]));
        crn_json_set(kind, "count", crn_json_number(row->new.blocks));
        crn_json_set(kind, "count_before", crn_json_number(row->old.blocks));
        crn_json_append(doubled, kind);
    }
    crn_json_set(object, "doubled", doubled);
    return object;
}
