/*
 * The last owner of a session was an element of a container that lives until the end, and was erased.
 * Its bytes stay behind in the container's memory and look like a holder; the container's end
 * takes them away.  A session that is still an element then is left behind, and no leak, whether its
 * address also stands where an element was before or not.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE vector
 * EXPECT: lost       blocks=10 indirect_blocks=10 total_blocks=20 confidence=likely
 * EXPECT: exit       status=0
 * LIVE:   none # they lose their holder later
 *
 * RUN:    coroner run --format=json --output=report.json $CASE vector; \
 *         grep -o 'erased elements of the container table' report.json
 * EXPECT: lost       total_blocks=20
 * EXPECT: stdout     /^erased elements of the container table\n$/
 *
 * RUN:    coroner run --format=json --output=report.json $CASE deque
 * EXPECT: lost       total_blocks=20 confidence=likely
 * EXPECT: exit       status=0
 * LIVE:   none # they lose their holder later
 *
 * RUN:    coroner run --format=json --output=report.json $CASE thread_local; \
 *         grep -o 'erased elements of a thread_local container' report.json
 * EXPECT: lost       total_blocks=20 confidence=likely
 * EXPECT: stdout     /^erased elements of a thread_local container\n$/
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json --strict $CASE member
 * EXPECT: lost       total_blocks=20 confidence=likely
 * EXPECT: exit       status=23
 * LIVE:   none # they lose their holder later
 *
 * RUN:    coroner run --format=json --output=report.json $CASE vector twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE deque twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE thread_local twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE shifted
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE queue
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE freed
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * A container that is never destroyed holds what its memory holds.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE immortal
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <deque>
#include <memory>
#include <vector>

/* Two that own each other: letting go of both from outside is a leak. */
struct session {
    std::shared_ptr<session> other;
    char text[100];
};

using owner = std::shared_ptr<session>;

struct registry {
    std::vector<owner> sessions;
};

GLOBAL std::vector<owner> table;
GLOBAL std::deque<owner> line;
static thread_local std::vector<owner> own_table;
GLOBAL std::vector<session *> plain;
GLOBAL std::deque<session *> plain_line;
GLOBAL std::vector<session *> *immortal;
GLOBAL std::unique_ptr<registry> owning;

NOINLINE static owner make_session()
{
    owner one = std::make_shared<session>(), other = std::make_shared<session>();
    one->other = other;
    other->other = one;
    return one;
}

template <class container> NOINLINE static void fill_up(container &sessions)
{
    for (int i = 0; i < 10; i++)
        sessions.push_back(make_session());
}

template <class container> NOINLINE static void let_go(container &sessions, bool keeps)
{
    if (!keeps)
        sessions.clear();
}

template <class container> NOINLINE static void fill_plain(container &sessions)
{
    for (int i = 0; i < 10; i++)
        sessions.push_back(new session);
}

/* The last element stands behind the end, too. */
NOINLINE static void shift()
{
    fill_plain(plain);
    delete plain.front();
    plain.erase(plain.begin());
}

/* Elements in the middle of a deque's memory. */
NOINLINE static void queue()
{
    fill_plain(plain_line);
    for (int i = 0; i < 3; i++) {
        delete plain_line.front();
        plain_line.pop_front();
    }
}

/* Freed by the one who took them, after the end has begun. */
static std::vector<session *> taken;
NOINLINE static void free_taken()
{
    for (session *one : taken)
        delete one;
}

NOINLINE static void take()
{
    fill_plain(plain);
    taken = plain;
    plain.clear();
    atexit(free_taken);
}

NOINLINE static void act(char **argv)
{
    bool keeps = said(argv, "twin");
    if (said(argv, "vector")) {
        fill_up(table);
        let_go(table, keeps);
    } else if (said(argv, "deque")) {
        fill_up(line);
        let_go(line, keeps);
    } else if (said(argv, "thread_local")) {
        fill_up(own_table);
        let_go(own_table, keeps);
    } else if (said(argv, "member")) {
        owning = std::make_unique<registry>();
        fill_up(owning->sessions);
        let_go(owning->sessions, false);
    } else if (said(argv, "shifted")) {
        shift();
    } else if (said(argv, "queue")) {
        queue();
    } else if (said(argv, "freed")) {
        take();
    } else {
        immortal = new std::vector<session *>;
        fill_plain(*immortal);
        immortal->clear();
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    act(argv);
    wipe();
    return 0;
}
