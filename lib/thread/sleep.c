#include <fxthread/thread.h>

#include "park/park.h"

int fx_sleep_until(fx_deadline deadline)
{
    return fxi_park_until(deadline);
}

int fx_sleep(fx_nsec duration)
{
    return fx_sleep_until(fx_deadline_after(duration));
}
