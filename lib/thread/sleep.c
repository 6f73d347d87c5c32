#include <fxthread/thread.h>

#include "park/park.h"
#include "stop/stop.h"

int fx_sleep_until(fx_deadline deadline)
{
    return fxi_stop_point(fxi_park_until(deadline));
}

int fx_sleep(fx_nsec duration)
{
    return fx_sleep_until(fx_deadline_after(duration));
}
