/*
 * Exceptions through many frames; destructors, handlers and what is thrown allocate.
 *
 * STACKS: 50000
 * EVERY:  6
 * BUILD:  g++ -O0 -O2 -O3
 * BUILD:  g++ -O2 -fno-omit-frame-pointer
 * BUILD:  clang++ -O0 -O2
 */
#include "unwind.h"

#include <stdexcept>
#include <string>
#include <vector>

struct Allocates {
    std::string text;
    explicit Allocates(unsigned depth) : text(40 + depth % 50, 'x')
    {
    }
    ~Allocates()
    {
        ALLOCATE();
    }
};

NOINLINE static unsigned deeper(unsigned depth)
{
    Allocates guard(depth);
    if (depth == 0)
        throw std::runtime_error("the message is too long for the small string that it might be");
    if (depth % 11 == 3) {
        try {
            return deeper(depth - 1) + 1;
        } catch (const std::exception &error) {
            std::string copy = error.what();
            if (depth % 2 == 0)
                throw;
            throw std::logic_error(copy + guard.text);
        }
    }
    volatile char room[64];
    room[depth % 64] = 1;
    return deeper(depth - 1) + static_cast<unsigned char>(room[depth % 64]);
}

int main()
{
    std::vector<std::string> seen;
    for (unsigned i = 0; i < 400; i++) {
        try {
            deeper(random_below(120));
        } catch (const std::exception &error) {
            seen.push_back(error.what());
        }
        ALLOCATE();
    }
    return seen.size() == 400 ? 0 : 1;
}
