/*
 * Lists of asio's services, from memory that looks like one.
 */
#include <criterion/criterion.h>

#include <string.h>

#include "mark/rosters.h"

enum { NODES = 3, WORDS = 12, LINKS = 1 + 2 * NODES };

static struct crn_rosters rosters;
static uintptr_t service[WORDS], nodes[NODES][8], type[2], table[4];
static uintptr_t told[16];
static unsigned told_count;

static bool tell(uintptr_t address, void *user)
{
    (void)user;
    cr_assert(told_count < CRN_COUNT_OF(told));
    told[told_count++] = address;
    return true;
}

/* A service of a class by this name, whose list begins in its word number 10 as channels' does. */
static void make(const char *name)
{
    static char copy[128];
    memset(&rosters, 0, sizeof rosters);
    told_count = 0;
    type[1] = (uintptr_t)strcpy(copy, name);
    table[0] = 0;
    table[1] = (uintptr_t)type;
    service[0] = (uintptr_t)&table[2];
    service[10] = (uintptr_t)nodes[0];
    for (unsigned i = 0; i < NODES; i++) {
        nodes[i][4] = i + 1 < NODES ? (uintptr_t)nodes[i + 1] : 0;
        nodes[i][5] = i > 0 ? (uintptr_t)nodes[i - 1] : 0;
    }
}

static bool look(void)
{
    return crn_roster_links(&rosters, (uintptr_t)service, sizeof service, tell, NULL);
}

static const char CHANNELS[] =
    "N4asio12experimental6detail15channel_serviceINS_6detail10null_mutexEEE";

Test(rosters, every_link_of_a_list_of_channels_is_told)
{
    make(CHANNELS);
    cr_assert(look());
    cr_assert_eq(told_count, LINKS);
    cr_assert_eq(told[0], (uintptr_t)&service[10]);
    for (unsigned i = 0; i < NODES; i++) {
        cr_assert_eq(told[1 + 2 * i], (uintptr_t)&nodes[i][5]);
        cr_assert_eq(told[2 + 2 * i], (uintptr_t)&nodes[i][4]);
    }
}

Test(rosters, those_of_boost_are_known_too)
{
    make("N5boost4asio12experimental6detail15channel_serviceINS_4asio6detail10null_mutexEEE");
    cr_assert(look());
    cr_assert_eq(told_count, LINKS);
}

Test(rosters, a_list_that_does_not_lead_back_is_none)
{
    make(CHANNELS);
    nodes[1][5] = (uintptr_t)nodes[2];
    cr_assert(!look());
}

Test(rosters, nor_is_one_that_leads_out_of_memory)
{
    make(CHANNELS);
    nodes[1][4] = 24;
    cr_assert(!look());
}

Test(rosters, other_classes_keep_none)
{
    make("N4asio6detail15signal_set_serviceE");
    cr_assert(look());
    cr_assert_eq(told_count, 0);
    make("N5other15channel_serviceE");
    cr_assert(look());
    cr_assert_eq(told_count, 0);
}

Test(rosters, objects_without_a_class_keep_none)
{
    make(CHANNELS);
    const uintptr_t words[] = {0, 8, 4096, 12345, (uintptr_t)service, UINTPTR_MAX - 7};
    for (unsigned i = 0; i < CRN_COUNT_OF(words); i++) {
        service[0] = words[i];
        cr_assert(look());
    }
    cr_assert_eq(told_count, 0);
}

Test(rosters, memory_to_be_recycled_begins_with_its_size)
{
    unsigned char block[512] = {104};
    cr_assert(crn_roster_is_recycled((uintptr_t)block, 104 * 4 + 1));
    cr_assert(crn_roster_is_recycled((uintptr_t)block, 432)); /* rounded up to 16 */
    cr_assert(crn_roster_is_recycled((uintptr_t)block, 104 * 8 + 1));
    cr_assert(!crn_roster_is_recycled((uintptr_t)block, 104 * 4));
    cr_assert(!crn_roster_is_recycled((uintptr_t)block, 512));
    block[0] = 0;
    cr_assert(!crn_roster_is_recycled((uintptr_t)block, 1));
}
