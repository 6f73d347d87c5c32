#include <errno.h>
#include <fxthread.h>

#include "bench/peers/thread.h"

static int start(struct bench_thread *thread, bench_body body, void *arg)
{
    fx_thread *handle = fx_thread_spawn(body, arg);
    thread->word[0] = (uintptr_t)handle;
    return handle ? 0 : -errno;
}

static void join(struct bench_thread *thread)
{
    fx_thread *handle = (fx_thread *)thread->word[0];
    fx_thread_join(handle, NULL);
    fx_thread_unref(handle);
}

const struct bench_thread_peer bench_thread_fxthread = {
    .peer = { "fxthread", NULL },
    .start = start,
    .join = join,
};
