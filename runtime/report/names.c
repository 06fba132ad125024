/*
 * Names for people.  See names.h.
 *
 * Everything here reads names as demanglers and compilers print them: brackets nest, except in the
 * names of operators.  Functions that only the debugging information knows (gcc gives those no
 * linkage name whose type is local, say a lambda) stand there without their namespaces, so that a
 * library's are told by their file as well.
 */
#include "report/names.h"

#include <string.h>

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Where a name begins behind its return type, if it has one. */
static const char *name_begin(const char *text)
{
    const char *begin = text;
    int depth = 0;
    for (const char *p = text; *p != 0; p++) {
        if (depth == 0 && begins_with(p, "operator"))
            break;
        if (strchr("<({[", *p) != NULL)
            depth++;
        else if (strchr(">)}]", *p) != NULL)
            depth--;
        else if (*p == ' ' && depth == 0 && p[1] != '[' && p[1] != 0)
            begin = p + 1;
    }
    return begin;
}

static bool is_library_name(const char *text)
{
    static const char *const spaces[] = {
        "boost::", "std::", "asio::", "__gnu_cxx::", "__cxxabiv1::"};
    const char *name = name_begin(text);
    for (size_t i = 0; i < CRN_COUNT_OF(spaces); i++)
        if (begins_with(name, spaces[i]))
            return true;
    return strstr(name, "_fcontext") != NULL;
}

bool crn_frame_is_library(const struct crn_named_frame *frame)
{
    static const char *const folders[] = {"/include/boost/", "/include/c++/", "/include/asio/"};
    const char *slash = frame->module != NULL ? strrchr(frame->module, '/') : NULL;
    if (frame->function != NULL && is_library_name(frame->function))
        return true;
    for (size_t i = 0; frame->file != NULL && i < CRN_COUNT_OF(folders); i++)
        if (strstr(frame->file, folders[i]) != NULL)
            return true;
    return slash != NULL && (begins_with(slash, "/libboost_") || begins_with(slash, "/libstdc++."));
}

const struct crn_named_frame *crn_stack_point(const struct crn_stack *stack)
{
    for (uint32_t i = 0; i < stack->count; i++) {
        const char *module = stack->frames[i]->module;
        const char *slash = module != NULL ? strrchr(module, '/') : NULL;
        if (!crn_frame_is_library(stack->frames[i]) &&
            (slash == NULL || !begins_with(slash, "/libc.so.")))
            return stack->frames[i];
    }
    return stack->count > 0 ? stack->frames[0] : NULL;
}

const char *crn_name_of_frame(struct crn_store *store, const struct crn_named_frame *frame)
{
    if (frame->function != NULL)
        return frame->function;
    const char *slash = frame->module != NULL ? strrchr(frame->module, '/') : NULL;
    return crn_store_print(store, "%s+%#llx",
                           slash != NULL           ? slash + 1
                           : frame->module != NULL ? frame->module
                                                   : "?",
                           (unsigned long long)frame->offset);
}

/* The end of the bracket that opens at `open`; NULL: it does not close. */
static const char *bracket_end(const char *open)
{
    int depth = 0;
    for (const char *p = open; *p != 0; p++) {
        if (strchr("<({[", *p) != NULL)
            depth++;
        else if (strchr(">)}]", *p) != NULL && --depth == 0)
            return p + 1;
    }
    return NULL;
}

/* Where the name that ends at `end` begins within the text that begins at `text`. */
static const char *name_back(const char *text, const char *end)
{
    int depth = 0;
    for (const char *p = end; p > text; p--) {
        if (strchr(">)}]", p[-1]) != NULL)
            depth++;
        else if (strchr("<({[", p[-1]) != NULL && depth-- == 0)
            return p;
        else if (depth == 0 && (p[-1] == ',' || p[-1] == ' '))
            return p;
    }
    return text;
}

/*
 * The user's lambda that a name mentions, "start()::{lambda(int)#1}"; NULL: none.  In debugging
 * information it is "start()::<lambda(int)>".
 */
static const char *lambda_in(struct crn_store *store, const char *text)
{
    for (const char *at = text; (at = strstr(at, "lambda(")) != NULL; at++) {
        const char *open = at - 1;
        if (at - text < 3 || open[-1] != ':' || (*open != '<' && *open != '{'))
            continue;
        const char *begin = name_back(text, open), *end = bracket_end(open);
        if (end == NULL || begin == open || is_library_name(begin))
            continue;
        return crn_store_print(store, "%.*s{%.*s}", (int)(open - begin), begin, (int)(end - 1 - at),
                               at);
    }
    return NULL;
}

/* The function object that a fiber_record<context, stack, object> is for; NULL: the library's. */
static const char *object_in(struct crn_store *store, const char *text)
{
    static const char record[] = "fiber_record<";
    const char *open = strstr(text, record);
    const char *end = open != NULL ? bracket_end(open + sizeof record - 2) : NULL;
    if (end == NULL)
        return NULL;
    for (end--; end > open && end[-1] == ' '; end--)
        ;
    const char *begin = name_back(text, end);
    if (begin == end || is_library_name(begin) || memchr(begin, '(', (size_t)(end - begin)) != NULL)
        return NULL;
    return crn_store_print(store, "%.*s", (int)(end - begin), begin);
}

/* Whether a name is a call operator's whose class is not told. */
static bool is_bare_call(const char *name)
{
    static const char call[] = "operator()";
    return begins_with(name, call) && (name[sizeof call - 1] == 0 || name[sizeof call - 1] == '<');
}

/* A function object is called by its class. */
static const char *without_call(struct crn_store *store, const char *name)
{
    static const char call[] = "::operator()";
    const char *at = NULL;
    for (const char *next = name; (next = strstr(next, call)) != NULL; next++)
        at = next;
    if (at == NULL || (at[sizeof call - 1] != 0 && at[sizeof call - 1] != '<'))
        return name;
    return crn_store_print(store, "%.*s", (int)(at - name), name);
}

/* The name of the user's function in row `at`; whoever calls a lambda has it as an argument. */
static const char *user_name(struct crn_store *store, const struct crn_stack *stack, uint32_t at)
{
    const struct crn_named_frame *frame = stack->frames[at];
    if (!is_bare_call(frame->function))
        return crn_store_text(store, without_call(store, name_begin(frame->function)));
    for (uint32_t i = at + 1; i < stack->count; i++) {
        const char *function = stack->frames[i]->function;
        const char *lambda = function != NULL ? lambda_in(store, function) : NULL;
        if (lambda != NULL)
            return lambda;
    }
    const char *slash = frame->file != NULL ? strrchr(frame->file, '/') : NULL;
    return slash == NULL ? frame->function
                         : crn_store_print(store, "{lambda} %s:%u", slash + 1, frame->line);
}

const char *crn_name_of_coroutine(struct crn_store *store, const struct crn_named_frame *entry,
                                  const struct crn_stack *suspended)
{
    const char *library = NULL; /* the outermost name there is */
    if (!crn_frame_is_library(entry))
        return crn_name_of_frame(store, entry);
    for (uint32_t i = suspended != NULL ? suspended->count : 0; i-- > 0;) {
        const struct crn_named_frame *frame = suspended->frames[i];
        if (frame->function == NULL)
            continue;
        if (!crn_frame_is_library(frame))
            return user_name(store, suspended, i);
        if (library == NULL && strstr(frame->function, "_fcontext") == NULL)
            library = frame->function;
    }
    if (entry->function == NULL)
        return library != NULL ? library : crn_name_of_frame(store, entry);
    const char *name = lambda_in(store, entry->function);
    if (name == NULL)
        name = object_in(store, entry->function);
    return name != NULL ? name : entry->function;
}

/* Copies a name without what stands in its outermost <>; NULL: its brackets do not match. */
static const char *without_arguments(struct crn_store *store, const char *name)
{
    char *result = crn_store_bytes(store, 3 * strlen(name) + 1), *to = result;
    unsigned depth = 0;
    for (const char *p = name; *p != 0; p++) {
        bool is_operator = depth == 0 && p - name >= 8 && begins_with(p - 8, "operator");
        if (is_operator && strchr("<>-", *p) != NULL) { /* operator<<, operator->: no brackets */
            *to++ = *p;
            while (p[1] != 0 && strchr("<>=", p[1]) != NULL)
                *to++ = *++p;
        } else if (*p == '<') {
            if (depth++ == 0)
                to = stpcpy(to, "<...");
        } else if (*p == '>' && depth > 0) {
            if (--depth == 0)
                *to++ = '>';
        } else if (depth == 0) {
            *to++ = *p;
        }
    }
    *to = 0;
    return depth == 0 ? result : NULL;
}

/* Copies a name without the parameters of the functions that it stands in. */
static const char *without_parameters(struct crn_store *store, const char *name)
{
    char *result = crn_store_bytes(store, 3 * strlen(name) + 1), *to = result;
    for (const char *p = name; *p != 0; p++) {
        const char *end = *p == '(' ? bracket_end(p) : NULL;
        *to++ = *p;
        if (end == NULL || end - p <= 5 || begins_with(p, "(anonymous"))
            continue;
        to = stpcpy(to, "...)");
        p = end - 1;
    }
    *to = 0;
    return result;
}

const char *crn_name_shorten(struct crn_store *store, const char *name, size_t columns)
{
    if (strlen(name) <= columns)
        return name;
    const char *plain = without_arguments(store, name);
    if (plain == NULL)
        return name;
    return strlen(plain) <= columns ? plain : without_parameters(store, plain);
}
