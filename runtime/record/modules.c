/*
 * Modules that were mapped once.  See modules.h.
 *
 * The history is a draft of its own, whose modules section is kept free of doubles.
 */
#include "record/modules.h"
#include "base/lock.h"
#include "base/sort.h"

#include <string.h>

static struct crn_lock lock;
static struct crn_draft history; /* what was seen, in order; guarded by the lock */

static struct crn_record_module *modules_of(const struct crn_draft *draft)
{
    return (struct crn_record_module *)draft->sections[CRN_SECTION_MODULES].rows;
}

static const char *text_of(const struct crn_draft *draft, uint32_t string)
{
    return draft->sections[CRN_SECTION_STRINGS].rows + string;
}

static bool is_same(const struct crn_draft *a, const struct crn_record_module *x,
                    const struct crn_draft *b, const struct crn_record_module *y)
{
    return x->start == y->start && x->end == y->end &&
           strcmp(text_of(a, x->path), text_of(b, y->path)) == 0 &&
           strcmp(text_of(a, x->build_id), text_of(b, y->build_id)) == 0;
}

/* Copies a module's row from one draft to another. */
static void module_copy(struct crn_draft *to, const struct crn_draft *from,
                        struct crn_record_module module)
{
    module.path = crn_draft_string(to, text_of(from, module.path));
    module.build_id = crn_draft_string(to, text_of(from, module.build_id));
    crn_draft_rows(to, CRN_SECTION_MODULES, &module, 1);
}

/* Forgets what the addresses of `module` meant before. */
static void overlapping_drop(struct crn_draft *draft, uint64_t start, uint64_t end)
{
    struct crn_draft_section *section = &draft->sections[CRN_SECTION_MODULES];
    struct crn_record_module *rows = modules_of(draft);
    size_t kept = 0;
    for (size_t i = 0; i < section->count; i++)
        if (rows[i].end <= start || rows[i].start >= end)
            rows[kept++] = rows[i];
    section->count = kept;
}

void crn_modules_note(int tid)
{
    struct crn_draft now;
    crn_draft_init(&now);
    crn_draft_modules(&now);
    crn_lock_acquire(&lock, tid);
    if (history.sections[CRN_SECTION_MODULES].row_bytes == 0)
        crn_draft_init(&history);
    for (size_t i = 0; i < now.sections[CRN_SECTION_MODULES].count; i++) {
        const struct crn_record_module *module = &modules_of(&now)[i];
        bool is_known = false;
        for (size_t j = 0; j < history.sections[CRN_SECTION_MODULES].count && !is_known; j++)
            is_known = is_same(&now, module, &history, &modules_of(&history)[j]);
        if (is_known)
            continue;
        overlapping_drop(&history, module->start, module->end);
        module_copy(&history, &now, *module);
    }
    crn_lock_release(&lock);
    crn_draft_free(&now);
}

static bool module_less(const void *a, const void *b)
{
    return ((const struct crn_record_module *)a)->start <
           ((const struct crn_record_module *)b)->start;
}

void crn_modules_add_gone(struct crn_draft *draft)
{
    size_t mapped = draft->sections[CRN_SECTION_MODULES].count;
    for (size_t i = 0; i < history.sections[CRN_SECTION_MODULES].count; i++) {
        const struct crn_record_module *module = &modules_of(&history)[i];
        bool is_free = true;
        for (size_t j = 0; j < mapped && is_free; j++)
            is_free = modules_of(draft)[j].end <= module->start ||
                      modules_of(draft)[j].start >= module->end;
        if (is_free)
            module_copy(draft, &history, *module);
    }
    crn_sort(modules_of(draft), draft->sections[CRN_SECTION_MODULES].count,
             sizeof(struct crn_record_module), module_less);
}

void crn_modules_after_fork(void)
{
    crn_lock_init(&lock);
}
