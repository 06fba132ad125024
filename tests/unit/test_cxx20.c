/*
 * Coroutine frames of every compiler at hand, at every level: the recogniser finds each one and
 * says in which state it is; and it finds none in blocks that look alike.  So it does without
 * symbols, where it may miss some that have ended.
 */
#include <criterion/criterion.h>

#include <dlfcn.h>
#include <glob.h>
#include <malloc.h>
#include <string.h>

#include "base/maps.h"
#include "coro/cxx20.h"

struct made {
    const char *name;
    void *block;
    bool is_frame, is_final;
    unsigned offset;
    bool needs_names;
};

enum { ROWS_MAX = 64, RANGES_MAX = 4096 };

static struct made rows[ROWS_MAX];
static struct crn_range ranges[RANGES_MAX];
static struct crn_code code;
static struct crn_arena arena;
static struct crn_cxx20 cxx20;

static bool code_visit(const struct crn_map_entry *entry, void *user)
{
    (void)user;
    if ((entry->flags & CRN_MAP_EXECUTE) != 0 && (entry->flags & CRN_MAP_READ) != 0 &&
        code.count < RANGES_MAX)
        ranges[code.count++] = (struct crn_range){entry->start, entry->end};
    return true;
}

static void begin(void)
{
    code = (struct crn_code){ranges, 0};
    cr_assert(crn_maps_for_each(code_visit, NULL));
    cr_assert(crn_cxx20_init(&cxx20, &arena, &code, 1000));
}

static void library_check(const char *path)
{
    bool is_stripped = strstr(path, "stripped") != NULL;
    void *library = dlopen(path, RTLD_NOW);
    cr_assert(library != NULL, "%s", dlerror());
    size_t (*frames_make)(struct made *) = (size_t(*)(struct made *))dlsym(library, "frames_make");
    size_t count = frames_make(rows);
    cr_assert(count <= ROWS_MAX);
    begin();
    for (size_t i = 0; i < count; i++) {
        struct crn_cxx20_frame frame = {0};
        bool is_found =
            crn_cxx20_find(&cxx20, rows[i].block, malloc_usable_size(rows[i].block), &frame);
        if (!is_found && is_stripped && rows[i].needs_names)
            continue;
        cr_expect(is_found == rows[i].is_frame, "%s: %s is%s recognised", path, rows[i].name,
                  is_found ? "" : " not");
        if (!is_found || !rows[i].is_frame)
            continue;
        cr_expect(frame.is_final == rows[i].is_final, "%s: %s is%s at its end", path, rows[i].name,
                  frame.is_final ? "" : " not");
        cr_expect(strstr(path, "/g++") == NULL || frame.is_final ||
                      cxx20.kinds[frame.kind].stopped_at != 0,
                  "%s: %s stopped at an unknown place", path, rows[i].name);
        cr_expect(frame.offset == rows[i].offset, "%s: %s has offset %u", path, rows[i].name,
                  frame.offset);
    }
}

Test(cxx20, frames_of_every_compiler_are_told_from_other_blocks)
{
    glob_t found;
    cr_assert(glob(CORONER_FRAMES "/*.so", 0, NULL, &found) == 0, "no libraries were built");
    for (size_t i = 0; i < found.gl_pathc; i++)
        library_check(found.gl_pathv[i]);
    globfree(&found);
}

Test(cxx20, words_that_only_point_to_code_are_no_frame)
{
    uintptr_t block[8] = {0};
    struct crn_cxx20_frame frame;
    begin();
    block[0] = (uintptr_t)library_check;
    block[1] = (uintptr_t)code_visit;
    cr_assert(!crn_cxx20_find(&cxx20, block, sizeof block, &frame));
    block[0] = 0;
    cr_assert(!crn_cxx20_find(&cxx20, block, sizeof block, &frame));
    block[1] = (uintptr_t)code_visit + 1;
    cr_assert(!crn_cxx20_find(&cxx20, block, sizeof block, &frame));
    block[1] = (uintptr_t)dlopen;
    block[0] = (uintptr_t)begin;
    cr_assert(!crn_cxx20_find(&cxx20, block, sizeof block, &frame));
}

Test(cxx20, a_block_too_small_for_a_frame_is_not_read_past_its_end)
{
    uintptr_t block[2] = {(uintptr_t)library_check, (uintptr_t)code_visit};
    struct crn_cxx20_frame frame;
    begin();
    cr_assert(!crn_cxx20_find(&cxx20, block, sizeof block, &frame));
}
