/*
 * The terminal.  See screen.h.
 *
 *     head       who, how much, leaks, cost: fewer lines on a small screen
 *     message    a question, a filter, or what went wrong
 *     columns
 *     rows       or the lines of a text
 *     keys       on a large one
 */
#include "shim/launcher/top/screen.h"

#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define NCURSES_WIDECHAR 1
#include <curses.h>

#include "base/characters.h"
#include "shim/launcher/output.h"

enum { COLOR_OF_GROWTH = 1, COLOR_OF_LEAKS, CELLS_MAX = 1024 };

static SCREEN *screen;
static FILE *output, *input;
static pid_t owner; /* a child that exits must leave the terminal alone */
static bool is_colored;

void crn_screen_end(void)
{
    if (screen == NULL || getpid() != owner)
        return;
    endwin();
    delscreen(screen);
    screen = NULL;
    fclose(output);
    fclose(input);
}

/* A stream of its own, so that what others print is not mixed with it. */
static FILE *stream_open(int fd, const char *mode)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    FILE *stream = copy >= 0 ? fdopen(copy, mode) : NULL;
    if (stream == NULL && copy >= 0)
        close(copy);
    return stream;
}

bool crn_screen_begin(void)
{
    const char *terminal = getenv("TERM");
    int keys =
        isatty(STDIN_FILENO) ? STDIN_FILENO : open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    setlocale(LC_CTYPE, "");
    output = stream_open(STDOUT_FILENO, "w");
    input = keys >= 0 ? stream_open(keys, "r") : NULL;
    if (keys > STDIN_FILENO)
        close(keys);
    if (output != NULL && input != NULL)
        screen = newterm(NULL, output, input);
    if (screen == NULL) {
        crn_say("cannot draw on this terminal (TERM is '%s'): use --batch",
                terminal != NULL ? terminal : "");
        if (output != NULL)
            fclose(output);
        if (input != NULL)
            fclose(input);
        return false;
    }
    owner = getpid();
    atexit(crn_screen_end);
    set_term(screen);
    cbreak();
    noecho();
    nonl(); /* Enter is '\r' */
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(25);
    leaveok(stdscr, FALSE);
    curs_set(0);
    is_colored = crn_output_has_color(STDOUT_FILENO) && has_colors() && start_color() == OK;
    if (is_colored) {
        use_default_colors();
        init_pair(COLOR_OF_GROWTH, COLOR_YELLOW, -1);
        init_pair(COLOR_OF_LEAKS, COLOR_RED, -1);
    }
    return true;
}

int crn_screen_keys(void)
{
    return fileno(input);
}

int crn_screen_rows(void)
{
    return LINES;
}

void crn_screen_forget(void)
{
    reset_prog_mode();
    clearok(curscr, TRUE);
}

long crn_screen_key(void)
{
    static const struct {
        wint_t code;
        long key;
    } keys[] = {
        {KEY_UP, CRN_KEY_UP},           {KEY_DOWN, CRN_KEY_DOWN},   {KEY_PPAGE, CRN_KEY_PAGE_UP},
        {KEY_NPAGE, CRN_KEY_PAGE_DOWN}, {KEY_HOME, CRN_KEY_HOME},   {KEY_END, CRN_KEY_END},
        {KEY_LEFT, CRN_KEY_LEFT},       {KEY_RIGHT, CRN_KEY_RIGHT}, {KEY_ENTER, CRN_KEY_ENTER},
        {KEY_BACKSPACE, CRN_KEY_ERASE}, {KEY_DC, CRN_KEY_ERASE},    {KEY_F(1), CRN_KEY_HELP},
        {KEY_F(10), CRN_KEY_QUIT}};
    wint_t code;
    int kind = wget_wch(stdscr, &code);
    if (kind == KEY_CODE_YES) {
        for (unsigned i = 0; i < CRN_COUNT_OF(keys); i++)
            if (keys[i].code == code)
                return keys[i].key;
        return CRN_KEY_NONE; /* KEY_RESIZE among them */
    }
    if (kind != OK)
        return CRN_KEY_NONE;
    switch (code) {
    case '\r':
    case '\n':
        return CRN_KEY_ENTER;
    case 27:
        return CRN_KEY_ESCAPE;
    case 8:
    case 127:
        return CRN_KEY_ERASE;
    default:
        return code >= ' ' ? (long)code : CRN_KEY_NONE;
    }
}

/* One character as the terminal's locale has it; '?' where it has none. */
static wchar_t character_of(const char *text, unsigned bytes)
{
    mbstate_t state = {0};
    wchar_t wide;
    size_t got = bytes > 0 ? mbrtowc(&wide, text, bytes, &state) : (size_t)-1;
    return got == bytes && wcwidth(wide) >= 0 ? wide : L'?';
}

/* Draws a line, cut to the screen; the rest of it is empty, or in the same attributes. */
static void line_draw(int row, const char *text, attr_t attributes, short pair)
{
    wchar_t cells[CELLS_MAX];
    int width = 0, most = COLS < CELLS_MAX ? COLS : CELLS_MAX - 1;
    size_t count = 0;
    if (row < 0 || row >= LINES)
        return;
    while (*text != 0 && *text != '\n' && count + 1 < CELLS_MAX) {
        unsigned bytes = crn_character_bytes(text);
        wchar_t wide = character_of(text, bytes);
        if (width + wcwidth(wide) > most)
            break;
        width += wcwidth(wide);
        cells[count++] = wide;
        text += bytes > 0 ? bytes : 1;
    }
    while (width < most && (attributes & A_REVERSE) && count + 1 < CELLS_MAX) {
        cells[count++] = L' ';
        width++;
    }
    attr_set(attributes, is_colored ? pair : 0, NULL);
    mvaddnwstr(row, 0, cells, (int)count);
    attr_set(A_NORMAL, 0, NULL);
    if (width < COLS)
        clrtoeol();
}

/* What is asked, or said; "" for nothing. */
static const char *question(struct crn_store *store, const struct crn_top_view *view)
{
    bool is_narrow = COLS < 60;
    if (view->mode == CRN_TOP_ASKS_FILTER)
        return crn_store_print(store, "%s%s_",
                               is_narrow ? "/" : "show only rows with: ", view->filter);
    if (view->mode == CRN_TOP_ASKS_DELAY)
        return is_narrow ? crn_store_print(store, "seconds: %s_", view->input)
                         : crn_store_print(store, "seconds between two looks (now %g): %s_",
                                           view->wanted_s, view->input);
    if (*view->message != 0)
        return view->message;
    if (*view->filter != 0)
        return crn_store_print(store, "only rows with '%s' (Esc: all)", view->filter);
    return "";
}

static void rows_draw(struct crn_store *store, const struct crn_top_view *view, int from)
{
    const struct crn_top_layout layout = crn_top_layout_make(COLS);
    line_draw(from, crn_top_columns(store, &layout, &view->order), A_REVERSE, 0);
    for (size_t i = 0; i < view->page_rows; i++) {
        int at = from + 1 + (int)i;
        if (view->first + i >= view->table->shown_count) {
            line_draw(at, i == 0 && view->table->shown_count == 0 ? "(no rows)" : "", A_NORMAL, 0);
            continue;
        }
        const struct crn_top_row *row = &view->table->rows[view->first + i];
        bool is_leak = row->leak != NULL && row->leak->confidence == CRN_PROVEN;
        bool grows = row->live != NULL && row->live->shape == CRN_GROWTH_STEADY;
        attr_t attributes = view->first + i == view->selected ? A_REVERSE : A_NORMAL;
        if (is_leak || grows)
            attributes |= A_BOLD;
        line_draw(at, crn_top_row(store, &layout, row), attributes,
                  is_leak ? COLOR_OF_LEAKS
                  : grows ? COLOR_OF_GROWTH
                          : 0);
    }
}

/* The text with lines that fit the screen, broken at a blank if there is one; the caller frees it.
 */
static char *text_wrap(const char *text)
{
    enum { INDENT = 4 };
    char *wrapped;
    size_t count;
    FILE *file = open_memstream(&wrapped, &count);
    if (file == NULL)
        crn_out_of_memory();
    for (int column = 0; *text != 0;) {
        unsigned bytes = crn_character_bytes(text);
        int width = *text == '\n' ? 0 : wcwidth(character_of(text, bytes));
        int word = (int)strcspn(text, " \n"); /* in bytes, which is as much at least */
        bool begins_word = column > INDENT && text[-1] == ' ' && *text != ' ';
        if (*text != '\n' && (column + width > COLS ||
                              (begins_word && column + word > COLS && word <= COLS - INDENT))) {
            fprintf(file, "\n%*s", COLS > 2 * INDENT ? INDENT : 0, "");
            column = COLS > 2 * INDENT ? INDENT : 0;
            text += *text == ' ';
            continue;
        }
        fwrite(text, 1, bytes > 0 ? bytes : 1, file);
        column = *text == '\n' ? 0 : column + width;
        text += bytes > 0 ? bytes : 1;
    }
    if (fclose(file) != 0)
        crn_out_of_memory();
    return wrapped;
}

static void text_draw(struct crn_top_view *view, const char *title, const char *whole, int from)
{
    size_t lines = 0;
    char *wrapped = text_wrap(whole);
    const char *text = wrapped;
    for (const char *at = text; *at != 0; at++)
        lines += *at == '\n';
    view->scroll_max = lines > view->page_rows ? lines - view->page_rows : 0;
    if (view->scroll > view->scroll_max)
        view->scroll = view->scroll_max;
    line_draw(from, title, A_REVERSE, 0);
    for (size_t i = 0; i < view->scroll; i++)
        text = strchr(text, '\n') + 1;
    for (size_t i = 0; i < view->page_rows; i++) {
        line_draw(from + 1 + (int)i, text, A_NORMAL, 0);
        const char *end = strchr(text, '\n');
        text = end != NULL ? end + 1 : "";
    }
    free(wrapped);
}

void crn_screen_draw(struct crn_top_view *view, const struct crn_top_state *state)
{
    static const char keys_line[] =
        "q quit  h help  space look  g b n c sort  r turn  / filter  d delay  Enter row";
    struct crn_store *store = crn_store_create();
    const char *head[CRN_TOP_HEAD_LINES] = {"", "", "", ""};
    const char *said = question(store, view);
    int heads = LINES >= 14 ? 4 : LINES >= 9 ? 2 : LINES >= 3 ? 1 : 0;
    bool has_keys = LINES >= 14, has_line = LINES >= 9; /* for what is said */
    int at = 0;
    if (view->table != NULL)
        crn_top_head(store, view->table, state, head);
    if (*said != 0 && !has_line && heads > 0)
        head[0] = said;
    for (; at < heads; at++)
        line_draw(at, head[at], at == 0 ? A_BOLD : A_NORMAL, 0);
    if (has_line)
        line_draw(at++, said, A_BOLD, 0);
    int room = LINES - at - 1 - has_keys;
    view->page_rows = room > 0 ? (size_t)room : 1;
    if (view->selected >= view->first + view->page_rows)
        view->first = view->selected - view->page_rows + 1;
    const struct crn_top_row *row = crn_top_view_row(view);
    if (view->mode == CRN_TOP_SHOWS_HELP)
        text_draw(view, "coroner top " CORONER_VERSION, crn_top_help, at);
    else if (view->mode == CRN_TOP_SHOWS_DETAIL && row != NULL)
        text_draw(view, row->where, crn_top_detail(store, row), at);
    else if (view->table != NULL)
        rows_draw(store, view, at);
    if (has_keys)
        line_draw(LINES - 1, keys_line, A_DIM, 0);
    refresh();
    crn_store_destroy(store);
}
