/*
 * Reads call-site tables.  See landing.h.
 */
#include "code/landing.h"
#include "base/sys.h"
#include "stack/rules.h"

enum { OMITTED = 0xff, ULEB = 0x01, UDATA4 = 0x03, WINDOW_BYTES = 512 };

/* Bytes of the table, read through a window: the module's memory need not be there. */
struct table {
    uintptr_t at;
    uintptr_t start, end; /* what the window holds */
    uint8_t window[WINDOW_BYTES];
    bool failed;
};

static uint8_t byte_read(struct table *table)
{
    if (table->at < table->start || table->at >= table->end) {
        size_t bytes = WINDOW_BYTES;
        while (bytes != 0 && !crn_memory_read(table->window, table->at, bytes))
            bytes /= 2;
        table->start = table->at;
        table->end = table->at + bytes;
        if (bytes == 0) {
            table->failed = true;
            return 0;
        }
    }
    return table->window[table->at++ - table->start];
}

static uint64_t uleb_read(struct table *table)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !table->failed; shift += 7) {
        uint64_t byte = byte_read(table);
        value |= (byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    table->failed = true;
    return 0;
}

/* An offset in the table's encoding: the two that compilers use. */
static uint64_t offset_read(struct table *table, uint8_t encoding)
{
    uint64_t value = 0;
    if (encoding == ULEB)
        return uleb_read(table);
    if (encoding != UDATA4)
        table->failed = true;
    for (unsigned shift = 0; shift < 32; shift += 8)
        value |= (uint64_t)byte_read(table) << shift;
    return value;
}

enum crn_landing crn_landing_find(uintptr_t start, uintptr_t call, uintptr_t *landing)
{
    struct table table = {.at = crn_function_lsda(call)};
    if (table.at == 0)
        return CRN_LANDING_NONE;
    if (byte_read(&table) != OMITTED)
        return CRN_LANDING_UNKNOWN; /* pads relative to another place */
    if (byte_read(&table) != OMITTED)
        uleb_read(&table);
    uint8_t encoding = byte_read(&table);
    uint64_t bytes = uleb_read(&table);
    uintptr_t end = table.at + bytes;
    while (!table.failed && table.at < end) {
        uint64_t from = offset_read(&table, encoding), length = offset_read(&table, encoding);
        uint64_t pad = offset_read(&table, encoding);
        uleb_read(&table); /* what to do there */
        if (call - start < from)
            break; /* the rows ascend */
        if (call - start - from < length) {
            *landing = start + pad;
            return table.failed ? CRN_LANDING_UNKNOWN
                   : pad == 0   ? CRN_LANDING_NONE
                                : CRN_LANDING_AT;
        }
    }
    return table.failed ? CRN_LANDING_UNKNOWN : CRN_LANDING_NONE;
}
