#include <fxthread.h>

#include "bench/peers/event.h"

static fx_event event, turn[2];
static fx_once once = FX_ONCE_INIT;

static void do_nothing(void *arg)
{
    (void)arg;
}

static void looks(long n)
{
    fx_event_set(&event);
    for (long i = 0; i < n; i++)
        bench_use(fx_event_is_set(&event));
}

static void calls(long n)
{
    for (long i = 0; i < n; i++)
        bench_use(fx_once_call(&once, do_nothing, NULL));
}

static void give(int side)
{
    fx_event_set(&turn[side]);
}

static void take(int side)
{
    fx_event_wait(&turn[side]);
    fx_event_clear(&turn[side]);
}

const struct bench_event_peer bench_event_fxthread = {
    .peer = { "fxthread", "fx_event, fx_once" },
    .looks = looks,
    .calls = calls,
    .handoff = { give, take },
};
