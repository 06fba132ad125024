/*
 * What keys do.  See view.h.
 */
#include "shim/launcher/top/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char crn_top_help[] =
    "GROWS   how fast, as the ages of the blocks tell; ~ measured between looks\n"
    "SINCE   for how long it has grown\n"
    "WHAT    of what is alive: grows, churns (comes and goes), stays (born early)\n"
    "        of a leak: its verdict, with ? if only likely\n"
    "        of coroutines: their state\n"
    "\n"
    "Up Down PgUp PgDn Home End   move (k and j, too)\n"
    "Enter                        stack and chain of the row; again, q or Esc: back\n"
    "g b n c                      sort by growth, bytes, number of blocks, coroutines\n"
    "< >                          sort by the column to the left or right\n"
    "r                            turn the order\n"
    "/                            show only rows with a text; Esc shows all again\n"
    "space                        look now\n"
    "d                            set the seconds between two looks\n"
    "h ? F1                       this help\n"
    "q F10                        quit\n"
    "\n"
    "A look makes the process stand still for a moment.  However short the delay\n"
    "that is asked for, at most a thousandth of all time is spent so.\n";

void crn_top_view_init(struct crn_top_view *view, double wanted_s)
{
    *view = (struct crn_top_view){.wanted_s = wanted_s, .page_rows = 1};
    view->order = (struct crn_top_order){CRN_TOP_RATE, false, view->filter};
}

const struct crn_top_row *crn_top_view_row(const struct crn_top_view *view)
{
    return view->table != NULL && view->selected < view->table->shown_count
               ? &view->table->rows[view->selected]
               : NULL;
}

/* Keeps the cursor among the rows, and in sight. */
static void cursor_settle(struct crn_top_view *view)
{
    size_t count = view->table != NULL ? view->table->shown_count : 0;
    if (view->selected >= count)
        view->selected = count > 0 ? count - 1 : 0;
    if (view->first > view->selected)
        view->first = view->selected;
    if (view->selected >= view->first + view->page_rows)
        view->first = view->selected - view->page_rows + 1;
    if (view->first > 0 && view->first + view->page_rows > count)
        view->first = count > view->page_rows ? count - view->page_rows : 0;
}

static void sort(struct crn_top_view *view, bool follows_row)
{
    if (view->table == NULL)
        return;
    const struct crn_top_row *at = crn_top_view_row(view);
    const struct crn_top_row row = at != NULL ? *at : (struct crn_top_row){0};
    crn_top_table_sort(view->table, &view->order);
    if (at != NULL && follows_row)
        view->selected = crn_top_table_find(view->table, row.kind, row.id);
    else
        view->selected = view->first = 0;
    cursor_settle(view);
}

void crn_top_view_take(struct crn_top_view *view, struct crn_top_table *table)
{
    const struct crn_top_row *at = crn_top_view_row(view);
    const struct crn_top_row row = at != NULL ? *at : (struct crn_top_row){0};
    bool is_at_top = view->selected == 0 && view->mode != CRN_TOP_SHOWS_DETAIL;
    size_t before = view->selected;
    view->table = table;
    crn_top_table_sort(table, &view->order);
    if (at != NULL && !is_at_top) { /* whoever is at the top wants to see what is there */
        view->selected = crn_top_table_find(table, row.kind, row.id);
        if (view->selected == table->shown_count) {
            view->selected = before;
            if (view->mode == CRN_TOP_SHOWS_DETAIL)
                view->mode = CRN_TOP_SHOWS_TABLE;
        }
    }
    cursor_settle(view);
}

static size_t less(size_t value, size_t step)
{
    return value > step ? value - step : 0;
}

/* Moves the cursor, or scrolls a text. */
static bool move(struct crn_top_view *view, long key)
{
    bool is_text = view->mode == CRN_TOP_SHOWS_DETAIL || view->mode == CRN_TOP_SHOWS_HELP;
    size_t *at = is_text ? &view->scroll : &view->selected;
    size_t count = view->table != NULL ? view->table->shown_count : 0;
    size_t most = is_text ? view->scroll_max : less(count, 1);
    switch (key) {
    case CRN_KEY_UP:
    case 'k':
        *at = less(*at, 1);
        break;
    case CRN_KEY_DOWN:
    case 'j':
        ++*at;
        break;
    case CRN_KEY_PAGE_UP:
        *at = less(*at, view->page_rows);
        break;
    case CRN_KEY_PAGE_DOWN:
        *at += view->page_rows;
        break;
    case CRN_KEY_HOME:
        *at = 0;
        break;
    case CRN_KEY_END:
        *at = most;
        break;
    default:
        return false;
    }
    if (*at > most)
        *at = most;
    if (!is_text)
        cursor_settle(view);
    return true;
}

static void column_choose(struct crn_top_view *view, enum crn_top_column column)
{
    view->order.column = column;
    sort(view, false);
}

/* Appends a character to a text, as UTF-8. */
static void character_append(char *text, size_t bytes, long character)
{
    size_t length = strlen(text);
    unsigned c = (unsigned)character;
    char coded[5] = {0};
    if (c < 0x80)
        coded[0] = (char)c;
    else if (c < 0x800)
        snprintf(coded, sizeof coded, "%c%c", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
    else if (c < 0x10000)
        snprintf(coded, sizeof coded, "%c%c%c", 0xe0 | c >> 12, 0x80 | (c >> 6 & 0x3f),
                 0x80 | (c & 0x3f));
    else
        snprintf(coded, sizeof coded, "%c%c%c%c", 0xf0 | (c >> 18 & 7), 0x80 | (c >> 12 & 0x3f),
                 0x80 | (c >> 6 & 0x3f), 0x80 | (c & 0x3f));
    if (length + strlen(coded) < bytes)
        strcpy(text + length, coded);
}

static void character_erase(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && (text[length - 1] & 0xc0) == 0x80)
        length--;
    text[less(length, 1)] = 0;
}

/* While a filter is typed, the table follows. */
static void filter_key(struct crn_top_view *view, long key)
{
    if (key == CRN_KEY_ENTER) {
        view->mode = CRN_TOP_SHOWS_TABLE;
        return;
    }
    if (key == CRN_KEY_ESCAPE || key == CRN_KEY_QUIT) {
        strcpy(view->filter, view->filter_before);
        view->mode = CRN_TOP_SHOWS_TABLE;
    } else if (key == CRN_KEY_ERASE) {
        character_erase(view->filter);
    } else if (key >= ' ') {
        character_append(view->filter, sizeof view->filter, key);
    } else {
        move(view, key);
        return;
    }
    sort(view, false);
}

static void delay_set(struct crn_top_view *view)
{
    char *end;
    double delay_s = strtod(view->input, &end);
    if (end == view->input || *end != 0 || !(delay_s >= 0) || delay_s > 1e6)
        snprintf(view->message, sizeof view->message, "'%s' is no number of seconds", view->input);
    else
        view->wanted_s = delay_s;
}

static void delay_key(struct crn_top_view *view, long key)
{
    if (key == CRN_KEY_ENTER && *view->input != 0)
        delay_set(view);
    if (key == CRN_KEY_ENTER || key == CRN_KEY_ESCAPE || key == CRN_KEY_QUIT)
        view->mode = CRN_TOP_SHOWS_TABLE;
    else if (key == CRN_KEY_ERASE)
        character_erase(view->input);
    else if (key >= ' ')
        character_append(view->input, sizeof view->input, key);
}

static enum crn_top_action table_key(struct crn_top_view *view, long key)
{
    switch (key) {
    case 'q':
    case CRN_KEY_QUIT:
        return CRN_TOP_QUITS;
    case ' ':
        return CRN_TOP_LOOKS_NOW;
    case 'h':
    case '?':
    case CRN_KEY_HELP:
        view->mode = CRN_TOP_SHOWS_HELP;
        view->scroll = 0;
        break;
    case CRN_KEY_ENTER:
        if (crn_top_view_row(view) != NULL)
            view->mode = CRN_TOP_SHOWS_DETAIL;
        view->scroll = 0;
        break;
    case 'g':
        column_choose(view, CRN_TOP_RATE);
        break;
    case 'b':
        column_choose(view, CRN_TOP_BYTES);
        break;
    case 'n':
        column_choose(view, CRN_TOP_BLOCKS);
        break;
    case 'c':
        column_choose(view, CRN_TOP_COUNT);
        break;
    case '<':
    case CRN_KEY_LEFT:
        column_choose(view,
                      view->order.column > CRN_TOP_RATE ? view->order.column - 1 : CRN_TOP_RATE);
        break;
    case '>':
    case CRN_KEY_RIGHT:
        column_choose(view,
                      view->order.column < CRN_TOP_COUNT ? view->order.column + 1 : CRN_TOP_COUNT);
        break;
    case 'r':
        view->order.is_reversed = !view->order.is_reversed;
        sort(view, false);
        break;
    case '/':
        strcpy(view->filter_before, view->filter);
        view->mode = CRN_TOP_ASKS_FILTER;
        break;
    case CRN_KEY_ESCAPE:
        *view->filter = 0;
        sort(view, true);
        break;
    case 'd':
        *view->input = 0;
        view->mode = CRN_TOP_ASKS_DELAY;
        break;
    default:
        move(view, key);
        break;
    }
    return CRN_TOP_STAYS;
}

static enum crn_top_action text_key(struct crn_top_view *view, long key)
{
    if (key == ' ')
        return CRN_TOP_LOOKS_NOW;
    if (key == 'q' || key == 'h' || key == CRN_KEY_ESCAPE || key == CRN_KEY_ENTER ||
        key == CRN_KEY_LEFT || key == CRN_KEY_QUIT || key == CRN_KEY_HELP)
        view->mode = CRN_TOP_SHOWS_TABLE;
    else
        move(view, key);
    return CRN_TOP_STAYS;
}

enum crn_top_action crn_top_view_key(struct crn_top_view *view, long key)
{
    *view->message = 0;
    switch (view->mode) {
    case CRN_TOP_ASKS_FILTER:
        filter_key(view, key);
        return CRN_TOP_STAYS;
    case CRN_TOP_ASKS_DELAY:
        delay_key(view, key);
        return CRN_TOP_STAYS;
    case CRN_TOP_SHOWS_TABLE:
        return table_key(view, key);
    default:
        return text_key(view, key);
    }
}
