/*
 * The lists of asio's services.  See rosters.h.
 */
#include "mark/rosters.h"
#include "base/sys.h"

#include <string.h>

/* Where the list begins in the service, and where a node leads on and back. */
static const struct kind {
    const char *name; /* of the class, as it is mangled, with the length before it */
    uint16_t head, next, previous; /* 0: it keeps none */
    uint16_t vector; /* where it keeps one; 0: nowhere */
} kinds[] = {
    {"15channel_service", 80, 32, 40, 0},
    {"23strand_executor_service", 1632, 48, 56, 0},
    {"13epoll_reactor", 200, 24, 32, 0},
    {"22deadline_timer_service", 56, 24, 32, 64}, /* its heap of timers */
    {"6detail9schedulerE", 0, 0, 0, 0},
};
static const char SPACE[] = "4asio";

enum {
    LOOKED_MAX = 4096,
    LEAST_BYTES = 88,
    MOST_BYTES = 4096,
    NAME_BYTES = 96,
    NODES_MAX = 1 << 14
};

/* The name of the class of an object whose first word this is; false: there is none. */
static bool class_name_read(uintptr_t table, char name[NAME_BYTES])
{
    uintptr_t before[2], type[2]; /* offset to the top, type; the type's own table, its name */
    if (!crn_memory_read(before, table - sizeof before, sizeof before) || before[0] != 0 ||
        before[1] % sizeof(uintptr_t) != 0 || !crn_memory_read(type, before[1], sizeof type))
        return false;
    size_t bytes = NAME_BYTES - 1;
    while (bytes > 8 && !crn_memory_read(name, type[1], bytes))
        bytes /= 2; /* it may stand at the end of its mapping */
    name[bytes] = 0;
    return bytes > 8;
}

static uint8_t kind_of(uintptr_t table)
{
    char name[NAME_BYTES];
    if (!class_name_read(table, name))
        return 0;
    const char *space = strstr(name, SPACE);
    for (uint8_t i = 0; space != NULL && i < CRN_COUNT_OF(kinds); i++)
        if (strstr(space, kinds[i].name) != NULL)
            return i + 1;
    return 0;
}

/* What the memo says of a word, or memory does. */
static uint8_t kind_get(struct crn_rosters *rosters, uintptr_t table)
{
    size_t at = crn_hash64(table) & (((size_t)1 << CRN_ROSTER_MEMO_BITS) - 1);
    if (rosters->words[at] == table)
        return rosters->kinds[at];
    if (rosters->looked == LOOKED_MAX)
        return 0;
    rosters->looked++;
    rosters->words[at] = table;
    return rosters->kinds[at] = kind_of(table);
}

static bool word_read(uintptr_t at, uintptr_t *word)
{
    return at % sizeof *word == 0 && crn_memory_read(word, at, sizeof *word);
}

/* The kind of service that a block is; NULL: none. */
static const struct kind *service_find(struct crn_rosters *rosters, uintptr_t start, size_t bytes)
{
    uintptr_t table;
    if (bytes < LEAST_BYTES || bytes > MOST_BYTES)
        return NULL;
    memcpy(&table, (const void *)start, sizeof table);
    if (table % sizeof table != 0 || table < CRN_PAGE_BYTES || table > CRN_ADDRESS_MASK)
        return NULL;
    uint8_t number = kind_get(rosters, table);
    return number != 0 && kinds[number - 1].head + sizeof table <= bytes ? &kinds[number - 1]
                                                                         : NULL;
}

uintptr_t crn_roster_vector(struct crn_rosters *rosters, uintptr_t start, size_t bytes)
{
    const size_t vector_bytes = 3 * sizeof(uintptr_t);
    const struct kind *kind = service_find(rosters, start, bytes);
    return kind != NULL && kind->vector != 0 && kind->vector + vector_bytes <= bytes
               ? start + kind->vector
               : 0;
}

bool crn_roster_links(struct crn_rosters *rosters, uintptr_t start, size_t bytes,
                      bool (*link)(uintptr_t address, void *user), void *user)
{
    uintptr_t node, previous = 0, word;
    const struct kind *kind = service_find(rosters, start, bytes);
    if (kind == NULL || kind->head == 0)
        return true;
    if (!word_read(start + kind->head, &node) || !link(start + kind->head, user))
        return false;
    for (unsigned i = 0; node != 0; i++) {
        if (i == NODES_MAX || !word_read(node + kind->previous, &word) || word != previous ||
            !link(node + kind->previous, user) || !word_read(node + kind->next, &word) ||
            !link(node + kind->next, user))
            return false;
        previous = node;
        node = word;
    }
    return true;
}

bool crn_roster_is_scheduler(struct crn_rosters *rosters, uintptr_t start, size_t bytes)
{
    return service_find(rosters, start, bytes) == &kinds[CRN_COUNT_OF(kinds) - 1];
}

bool crn_roster_is_recycled(uintptr_t start, size_t size)
{
    const size_t units[] = {4, 8}; /* with io_uring */
    unsigned char count;
    memcpy(&count, (const void *)start, 1);
    for (unsigned i = 0; i < CRN_COUNT_OF(units); i++) {
        size_t made = count * units[i] + 1;
        if (count > 0 && (size == made || size == crn_align_up(made, 16)))
            return true;
    }
    return false;
}
