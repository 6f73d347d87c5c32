#include <fxthread/duration.h>

#include <time.h>

fx_deadline fx_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (fx_deadline)now.tv_sec * 1000000000 + now.tv_nsec;
}

fx_deadline fx_deadline_after(fx_nsec duration)
{
    if (duration == FX_FOREVER)
        return FX_FOREVER;
    fx_deadline now = fx_now();
    if (duration <= 0)
        return now;
    return duration > INT64_MAX - now ? INT64_MAX : now + duration;
}
