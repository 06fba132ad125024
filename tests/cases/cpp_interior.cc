/*
 * C++ often holds an object by an address that is not its start: a base class that is not the
 * first one, an array of objects behind its count, the characters of a string.  They are live; when
 * that address is forgotten they are lost.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE forget
 * EXPECT: lost       total_blocks=7 confidence=proven
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <memory>
#include <string>
#include <vector>

namespace {

struct first {
    virtual ~first() = default;
    long a = 1;
};
struct second {
    virtual ~second() = default;
    long b = 2;
};
struct both : first, second {
    long c[3] = {};
};
struct counted {
    ~counted()
    {
        value = 0;
    }
    volatile int value = 7;
};

GLOBAL second *by_second_base;
GLOBAL counted *array;
GLOBAL std::string *text;
GLOBAL std::vector<std::unique_ptr<both>> *vector;

NOINLINE void make_all()
{
    by_second_base = new both;
    array = new counted[20];
    text = new std::string(100, 't'); /* itself, and its characters */
    vector = new std::vector<std::unique_ptr<both>>;
    vector->push_back(std::make_unique<both>()); /* itself, its room, the object */
}

} // namespace

int main(int, char **argv)
{
    make_all();
    if (said(argv, "forget")) {
        by_second_base = nullptr;
        array = nullptr;
        text = nullptr;
        vector = nullptr;
    }
    wipe();
    return 0;
}
