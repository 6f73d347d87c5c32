#include "context/program_exit.h"

#include <errno.h>
#include <stdlib.h>

#include "base/atomic.h"
#include "context/hooks.h"

static bool armed;

static void program_exits(void)
{
    fxi_store_relaxed(&armed, false);
    fxi_hooks_program_exit();
}

int fxi_program_exit_arm(void)
{
    if (fxi_load_relaxed(&armed) || __atomic_exchange_n(&armed, true, __ATOMIC_RELAXED))
        return 0;
    if (atexit(program_exits) == 0)
        return 0;
    fxi_store_relaxed(&armed, false);
    return -ENOMEM;
}
