#include <errno.h>
#include <glib.h>

#include "bench/peers/thread.h"

static int start(struct bench_thread *thread, bench_body body, void *arg)
{
    GThread *handle = g_thread_try_new(NULL, body, arg, NULL);
    thread->word[0] = (uintptr_t)handle;
    return handle ? 0 : -EAGAIN;
}

static void join(struct bench_thread *thread)
{
    g_thread_join((GThread *)thread->word[0]);
}

const struct bench_thread_peer bench_thread_glib = {
    .peer = { "glib", "g_thread_try_new() and g_thread_join(), which stand on pthread" },
    .start = start,
    .join = join,
};
