/*
 * Global containers.  The mark is taken when the end begins, before destructors run, and a block
 * that a global holds then is live, whatever the destructors do afterwards: one container frees
 * its contents, the other leaves them, and neither is a leak.
 *
 * Blocks that a container had let go of before are lost.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frees
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE leaves
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE clears
 * EXPECT: lost       blocks=20 bytes=1280 allocated_in=make_session
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <vector>

struct session {
    char text[64];
};

struct owning_sessions {
    std::vector<session *> all;
    ~owning_sessions()
    {
        for (session *one : all)
            delete one;
    }
};

GLOBAL owning_sessions owning;
GLOBAL std::vector<session *> borrowing;

NOINLINE static session *make_session()
{
    session *fresh = new session;
    fill(fresh->text, sizeof fresh->text);
    return fresh;
}

NOINLINE static void open_sessions(bool owned)
{
    for (int i = 0; i < 20; i++)
        (owned ? owning.all : borrowing).push_back(make_session());
}

NOINLINE static void clear()
{
    for (session *&one : borrowing)
        one = nullptr;
    std::vector<session *>().swap(borrowing);
}

int main(int, char **argv)
{
    open_sessions(said(argv, "frees"));
    if (said(argv, "clears"))
        clear();
    wipe();
    return 0;
}
