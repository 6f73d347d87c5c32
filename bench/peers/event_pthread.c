#include <pthread.h>
#include <stdbool.h>

#include "bench/peers/event.h"

/* As Python makes its events: a flag, a mutex and a condition. */
struct event {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool set;
};

static struct event event = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, true };
static struct event turn[2] = {
    { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false },
    { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false },
};
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void do_nothing(void)
{
}

static void looks(long n)
{
    for (long i = 0; i < n; i++) {
        pthread_mutex_lock(&event.mutex);
        bench_use(event.set);
        pthread_mutex_unlock(&event.mutex);
    }
}

static void calls(long n)
{
    for (long i = 0; i < n; i++)
        bench_use(pthread_once(&once, do_nothing));
}

static void give(int side)
{
    pthread_mutex_lock(&turn[side].mutex);
    turn[side].set = true;
    pthread_cond_broadcast(&turn[side].changed);
    pthread_mutex_unlock(&turn[side].mutex);
}

static void take(int side)
{
    pthread_mutex_lock(&turn[side].mutex);
    while (!turn[side].set)
        pthread_cond_wait(&turn[side].changed, &turn[side].mutex);
    turn[side].set = false;
    pthread_mutex_unlock(&turn[side].mutex);
}

const struct bench_event_peer bench_event_pthread = {
    .peer = { "pthread", "a flag with a pthread_mutex and a pthread_cond; pthread_once" },
    .looks = looks,
    .calls = calls,
    .handoff = { give, take },
};
