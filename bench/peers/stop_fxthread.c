#include <fxthread.h>

#include "bench/peers/stop.h"

static void stop(struct bench_thread *thread)
{
    fx_thread_stop((fx_thread *)thread->word[0]);
}

static void sleep_long(void)
{
    fx_sleep(FX_SEC(3600));
}

static void wait(void)
{
    static fx_lock lock;
    static fx_condition condition;
    FX_WITH(&lock)
        fx_condition_wait(&condition, &lock);
}

/* With ThreadSanitizer only the library's own waits end. */
static bool may(void)
{
#if defined __SANITIZE_THREAD__
    return false;
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
    return false;
#else
    return true;
#endif
#else
    return true;
#endif
}

const struct bench_stop_peer bench_stop_fxthread = {
    .peer = { "fxthread", "fx_thread_stop" },
    .thread = &bench_thread_fxthread,
    .stop = stop,
    .sleep = sleep_long,
    .wait = wait,
    .may_read = may,
    .may_compute = may,
    .may_allocate = may,
};
