#include <pthread.h>
#include <unistd.h>

#include "bench/peers/stop.h"

static void stop(struct bench_thread *thread)
{
    pthread_cancel((pthread_t)thread->word[0]);
}

static void sleep_long(void)
{
    for (;;)
        sleep(3600);
}

static void unlock(void *mutex)
{
    pthread_mutex_unlock(mutex);
}

static void wait(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push(unlock, &mutex);
    pthread_cond_wait(&condition, &mutex);
    pthread_cleanup_pop(1);
}

static bool may_read(void)
{
    return true;
}

/* Where nothing at all is called, so it is defined. */
static bool may_compute(void)
{
    int old;
    return pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old) == 0;
}

/* It is not defined: the heap would be left as it happens to be. */
static bool may_allocate(void)
{
    return false;
}

const struct bench_stop_peer bench_stop_pthread = {
    .peer = { "pthread", "pthread_cancel; asynchronous where it computes, undefined in malloc" },
    .thread = &bench_thread_pthread,
    .stop = stop,
    .sleep = sleep_long,
    .wait = wait,
    .may_read = may_read,
    .may_compute = may_compute,
    .may_allocate = may_allocate,
};
