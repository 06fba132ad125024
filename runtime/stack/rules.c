/*
 * The table of compiled unwind rules.  See rules.h.
 *
 * Open addressing, growing by doubling under a lock; finding reads whatever table is current.  A
 * row is written value first, key last, and a flush empties it.  Whoever reads a row just then only
 * asks for addresses on its own stack, and code with a live call frame has not been unmapped.
 */
#include "stack/rules.h"
#include "base/lock.h"
#include "base/vm.h"

#include <dlfcn.h>
#include <string.h>

enum { ROWS_FIRST = 2048 };

struct row {
    _Atomic uintptr_t key; /* 0: empty, 1: being written */
    _Atomic uint64_t rule;
};
struct table {
    size_t mask;
    _Atomic size_t count;
    struct row rows[];
};

_Atomic uint32_t crn_rules_epoch;

static struct table *_Atomic current;
static struct crn_lock lock; /* guards growing and flushing */

static uint64_t pack(struct crn_rule rule)
{
    uint64_t word;
    memcpy(&word, &rule, sizeof word);
    return word;
}

static struct crn_rule unpack(uint64_t word)
{
    struct crn_rule rule;
    memcpy(&rule, &word, sizeof rule);
    return rule;
}

static struct table *table_make(size_t rows)
{
    struct table *table = crn_vm_map(sizeof *table + rows * sizeof table->rows[0]);
    if (table != NULL)
        table->mask = rows - 1;
    return table;
}

static void table_put(struct table *table, uintptr_t key, uint64_t rule)
{
    for (size_t at = crn_hash64(key) & table->mask;; at = (at + 1) & table->mask) {
        struct row *row = &table->rows[at];
        uintptr_t seen = row->key;
        if (seen == key)
            return;
        if (seen == 0 && atomic_compare_exchange_strong_explicit(
                             &row->key, &seen, 1, memory_order_acquire, memory_order_acquire)) {
            row->rule = rule;
            atomic_store_explicit(&row->key, key, memory_order_release);
            table->count++;
            return;
        }
        /* Somebody is writing this row, perhaps with our key: a second row does no harm. */
    }
}

static void table_grow(struct table *seen)
{
    if (!crn_lock_try(&lock))
        return;
    struct table *fresh = NULL;
    if (current == seen)
        fresh = table_make(seen == NULL ? ROWS_FIRST : (seen->mask + 1) * 2);
    if (fresh != NULL) {
        for (size_t i = 0; seen != NULL && i <= seen->mask; i++)
            if (seen->rows[i].key > 1)
                table_put(fresh, seen->rows[i].key, seen->rows[i].rule);
        atomic_store_explicit(&current, fresh, memory_order_release);
        /* The old table stays mapped: a reader may be in it. */
    }
    crn_lock_release(&lock);
}

struct crn_rule crn_rule_get(uintptr_t address)
{
    struct table *table = atomic_load_explicit(&current, memory_order_acquire);
    if (CRN_LIKELY_TRUE(table != NULL)) {
        size_t at = crn_hash64(address) & table->mask;
        for (;; at = (at + 1) & table->mask) {
            uintptr_t key = atomic_load_explicit(&table->rows[at].key, memory_order_acquire);
            if (CRN_LIKELY_TRUE(key == address))
                return unpack(table->rows[at].rule);
            if (key == 0)
                break;
        }
    }
    struct crn_rule rule = crn_rule_compile(address);
    struct dl_find_object object;
    if (rule.kind == CRN_RULE_NONE && _dl_find_object((void *)address, &object) != 0)
        return rule; /* a JIT's, and perhaps a library's tomorrow */
    if (table == NULL || table->count * 2 > table->mask) {
        table_grow(table);
        table = atomic_load_explicit(&current, memory_order_acquire);
    }
    if (table != NULL && table->count * 4 < table->mask * 3)
        table_put(table, address, pack(rule));
    return rule;
}

void crn_rules_flush(void)
{
    while (!crn_lock_try(&lock))
        __builtin_ia32_pause();
    /*
     * In place: a new table for each dlclose would pile up, and lie where the next module might.
     * A row that another thread writes meanwhile stays: it is for code that thread is running.
     */
    struct table *table = current;
    for (size_t i = 0; table != NULL && i <= table->mask; i++)
        if (table->rows[i].key > 1)
            atomic_store_explicit(&table->rows[i].key, 0, memory_order_release);
    if (table != NULL)
        table->count = 0;
    crn_rules_epoch++;
    crn_lock_release(&lock);
}

void crn_rules_after_fork(void)
{
    crn_lock_init(&lock);
}
