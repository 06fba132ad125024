/*
 * The pieces of a text report.  See page.h.
 */
#include "report/page.h"
#include "base/amounts.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "report/clean.h"
#include "report/fold.h"
#include "report/names.h"
#include "report/words.h"

/* How much of a stack or chain a person is shown, and how wide a name may make its column. */
enum {
    INNER_FRAMES = 24,
    OUTER_FRAMES = 4,
    FIRST_LINKS = 8,
    LAST_LINKS = 8,
    NAME_COLUMN_MAX = 36,
    LINE_COLUMNS = 100,  /* names that make a line longer lose their template arguments */
    NAME_SHOWN_MAX = 64, /* those within a line, and beside long places */
    TEXT_COLUMNS = 80,   /* sentences are broken */
};

void crn_page_begin(struct crn_page *page)
{
    page->store = crn_store_create();
}

void crn_page_end(struct crn_page *page)
{
    crn_store_destroy(page->store);
    page->store = NULL;
}

void crn_page_turn(struct crn_page *page)
{
    enum { MUCH_BYTES = 1 << 20 };
    if (crn_store_size(page->store) < MUCH_BYTES)
        return;
    crn_page_end(page);
    crn_page_begin(page);
}

void crn_page_print(const struct crn_page *page, enum crn_style style, const char *format, ...)
{
    static const char *const codes[] = {
        [CRN_STYLE_BOLD] = "\033[1m", [CRN_STYLE_BAD] = "\033[1;31m", [CRN_STYLE_WEAK] = "\033[2m"};
    bool is_styled = page->has_color && style != CRN_STYLE_PLAIN;
    va_list arguments;
    if (is_styled)
        fputs(codes[style], page->file);
    va_start(arguments, format);
    vfprintf(page->file, format, arguments);
    va_end(arguments);
    if (is_styled)
        fputs("\033[0m", page->file);
}

const char *crn_page_show(const struct crn_page *page, const char *text)
{
    return text == NULL ? "?" : crn_clean_line(page->store, text);
}

/* A function's or coroutine's name as a person reads it within a line. */
static const char *function_show(const struct crn_page *page, const char *name)
{
    return crn_name_shorten(page->store, crn_page_show(page, name), NAME_SHOWN_MAX);
}

void crn_page_sentence(const struct crn_page *page, int indent, const char *text)
{
    size_t column = (size_t)indent;
    for (bool is_first = true; *text != 0; is_first = false) {
        size_t length = strcspn(text, " ");
        if (!is_first && column + 1 + length > TEXT_COLUMNS)
            column = (size_t)fprintf(page->file, "\n%*s", indent, "") - 1;
        else if (!is_first)
            column += (size_t)fprintf(page->file, " ");
        fwrite(text, 1, length, page->file);
        column += length;
        text += length + strspn(text + length, " ");
    }
    fputc('\n', page->file);
}

const char *crn_page_number(const struct crn_page *page, uint64_t value)
{
    char text[CRN_AMOUNT_BYTES];
    return crn_store_text(page->store, crn_amount_number(text, value));
}

const char *crn_page_count(const struct crn_page *page, uint64_t count, const char *word)
{
    char text[CRN_AMOUNT_BYTES];
    return crn_store_text(page->store, crn_amount_count(text, count, word));
}

const char *crn_page_bytes(const struct crn_page *page, uint64_t bytes)
{
    char text[CRN_AMOUNT_BYTES];
    return crn_store_text(page->store, crn_amount_bytes(text, bytes));
}

const char *crn_page_base(const struct crn_page *page, const char *path)
{
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    return crn_page_show(page, slash != NULL && slash[1] != 0 ? slash + 1 : path);
}

/* Whether a frame is how every program, thread or coroutine begins, so that it tells nothing. */
static bool is_beginning(const struct crn_named_frame *frame)
{
    static const char *const names[] = {
        "_start",
        "__libc_start_main",
        "__libc_start_call_main",
        "__libc_start_main_impl",
        "start_thread",
        "clone",
        "clone3",
        "__clone",
        "__clone3",
        "__start_context",
    };
    for (unsigned i = 0; frame->function != NULL && i < CRN_COUNT_OF(names); i++) {
        size_t length = strlen(names[i]);
        if (strncmp(frame->function, names[i], length) == 0 &&
            (frame->function[length] == 0 || frame->function[length] == '@'))
            return true;
    }
    return false;
}

/*
 * How much of a stack is worth showing: all but its beginning, unless nothing else is there.  A
 * program without symbols has no name for its _start.
 */
static uint32_t stack_shown(const struct crn_stack *stack)
{
    uint32_t count = stack->count;
    if (count > 2 && stack->frames[count - 1]->function == NULL &&
        is_beginning(stack->frames[count - 2]))
        count--;
    while (count > 1 && is_beginning(stack->frames[count - 1]))
        count--;
    return count;
}

/* Where a frame is: its line, or at least its module; NULL when its name says that. */
static const char *frame_place(const struct crn_page *page, const struct crn_named_frame *frame)
{
    if (frame->file != NULL && frame->line != 0)
        return crn_store_print(page->store, "%s:%u", crn_page_show(page, frame->file), frame->line);
    if (frame->file != NULL)
        return crn_page_show(page, frame->file);
    return frame->function != NULL && frame->module != NULL ? crn_page_base(page, frame->module)
                                                            : NULL;
}

/* Its name, shortened so that the line holds the place as well. */
static const char *frame_show(const struct crn_page *page, const struct crn_named_frame *frame,
                              int indent)
{
    const char *place = frame_place(page, frame);
    size_t taken = (size_t)indent + (place != NULL ? 2 + strlen(place) : 0);
    size_t room = taken < LINE_COLUMNS ? LINE_COLUMNS - taken : 0;
    if (frame->function != NULL)
        return crn_name_shorten(page->store, crn_page_show(page, frame->function),
                                room > NAME_COLUMN_MAX ? room : NAME_COLUMN_MAX);
    if (frame->module == NULL)
        return crn_store_print(page->store, "%#llx", (unsigned long long)frame->offset);
    return crn_store_print(page->store, "%s+%#llx", crn_page_base(page, frame->module),
                           (unsigned long long)frame->offset);
}

static void frame_print(const struct crn_page *page, const struct crn_named_frame *frame,
                        int indent, int column)
{
    const char *place = frame_place(page, frame);
    fprintf(page->file, "%*s%-*s", indent, "", place != NULL ? column : 0,
            frame_show(page, frame, indent));
    if (place != NULL)
        crn_page_print(page, CRN_STYLE_WEAK, "  %s", place);
    fputc('\n', page->file);
}

/* A run of frames: once, and how often they come again. */
static void run_print(const struct crn_page *page, const struct crn_stack *stack,
                      const struct crn_run *run, int indent, int column)
{
    for (uint32_t i = 0; i < run->length; i++)
        frame_print(page, stack->frames[run->at + i], indent, column);
    if (run->times > 1)
        crn_page_print(page, CRN_STYLE_WEAK, "%*s... %s again, %s ...\n", indent, "",
                       run->length == 1
                           ? "the same"
                           : crn_store_print(page->store, "the same %u frames", run->length),
                       crn_page_count(page, run->times - 1, "time"));
}

/* How wide the column of its names is to be. */
static int run_width(const struct crn_page *page, const struct crn_stack *stack,
                     const struct crn_run *run, int indent)
{
    int widest = 0;
    for (uint32_t i = 0; i < run->length; i++) {
        const struct crn_named_frame *frame = stack->frames[run->at + i];
        int width = frame->function != NULL ? (int)strlen(frame_show(page, frame, indent)) : 0;
        if (width > widest && width <= NAME_COLUMN_MAX)
            widest = width;
    }
    return widest;
}

void crn_page_stack(const struct crn_page *page, const struct crn_stack *stack, int indent)
{
    uint32_t count = stack_shown(stack), cut = 0;
    if (page->frames_max != 0 && count > page->frames_max)
        count = page->frames_max;
    struct crn_run *runs = calloc(count + 1, sizeof *runs);
    if (runs == NULL)
        crn_out_of_memory();
    uint32_t runs_count = crn_stack_fold(stack, count, runs);
    bool is_cut = runs_count > INNER_FRAMES + OUTER_FRAMES + 1;
    int column = 0;
    for (uint32_t i = 0; i < runs_count; i++) {
        if (is_cut && i == INNER_FRAMES)
            i = runs_count - OUTER_FRAMES;
        int width = run_width(page, stack, &runs[i], indent);
        column = width > column ? width : column;
    }
    for (uint32_t i = 0; i < runs_count; i++) {
        if (is_cut && i == INNER_FRAMES) {
            for (; i < runs_count - OUTER_FRAMES; i++)
                cut += runs[i].length * runs[i].times;
            crn_page_print(page, CRN_STYLE_WEAK, "%*s... %u more frames ...\n", indent, "", cut);
        }
        run_print(page, stack, &runs[i], indent, column);
    }
    free(runs);
}

void crn_page_coroutine(const struct crn_page *page, const struct crn_coroutine *coroutine,
                        uint64_t count, size_t shown_in)
{
    fprintf(page->file, "    coroutine ");
    crn_page_print(page, CRN_STYLE_BOLD, "%s", function_show(page, coroutine->name));
    fprintf(page->file, " (%s, %s", crn_mechanism_words[coroutine->mechanism],
            crn_coro_state_words[coroutine->state]);
    if (count > 1)
        fprintf(page->file, ", %s alike", crn_page_number(page, count));
    fprintf(page->file, ")");
    if (shown_in != 0)
        fprintf(page->file, ", as in #%zu", shown_in);
    fputc('\n', page->file);
}

void crn_page_coroutine_stacks(const struct crn_page *page, const struct crn_coroutine *coroutine,
                               size_t creations)
{
    if (coroutine->created != NULL) {
        fprintf(page->file, "      created at");
        if (creations > 1)
            fprintf(page->file, " (one of %s)", crn_page_count(page, creations, "stack"));
        fputc('\n', page->file);
        crn_page_stack(page, coroutine->created, 8);
    }
    if (coroutine->suspended != NULL) {
        fprintf(page->file, "      stopped at\n");
        crn_page_stack(page, coroutine->suspended, 8);
    }
}

const char *crn_page_time(const struct crn_page *page, double seconds)
{
    static const struct {
        double below, unit;
        const char *format;
    } words[] = {{0.001, 1e-3, "%.1f ms"}, {1, 1e-3, "%.0f ms"},   {10, 1, "%.1f s"},
                 {120, 1, "%.0f s"},       {7200, 60, "%.0f min"}, {172800, 3600, "%.1f h"}};
    for (unsigned i = 0; i < CRN_COUNT_OF(words); i++)
        if (seconds < words[i].below)
            return crn_store_print(page->store, words[i].format, seconds / words[i].unit);
    double days = seconds / 86400;
    return days < 10000 ? crn_store_print(page->store, "%.1f days", days) : "years";
}

void crn_page_coroutine_bytes(const struct crn_page *page, const struct crn_coroutine *coroutine)
{
    bool has_frame = coroutine->mechanism == CRN_MECHANISM_CXX20, is_one = coroutine->count == 1;
    fprintf(page->file, "      %s%s of %s", has_frame ? "frame" : "stack", is_one ? "" : "s",
            crn_page_bytes(page, coroutine->stack_bytes));
    if (coroutine->touched_bytes != UINT64_MAX && !has_frame)
        fprintf(page->file, ", %s touched", crn_page_bytes(page, coroutine->touched_bytes));
    if (coroutine->retained_bytes != UINT64_MAX)
        fprintf(page->file, "; %s %s%s", is_one ? "holds" : "hold",
                coroutine->retained_bytes == 0 ? "nothing"
                                               : crn_page_bytes(page, coroutine->retained_bytes),
                is_one || coroutine->retained_bytes == 0 ? " alone" : ", each alone");
    if (coroutine->ages.oldest_s >= 0)
        fprintf(page->file, is_one ? "; %s old" : "; up to %s old",
                crn_page_time(page, coroutine->ages.oldest_s));
    fputc('\n', page->file);
}

static void root_print(const struct crn_page *page, const struct crn_link *link)
{
    const char *word = crn_root_words[link->root];
    if (link->root != CRN_ROOT_GLOBAL && link->name == NULL) {
        fprintf(page->file, "%s", word);
    } else if (link->root != CRN_ROOT_GLOBAL) {
        bool says_word = strncmp(link->name, word, strlen(word)) == 0; /* "kernel: epoll fd 5" */
        fprintf(page->file, "%s%s%s", says_word ? "" : word, says_word ? "" : " ",
                crn_page_show(page, link->name));
    } else if (link->name != NULL) {
        fprintf(page->file, "global ");
        crn_page_print(page, CRN_STYLE_BOLD, "%s", crn_page_show(page, link->name));
        if (link->offset != 0)
            fprintf(page->file, "+%llu", (unsigned long long)link->offset);
        fprintf(page->file, " in %s", crn_page_base(page, link->module));
    } else {
        fprintf(page->file, "global at %s+%#llx", crn_page_base(page, link->module),
                (unsigned long long)link->offset);
    }
}

/* Where a coroutine holds what a chain goes on with, which is a block of `bytes`. */
static void place_print(const struct crn_page *page, const struct crn_link *link, uint64_t bytes)
{
    const struct crn_coroutine *coroutine = link->coroutine;
    bool has_frame = coroutine != NULL && coroutine->mechanism == CRN_MECHANISM_CXX20;
    bool is_stack = coroutine != NULL && coroutine->count > 0 &&
                    bytes >= coroutine->stack_bytes / coroutine->count;
    if (link->name != NULL)
        fprintf(page->file, ", its %s", crn_page_show(page, link->name));
    if (link->offset != 0) /* of the stack, whose last word is never in use */
        fprintf(page->file, ", at +%llu", (unsigned long long)link->offset);
    else if (link->name == NULL)
        fprintf(page->file, ", its %s",
                has_frame       ? "frame"
                : !link->is_own ? "saved context"
                : is_stack      ? "stack"
                                : "control block");
}

void crn_page_place(const struct crn_page *page, const struct crn_chain *chain)
{
    if (chain->count >= 2 && chain->links[chain->count - 2].kind == CRN_LINK_CORO)
        place_print(page, &chain->links[chain->count - 2], chain->links[chain->count - 1].bytes);
}

static void link_print(const struct crn_page *page, const struct crn_link *link, uint64_t leaked,
                       const char *end)
{
    const char *coroutine = link->coroutine != NULL ? link->coroutine->name : NULL;
    switch (link->kind) {
    case CRN_LINK_ROOT:
        root_print(page, link);
        break;
    case CRN_LINK_BLOCK:
        fprintf(page->file, "block of %s", crn_page_bytes(page, link->bytes));
        if (link->allocated_in != NULL)
            fprintf(page->file, " from %s", function_show(page, link->allocated_in));
        fprintf(page->file, ", at +%llu", (unsigned long long)link->offset);
        break;
    case CRN_LINK_CORO:
        fprintf(page->file, "coroutine ");
        crn_page_print(page, CRN_STYLE_BOLD, "%s", function_show(page, coroutine));
        place_print(page, link, leaked);
        break;
    case CRN_LINK_LEAK:
        fprintf(page->file, "the %s of %s", end, crn_page_bytes(page, link->bytes));
        break;
    }
}

/* A list or a ring looks the same link after link. */
static bool links_are_alike(const struct crn_link *a, const struct crn_link *b)
{
    return a->kind == CRN_LINK_BLOCK && b->kind == CRN_LINK_BLOCK && a->bytes == b->bytes &&
           a->offset == b->offset && a->allocated_in != NULL && b->allocated_in != NULL &&
           strcmp(a->allocated_in, b->allocated_in) == 0;
}

void crn_page_chain(const struct crn_page *page, const struct crn_chain *chain, const char *end)
{
    if (chain->count == 0)
        return;
    fprintf(page->file, "    held by\n");
    bool is_cut = chain->count > FIRST_LINKS + LAST_LINKS + 1;
    for (uint32_t i = 0; i < chain->count; i++) {
        if (is_cut && i == FIRST_LINKS) {
            crn_page_print(page, CRN_STYLE_WEAK, "      ... %u more links ...\n",
                           chain->count - FIRST_LINKS - LAST_LINKS);
            i = chain->count - LAST_LINKS;
        }
        uint64_t more = 0, first = i;
        while (i + 1 < chain->count && links_are_alike(&chain->links[i], &chain->links[i + 1])) {
            i++;
            more += 1 + chain->links[i].skipped;
        }
        if (chain->links[first].skipped > 0)
            crn_page_print(page, CRN_STYLE_WEAK, "      ... %s ...\n",
                           crn_page_count(page, chain->links[first].skipped, "more link"));
        fprintf(page->file, "      %s", first == 0 ? "   " : "-> ");
        link_print(page, &chain->links[i], chain->links[chain->count - 1].bytes, end);
        if (more > 0)
            crn_page_print(page, CRN_STYLE_WEAK, " (and %s more like it)",
                           crn_page_number(page, more));
        fputc('\n', page->file);
    }
}
