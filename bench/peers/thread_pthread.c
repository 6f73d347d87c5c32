#include <pthread.h>

#include "bench/peers/thread.h"

static int start(struct bench_thread *thread, bench_body body, void *arg)
{
    pthread_t id;
    int error = pthread_create(&id, NULL, body, arg);
    thread->word[0] = (uintptr_t)id;
    return -error;
}

static void join(struct bench_thread *thread)
{
    pthread_join((pthread_t)thread->word[0], NULL);
}

const struct bench_thread_peer bench_thread_pthread = {
    .peer = { "pthread", NULL },
    .start = start,
    .join = join,
};
