/*
 * Scopes.  See scope.h.
 */
#include "coro/scope.h"

#include <string.h>

enum { SCOPES_MAX = 1 << 22 };

struct crn_scopes crn_scopes;

bool crn_scopes_init(void)
{
    crn_scopes.made = 1;
    return crn_span_init(&crn_scopes.rows, SCOPES_MAX * sizeof(struct crn_scope)) &&
           crn_span_ensure(&crn_scopes.rows, sizeof(struct crn_scope));
}

/* It has ended; does anything still say that it belongs to it? */
static bool is_empty(const struct crn_scope *scope)
{
    return scope->live_blocks <= 0 && scope->live_coros <= 0 && scope->children == 0;
}

static void parent_leave_locked(struct crn_scope *scope)
{
    if (scope->parent != 0)
        crn_scope_at(scope->parent)->children--;
    scope->parent = 0;
}

static void free_push_locked(uint32_t number)
{
    crn_scope_at(number)->next_free = 0;
    if (crn_scopes.free_count++ == 0)
        crn_scopes.free_first = number;
    else
        crn_scope_at(crn_scopes.free_last)->next_free = number;
    crn_scopes.free_last = number;
}

static uint32_t free_pop_locked(void)
{
    uint32_t number = crn_scopes.free_first;
    crn_scopes.free_first = crn_scope_at(number)->next_free;
    crn_scopes.free_count--;
    return number;
}

/*
 * An ended row rests a while, since a thread may still take it for its current one; one that
 * something belongs to goes to the end of the queue again.
 */
static uint32_t row_take_locked(void)
{
    enum { TRIED_MAX = 16, REST_ROWS = 256 };
    for (unsigned tried = 0; tried < TRIED_MAX && crn_scopes.free_count > REST_ROWS; tried++) {
        uint32_t number = free_pop_locked();
        if (is_empty(crn_scope_at(number))) {
            parent_leave_locked(crn_scope_at(number));
            return number;
        }
        free_push_locked(number);
    }
    uint32_t number = crn_scopes.made;
    if ((uint64_t)number + 1 >= CRN_OWNER_SCOPE ||
        !crn_span_ensure(&crn_scopes.rows, ((size_t)number + 1) * sizeof(struct crn_scope)))
        return 0;
    crn_scopes.made = number + 1;
    return number;
}

uint32_t crn_scope_begin(uint32_t parent, const char *name, int tid)
{
    if (crn_scopes.rows.base == NULL)
        return 0;
    crn_lock_acquire(&crn_scopes.lock, tid);
    uint32_t number = row_take_locked();
    if (number != 0) {
        struct crn_scope *scope = crn_scope_at(number);
        scope->generation++;
        scope->name = name;
        scope->parent = parent;
        scope->live_blocks = 0;
        scope->live_coros = 0;
        scope->children = 0;
        if (parent != 0)
            crn_scope_at(parent)->children++;
    }
    crn_lock_release(&crn_scopes.lock);
    return number;
}

uint64_t crn_scope_handle(uint32_t number)
{
    return number == 0 ? 0 : (uint64_t)crn_scope_at(number)->generation << 32 | number;
}

bool crn_scope_end(uint64_t handle, int tid, uint32_t *orphans)
{
    *orphans = 0;
    crn_lock_acquire(&crn_scopes.lock, tid);
    uint32_t number = crn_scope_number(handle);
    if (number == 0) {
        crn_lock_release(&crn_scopes.lock);
        return false;
    }
    struct crn_scope *scope = crn_scope_at(number);
    uint32_t parent = scope->parent;
    scope->generation++; /* even: ended */
    for (uint32_t i = 1; i < crn_scopes.made && scope->children > 0; i++) {
        struct crn_scope *child = crn_scope_at(i);
        if (child->parent != number)
            continue;
        child->parent = parent;
        scope->children--;
        if (parent != 0)
            crn_scope_at(parent)->children++;
        *orphans += child->generation & 1;
    }
    if (is_empty(scope))
        parent_leave_locked(scope);
    free_push_locked(number);
    crn_lock_release(&crn_scopes.lock);
    return true;
}

bool crn_scope_is_inside(uint32_t number, uint32_t scope)
{
    for (; number != 0; number = crn_scope_at(number)->parent)
        if (number == scope)
            return true;
    return false;
}

bool crn_owner_is_inside(uint32_t owner, uint32_t scope)
{
    if (scope == 0)
        return true;
    return (owner & CRN_OWNER_SCOPE) != 0 && owner != CRN_OWNER_IGNORED &&
           crn_scope_is_inside(owner & ~CRN_OWNER_SCOPE, scope);
}

uint32_t crn_scope_current(const struct crn_thread *thread)
{
    return crn_scope_number((uint64_t)thread->task.scope_generation << 32 | thread->task.scope);
}

enum { ROOTS_MAX = 1 << 16 };

bool crn_region_root_add(struct crn_range range, int tid)
{
    crn_lock_acquire(&crn_scopes.lock, tid);
    if (crn_scopes.roots == NULL)
        crn_scopes.roots = crn_vm_map(ROOTS_MAX * sizeof *crn_scopes.roots);
    bool has_room = crn_scopes.roots != NULL && crn_scopes.root_count < ROOTS_MAX;
    if (has_room)
        crn_scopes.roots[crn_scopes.root_count++] = range;
    crn_lock_release(&crn_scopes.lock);
    return has_room;
}

bool crn_region_root_remove(struct crn_range range, int tid)
{
    bool is_found = false;
    crn_lock_acquire(&crn_scopes.lock, tid);
    for (uint32_t i = 0; i < crn_scopes.root_count && !is_found; i++) {
        is_found = crn_scopes.roots[i].start == range.start && crn_scopes.roots[i].end == range.end;
        if (is_found)
            crn_scopes.roots[i] = crn_scopes.roots[--crn_scopes.root_count];
    }
    crn_lock_release(&crn_scopes.lock);
    return is_found;
}

void crn_scopes_after_fork(void)
{
    crn_lock_init(&crn_scopes.lock);
}
