// A module with a thread_local object, which counts its constructions and destructions.
#include <atomic>

namespace {

std::atomic<int> constructed, destroyed;

struct Counted {
    int touched = 0;
    Counted() { ++constructed; }
    ~Counted()
    {
        touched = -1000;
        ++destroyed;
    }
};

thread_local Counted mine;

} // namespace

extern "C" __attribute__((visibility("default"))) int module_cxx_touch()
{
    return ++mine.touched;
}

extern "C" __attribute__((visibility("default"))) int module_cxx_constructed()
{
    return constructed;
}

extern "C" __attribute__((visibility("default"))) int module_cxx_destroyed()
{
    return destroyed;
}
