/* The plugin of throwing_plugin.c: it throws through the program's callback and catches. */
#include <stdexcept>
#include <string>

extern "C" int catch_all(void (*call_back)(void (*)(int), int));

static void throw_value(int value)
{
    std::string message(64, 'x');
    if (value % 2 == 0)
        throw std::runtime_error(message + std::to_string(value));
    throw value;
}

int catch_all(void (*call_back)(void (*)(int), int))
{
    int caught = 0;
    for (int value = 0; value < 200; value++) {
        try {
            try {
                call_back(throw_value, value);
            } catch (const std::runtime_error &) {
                throw; /* on through this frame */
            }
        } catch (const std::exception &) {
            caught++;
        } catch (int) {
            caught++;
        }
    }
    return caught;
}
